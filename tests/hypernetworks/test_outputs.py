import pytest
import torch
from torch import nn

from hyperadapters.hypernetworks import StoredOutputs

SIZE, WIDTH, LABELS = 5, 4, 3


@pytest.fixture
def outputs():
    torch.manual_seed(0)
    stored = StoredOutputs(SIZE, WIDTH, LABELS)
    for parameter in stored.parameters():
        nn.init.normal_(parameter)
    return stored


def test_all_start_as_the_layer_itself():
    stored = StoredOutputs(SIZE, WIDTH, LABELS)
    matrix, bias = stored(torch.tensor([3, -1, 0]))
    assert matrix.shape == (3, LABELS, WIDTH) and bias.shape == (3, LABELS)
    assert not matrix.any() and not bias.any()
    assert sum(p.numel() for p in stored.parameters()) == SIZE * LABELS * (WIDTH + 1)


def test_each_condition_has_its_own(outputs):
    matrix, bias = outputs(torch.tensor([3, 0, 3]))
    for row, index in enumerate([3, 0, 3]):
        assert torch.equal(matrix[row], outputs.weight.vectors[index].reshape(LABELS, WIDTH))
        assert torch.equal(bias[row], outputs.bias.vectors[index])


@pytest.mark.parametrize("index", [[-1], [2, -1], [-1, -1]])
def test_the_populations_logits_are_the_mean_of_all(outputs, index):
    h = torch.randn(WIDTH)
    everyone, biases = outputs(torch.arange(SIZE))
    matrix, bias = outputs(torch.tensor(index))
    wanted = (everyone @ h + biases).mean(dim=0)
    torch.testing.assert_close(matrix[-1] @ h + bias[-1], wanted)
    if len(index) > 1 and index[0] == 2:
        assert torch.equal(matrix[0], everyone[2]) and torch.equal(bias[0], biases[2])


def test_mixtures(outputs):
    shares = torch.tensor([[0.5, 0.0, 0.25, 0.0, 0.25], [0.2] * 5])
    matrix, bias = outputs(shares)
    everyone, biases = outputs(torch.arange(SIZE))
    torch.testing.assert_close(matrix, torch.einsum("ns,slw->nlw", shares, everyone))
    torch.testing.assert_close(bias, shares @ biases)
    torch.testing.assert_close(matrix[1:], outputs(torch.tensor([-1]))[0])


@pytest.mark.parametrize("sparse", [False, True])
def test_a_rating_moves_the_layer_of_its_annotator_alone(outputs, sparse):
    for table in (outputs.weight, outputs.bias):
        table.sparse_gradient = sparse
    matrix, bias = outputs(torch.tensor([3, 1, 3]))
    (matrix.square().sum() + bias.square().sum()).backward()
    for table in (outputs.weight, outputs.bias):
        gradient = table.vectors.grad
        assert gradient.is_sparse == sparse
        moved = (gradient.to_dense() if sparse else gradient).any(dim=1)
        assert moved.tolist() == [False, True, False, True, False]
