import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.encoders import AttributesEncoder, zero_dims

SIZES = (2, 5, 3)


def encoder(**options) -> AttributesEncoder:
    torch.manual_seed(0)
    attributes = AttributesEncoder(SIZES, 4, **options)
    torch.nn.init.normal_(attributes.vectors)
    return attributes


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*(st.integers(-1, size - 1) for size in SIZES)), max_size=6))
def test_the_sum_of_the_values_that_are_there(rows):
    attributes = encoder()
    tables = attributes.vectors.split(SIZES)
    got = attributes(torch.tensor(rows, dtype=torch.long).reshape(-1, 3))
    assert got.shape == (len(rows), 4)
    for vector, row in zip(got, rows, strict=True):
        there = [table[i] for table, i in zip(tables, row, strict=True) if i >= 0]
        wanted = torch.stack([*there, torch.zeros(4)]).sum(dim=0)
        torch.testing.assert_close(vector, wanted)


def test_somebody_unknown_is_the_population():
    attributes = encoder()
    rows = torch.tensor([[-1, -1, -1], [-1, 2, -1], [0, 0, 0]])
    assert torch.equal(attributes(rows)[:1], attributes.population())
    assert torch.equal(attributes.population(), torch.zeros(1, 4))
    assert attributes.known(rows).tolist() == [False, True, True]
    assert attributes.width == 4


def test_only_values_that_occur_learn():
    attributes = encoder()
    attributes(torch.tensor([[1, -1, 2], [1, 4, -1]])).square().sum().backward()
    assert attributes.vectors.grad is not None
    learned = attributes.vectors.grad.abs().sum(dim=1).nonzero().flatten()
    assert learned.tolist() == [1, 6, 9]


@pytest.mark.parametrize("parts", [2, 3])
def test_zero_change_start(parts):
    vectors = AttributesEncoder(SIZES, 7, parts=parts).vectors
    zero = zero_dims(7, parts)
    assert vectors.shape == (10, 7)
    assert (vectors[:, zero] == 0).all() and (vectors[:, ~zero] != 0).all()


def test_other_starts():
    assert AttributesEncoder(SIZES, 4, start="lora").vectors.abs().max() == 0
    torch.manual_seed(0)
    got = AttributesEncoder(SIZES, 4, start="hyperfan-in").vectors
    torch.manual_seed(0)
    assert torch.equal(got, torch.randn(10, 4))


def test_no_number_is_looked_at():
    with torch.device("meta"):
        attributes = AttributesEncoder(SIZES, 4)
        values = torch.zeros(5, 3, dtype=torch.long)
        assert attributes(values).shape == (5, 4)
        assert attributes.known(values).shape == (5,)
    assert [name for name, _ in attributes.named_buffers()] == []
    filled = attributes.to_empty(device="cpu")
    filled.reset_parameters()
    wanted = filled.vectors[1] + filled.vectors[6] + filled.vectors[7]
    torch.testing.assert_close(filled(torch.tensor([[1, 4, 0]]))[0], wanted)
