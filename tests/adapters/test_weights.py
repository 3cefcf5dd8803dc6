import pytest
import torch

from hyperadapters.adapters import (
    AdapterWeights,
    BottleneckWeights,
    GroupWeights,
    HeadWeights,
    LoRAWeights,
)

ROWS = torch.tensor([1, 0, 1])


def lora(n: int) -> LoRAWeights:
    return LoRAWeights(torch.randn(n, 3, 4), torch.randn(n, 5, 3), torch.randn(n, 3))


def bottleneck(n: int) -> BottleneckWeights:
    shapes = (3, 4), (3,), (5, 3), (5,), (3,)
    return BottleneckWeights(*[torch.randn(n, *shape) for shape in shapes])


@pytest.mark.parametrize("site", [lora(2), bottleneck(2)], ids=lambda site: type(site).__name__)
def test_rows_pick_the_weights_of_their_condition(site):
    found = AdapterWeights([GroupWeights([site], ROWS)], n_rows=3).at(0, 0)
    assert type(found) is type(site)
    for got, stored in zip(found, site, strict=True):
        assert torch.equal(got, torch.stack([stored[1], stored[0], stored[1]]))


def test_groups_have_rows_of_their_own():
    first, second = lora(2), lora(3)
    groups = [GroupWeights([lora(1), first], ROWS), GroupWeights([second], torch.tensor([2, 2, 0]))]
    weights = AdapterWeights(groups)
    assert torch.equal(weights.at(0, 1).a, first.a[[1, 0, 1]])
    assert torch.equal(weights.at(1, 0).a, second.a[[2, 2, 0]])


def test_the_head_picks_too():
    bias, gate = torch.randn(2, 6), torch.randn(2, 7)
    taste_in, taste_out = torch.randn(7, 4), torch.randn(6, 7)
    matrix = torch.randn(2, 3, 4)
    head = HeadWeights(None, bias, gate, taste_in, taste_out, matrix)
    per_row = AdapterWeights([], head, ROWS).head_per_row()
    assert per_row.shift is None
    assert per_row.bias is not None and torch.equal(per_row.bias, bias[ROWS])
    assert per_row.gate is not None and torch.equal(per_row.gate, gate[ROWS])
    assert per_row.matrix is not None and torch.equal(per_row.matrix, matrix[ROWS])
    assert per_row.taste_in is taste_in and per_row.taste_out is taste_out
    shift = torch.randn(2, 4)
    per_row = AdapterWeights([], HeadWeights(shift), ROWS).head_per_row()
    assert per_row.shift is not None and torch.equal(per_row.shift, shift[ROWS])


def test_what_all_rows_share_is_not_copied():
    site = LoRAWeights(torch.randn(1, 3, 4), torch.randn(2, 5, 3))
    per_row = GroupWeights([site], torch.tensor([0, 1, 1])).at(0)
    assert per_row.a is site.a and per_row.b.shape[0] == 3
    assert isinstance(per_row, LoRAWeights) and per_row.gain is None


def test_without_rows_the_weights_are_those_of_the_rows():
    site = bottleneck(3)
    weights = AdapterWeights([GroupWeights([site])])
    assert weights.n_rows is None
    assert all(got is tensor for got, tensor in zip(weights.at(0, 0), site, strict=True))
    assert weights.head_per_row() == HeadWeights()
