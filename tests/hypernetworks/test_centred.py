import pytest
import torch
from torch.nn.functional import gelu

from hyperadapters.hypernetworks import CentredHypernetwork


def randomised(sites, **options) -> CentredHypernetwork:
    network = CentredHypernetwork(sites, 2, 3, site_width=4, hidden_width=5, **options)
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network


def test_nobody_has_the_shared_adapter_exactly(sites):
    network = randomised(sites)
    z = torch.randn(3, 3)
    z[1] = 0
    shared = network.shared(z)
    for (a, b), common in zip(network(z), shared, strict=True):
        assert torch.equal(a[1], common.a[0]) and torch.equal(b[1], common.b[0])
        assert not torch.equal(a[0], common.a[0]) and not torch.equal(b[2], common.b[0])


def test_against_the_formula(sites):
    network = randomised(sites, deviation_scale=0.5)
    z = torch.randn(3, 3)
    shared = network.shared(z)
    for s, (a, b) in enumerate(network(z)):
        base = network.from_site(network.site_vectors[s])
        for i in range(3):
            u = gelu(network.from_condition(z[i]) + base) - gelu(base)
            head_a = network.head_a[str(a[i].numel())]
            head_b = network.head_b[str(b[i].numel())]
            wanted_a = shared[s].a[0] + 0.5 * head_a(u).view_as(a[i])
            wanted_b = shared[s].b[0] + 0.5 * head_b(u).view_as(b[i])
            torch.testing.assert_close(a[i], wanted_a)
            torch.testing.assert_close(b[i], wanted_b)


def test_one_head_per_distinct_shape(sites):
    network = randomised(sites)
    assert sorted(network.head_a) == ["12"]
    assert sorted(network.head_b) == ["12", "16"]
    assert network.head_b["16"].weight.shape == (16, 5)
    assert all(head.bias is None for head in (*network.head_a.values(), *network.head_b.values()))


def test_starts_as_no_change_for_the_population(sites):
    network = CentredHypernetwork(sites, 2, 3)
    for _, b in network(torch.zeros(2, 3)):
        assert b.abs().max() == 0


@pytest.mark.parametrize("zero_heads", [True, False])
def test_start_of_the_heads(sites, zero_heads):
    torch.manual_seed(0)
    network = CentredHypernetwork(sites, 2, 3, hidden_width=400, zero_heads=zero_heads)
    # √(r / (values · hidden)): the deviation of A then has entries of about 1/√in_width.
    wanted = 0 if zero_heads else (2 / (12 * 400)) ** 0.5
    assert network.head_a["12"].weight.std().item() == pytest.approx(wanted, rel=0.1)
    deviates = any(b.abs().max() > 0 for _, b in network(torch.ones(1, 3)))
    assert deviates is not zero_heads


def test_without_zero_heads_vectors_at_zero_can_learn(sites):
    torch.manual_seed(0)
    network = CentredHypernetwork(sites, 2, 3)
    z = torch.zeros(2, 3, requires_grad=True)
    torch.stack([b.sum() for _, b in network(z)]).sum().backward()
    assert z.grad is not None and z.grad.abs().min() > 0


def test_b_alone(sites):
    network = randomised(sites, generate_a=False)
    assert len(network.head_a) == 0
    z = torch.randn(3, 3)
    for (a, b), common in zip(network(z), network.shared(z), strict=True):
        assert torch.equal(a, common.a)
        assert b.shape[0] == 3 and not torch.equal(b[0], b[1])


def test_sites_that_do_not_deviate(sites):
    kept = [False, False, False, True, False, True]
    network = randomised(sites, deviating=kept)
    assert network.site_vectors.shape[0] == 2
    z = torch.randn(3, 3)
    for deviates, (a, b), common in zip(kept, network(z), network.shared(z), strict=True):
        assert a.shape[0] == b.shape[0] == (3 if deviates else 1)
        if not deviates:
            assert torch.equal(a, common.a) and torch.equal(b, common.b)


def test_deviation_can_be_switched_off_for_a_while(sites):
    network = randomised(sites)
    z = torch.randn(3, 3)

    def leading() -> int:
        return network(z)[0].a.shape[0]

    with network.deviating(False):
        assert leading() == 1
        assert torch.equal(network(z)[3].b, network.shared(z)[3].b)
        with network.deviating(True):
            assert leading() == 3
        assert leading() == 1
    assert leading() == 3


def test_deviation_is_on_again_after_an_exception(sites):
    network = randomised(sites)
    with pytest.raises(KeyError), network.deviating(False):
        raise KeyError
    assert network.deviates
