import pytest
import torch

from hyperadapters.encoders import LookupEncoder
from hyperadapters.errors import ConditionError


def encoder(**options) -> LookupEncoder:
    torch.manual_seed(0)
    lookup = LookupEncoder(4, 3, name="annotator_ids", **options)
    torch.nn.init.normal_(lookup.vectors)
    return lookup


def test_rows_of_the_table():
    lookup = encoder()
    assert lookup.width == 3
    assert torch.equal(lookup(torch.tensor([2, 0, 2])), lookup.vectors[[2, 0, 2]])
    assert lookup(torch.tensor([], dtype=torch.long)).shape == (0, 3)


@pytest.mark.parametrize("centred", [True, False])
def test_the_population(centred):
    lookup = encoder(centred=centred)
    wanted = torch.zeros(3) if centred else lookup.vectors.mean(dim=0)
    got = lookup(torch.tensor([1, -1]))
    assert torch.equal(got[0], lookup.vectors[1])
    torch.testing.assert_close(got[1], wanted, rtol=0, atol=0)
    assert torch.equal(lookup.population()[0], got[1])


def test_start():
    assert LookupEncoder(4, 3).vectors.abs().max() == 0
    torch.manual_seed(0)
    spread = LookupEncoder(200, 50, centred=False).vectors.detach()
    assert spread.std() == pytest.approx(1.0, abs=0.05)
    assert spread.mean() == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(
    ("unknown", "index", "message"),
    [
        ("population", 4, "got index 4; wanted 0 to 3, or -1 for the population"),
        ("population", -2, "got index -2; wanted 0 to 3, or -1 for the population"),
        ("error", 9, "got index 9; wanted 0 to 3$"),
        ("error", -2, "got index -2; wanted 0 to 3$"),
        ("error", -1, r"got -1 \(unknown\), which this model refuses; wanted 0 to 3"),
    ],
)
def test_indices_out_of_range(unknown, index, message):
    with pytest.raises(ConditionError, match="^annotator_ids: " + message):
        encoder(unknown=unknown)(torch.tensor([0, index, 1]))


def test_only_those_who_were_asked_learn():
    lookup = encoder()
    lookup(torch.tensor([0, 2, -1])).square().sum().backward()
    assert lookup.vectors.grad is not None
    assert (lookup.vectors.grad.abs().sum(dim=1) > 0).tolist() == [True, False, True, False]
