import pytest
import torch

from hyperadapters.adapters import Bottleneck, Placement
from hyperadapters.hypernetworks import StoredAdapters


def randomised(places) -> StoredAdapters:
    adapters = StoredAdapters(5, places)
    torch.manual_seed(0)
    for parameter in adapters.parameters():
        torch.nn.init.normal_(parameter)
    return adapters.double()


@pytest.fixture
def mixed(sites, places):
    return [*places, Placement(sites[2], Bottleneck(3))]


def tables(adapters: StoredAdapters) -> list[list[torch.Tensor]]:
    return [list(site.values()) for site in adapters.sites]


def test_each_condition_has_its_own(mixed):
    adapters = randomised(mixed)
    index = torch.tensor([3, 0, 3, -1])
    for weights, stored in zip(adapters(index), tables(adapters), strict=True):
        tensors = [tensor for tensor in weights if tensor is not None]
        for tensor, table in zip(tensors, stored, strict=True):
            assert tensor.shape[0] == 4
            for row, i in enumerate(index.tolist()):
                wanted = table[i] if i >= 0 else sum(table) / 5
                torch.testing.assert_close(tensor[row], wanted)


def test_mixtures_are_weighted_sums(mixed):
    adapters = randomised(mixed)
    blends = torch.rand(3, 5).double()
    for weights, stored in zip(adapters(blends), tables(adapters), strict=True):
        tensors = [tensor for tensor in weights if tensor is not None]
        for tensor, table in zip(tensors, stored, strict=True):
            for row, blend in enumerate(blends):
                wanted = sum(part * own for part, own in zip(blend, table, strict=True))
                torch.testing.assert_close(tensor[row], wanted)


def test_nobody_is_the_even_mixture(mixed):
    adapters = randomised(mixed)
    nobody, even = adapters(torch.tensor([-1])), adapters(torch.full((1, 5), 0.2).double())
    for one, other in zip(nobody, even, strict=True):
        for left, right in zip(one, other, strict=True):
            torch.testing.assert_close(left, right)


def test_gradients_stay_with_the_condition_that_was_asked(places):
    adapters = randomised(places)
    adapters(torch.tensor([2]))[0].b.sum().backward()
    grad = adapters.sites[0]["b"].grad
    assert (grad[2] == 1).all() and grad[[0, 1, 3, 4]].abs().max() == 0


@pytest.mark.parametrize("start", ["zero-change", "lora"])
@pytest.mark.parametrize("gains", [False, True])
def test_all_start_alike_and_as_no_change(mixed, start, gains):
    adapters = StoredAdapters(5, mixed, start, gains=gains)
    for table in (table for site in tables(adapters) for table in site):
        assert torch.equal(table, table[:1].expand_as(table))
    for place, weights in zip(mixed, adapters(torch.tensor([-1, 0, 4])), strict=True):
        gain = torch.ones(3, place.form.size)
        if gains and start != "lora":
            gain[:, place.directions(gains=True).silent_gain] = 0
        x = torch.randn(3, 4, place.site.in_width)
        correction = place.form.apply(x, weights._replace(gain=gain))
        assert torch.equal(correction, torch.zeros_like(correction))


def test_gradients_can_be_as_small_as_what_was_asked(mixed):
    adapters, dense = randomised(mixed), randomised(mixed)
    adapters.sparse_gradient = True
    index = torch.tensor([2, 0, 2])
    for model in (adapters, dense):
        parts = [part for weights in model(index) for part in weights if part is not None]
        sum(part.square().sum() for part in parts).backward()
    for table, other in zip(adapters.tables(), dense.tables(), strict=True):
        assert table.grad.is_sparse and table.grad.coalesce().indices().tolist() == [[0, 2]]
        torch.testing.assert_close(table.grad.to_dense(), other.grad)
