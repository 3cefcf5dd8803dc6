import pytest
import torch
from torch.nn.functional import gelu

from hyperadapters.adapters import Bottleneck, LoRA, Placement
from hyperadapters.encoders import LookupEncoder, zero_dims
from hyperadapters.hypernetworks import CentredHypernetwork
from hyperadapters.sites import Site

KINDS = ["mlp", "basis", "chunked"]
STARTS = ["zero-change", "lora", "hyperfan-in"]
SMALL = {"site_width": 4, "hidden_width": 6, "n_basis": 4, "chunk_width": 4}


def randomised(places, **options) -> CentredHypernetwork:
    network = CentredHypernetwork(places, 3, **SMALL, **options)
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network


@pytest.fixture
def mixed(sites, places):
    return [*places, Placement(sites[2], Bottleneck(5)), Placement(sites[3], LoRA(3, 1.0))]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_has_the_shared_adapter_exactly(mixed, kind):
    network = randomised(mixed, kind=kind)
    z = torch.randn(3, 3)
    z[1] = 0
    for weights, common in zip(network(z), network.shared(z), strict=True):
        for name in weights._fields[:-1] if weights.gain is None else weights._fields:
            own, shared = getattr(weights, name), getattr(common, name)
            assert torch.equal(own[1], shared[0])
            assert not torch.equal(own[0], shared[0]) and not torch.equal(own[2], shared[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", STARTS)
def test_nobody_has_the_shared_adapter_from_the_start(mixed, kind, start):
    network = CentredHypernetwork(mixed, 3, kind=kind, start=start, **SMALL)
    z = torch.zeros(2, 3)
    for weights, common in zip(network(z), network.shared(z), strict=True):
        for own, shared in zip(weights[:-1], common[:-1], strict=True):
            assert torch.equal(own, shared.expand_as(own))


def test_against_the_formula(places):
    network = randomised(places, deviation_scale=0.5)
    z, trunk = torch.randn(3, 3), network.trunk
    shared = network.shared(z)
    for s, (a, b, _) in enumerate(network(z)):
        base = trunk.from_site(trunk.site_vectors[s])
        for i in range(3):
            u = gelu(trunk.from_condition(z[i]) + base) - gelu(base)
            for name, own in (("a", a), ("b", b)):
                shape = places[s].shapes[name]
                head = network.heads.maps[f"{name}_{'x'.join(map(str, shape))}"].weight
                wanted = getattr(shared[s], name)[0] + 0.5 * (head @ u).reshape(shape)
                torch.testing.assert_close(own[i], wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("width", [2, 3, 8, 13])
@pytest.mark.parametrize("kind", KINDS)
def test_with_zero_change_nobody_deviates_at_first_and_everything_learns(mixed, kind, width):
    torch.manual_seed(0)
    network = CentredHypernetwork(mixed, width, kind=kind, live=zero_dims(width), **SMALL)
    encoder = LookupEncoder(5, width)
    z = encoder(torch.arange(5))
    assert z.abs().max() > 0
    loss = torch.zeros(())
    for place, weights, common in zip(mixed, network(z), network.shared(z), strict=True):
        for own, shared in zip(weights[:-1], common[:-1], strict=True):
            assert torch.equal(own, shared.expand_as(own))
        x = torch.randn(5, 3, place.site.in_width)
        correction = place.form.apply(x, weights)
        assert torch.equal(correction, torch.zeros_like(correction))
        loss = loss + (correction * torch.randn_like(correction)).sum()
    loss.backward()
    for name, parameter in (*network.named_parameters(), ("vectors", encoder.vectors)):
        assert parameter.grad is not None and (parameter.grad != 0).any(), name


@pytest.mark.parametrize("kind", KINDS)
def test_hyperfan_in_keeps_the_variance_of_what_is_generated(kind):
    """Chang et al. 2020: Var(W) = E[u²] / fan-in, so that a layer keeps the size of its input.

    A head sums hidden · u²: with weights of variance 1 / (fan-in · hidden) what comes out has
    variance mean(u²) / fan-in. Coefficients of variance mean(u²) times n_basis tensors of variance
    1 / (fan-in · n_basis) have the same.
    """
    torch.manual_seed(0)
    place = Placement(Site("0.query", 96, 80), LoRA(12, 1.0))
    network = CentredHypernetwork(
        [place], 16, kind=kind, start="hyperfan-in", hidden_width=256, n_basis=64, chunk_width=32
    )
    z = torch.randn(200, 16)
    hidden = network.trunk(z)
    if kind == "chunked":
        n_chunks = network.heads.n_chunks
        hidden = network.trunk(z, [0] * n_chunks, range(n_chunks))
    (weights,), (common,) = network(z), network.shared(z)
    squared = hidden.square().mean().item()
    for name, fan_in in (("a", 96), ("b", 12)):
        deviation = getattr(weights, name) - getattr(common, name)
        assert deviation.var().item() == pytest.approx(squared / fan_in, rel=0.15), name
    x = torch.randn(200, 3, 96)
    assert place.form.apply(x, weights).abs().mean() > 0


def test_one_head_per_distinct_shape(places):
    network = randomised(places)
    assert sorted(network.heads.maps) == ["a_2x6", "b_6x2", "b_8x2"]
    assert network.heads.maps["b_8x2"].weight.shape == (16, 6)
    assert all(head.bias is None for head in network.heads.maps.values())


@pytest.mark.parametrize("zero_heads", [True, False])
def test_start_of_the_heads_with_lora(places, zero_heads):
    torch.manual_seed(0)
    network = CentredHypernetwork(places, 3, hidden_width=400, start="lora", zero_heads=zero_heads)
    # √(1 / (in_width · hidden)): the deviation of A then has entries of about 1/√in_width.
    wanted = 0 if zero_heads else (1 / (6 * 400)) ** 0.5
    assert network.heads.maps["a_2x6"].weight.std().item() == pytest.approx(wanted, rel=0.1)
    deviates = any(weights.b.abs().max() > 0 for weights in network(torch.ones(1, 3)))
    assert deviates is not zero_heads


def test_without_zero_heads_vectors_at_zero_can_learn(places):
    torch.manual_seed(0)
    network = CentredHypernetwork(places, 3, start="lora")
    z = torch.zeros(2, 3, requires_grad=True)
    torch.stack([weights.b.sum() for weights in network(z)]).sum().backward()
    assert z.grad is not None and z.grad.abs().min() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_outgoing_tensors_alone(mixed, kind):
    network = randomised(mixed, generate_a=False, kind=kind)
    z = torch.randn(3, 3)
    for weights, common in zip(network(z), network.shared(z), strict=True):
        for name, own in weights._asdict().items():
            shared = getattr(common, name)
            if name in ("a", "down", "down_bias"):
                assert torch.equal(own, shared)
            elif name != "gain":
                assert own.shape[0] == 3 and not torch.equal(own[0], own[1])


@pytest.mark.parametrize("kind", KINDS)
def test_sites_that_do_not_deviate(places, kind):
    kept = [False, False, False, True, False, True]
    network = randomised(places, deviating=kept, kind=kind)
    assert network.trunk.site_vectors.shape[0] == 2
    z = torch.randn(3, 3)
    for deviates, weights, common in zip(kept, network(z), network.shared(z), strict=True):
        a, b, _ = weights
        assert a.shape[0] == b.shape[0] == (3 if deviates else 1)
        if not deviates:
            assert torch.equal(a, common.a) and torch.equal(b, common.b)


def test_deviation_can_be_switched_off_for_a_while(places):
    network = randomised(places)
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


def test_deviation_is_on_again_after_an_exception(places):
    network = randomised(places)
    with pytest.raises(KeyError), network.deviating(False):
        raise KeyError
    assert network.deviates


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_start_again_after_the_meta_device(mixed, kind):
    with torch.device("meta"):
        network = CentredHypernetwork(mixed, 3, kind=kind, **SMALL)
    assert all(parameter.is_meta for parameter in network.parameters())
    network = network.to_empty(device="cpu")
    fresh = CentredHypernetwork(mixed, 3, kind=kind, **SMALL)
    for either in (network, fresh):
        torch.manual_seed(0)
        either.reset_parameters()
    for (name, parameter), wanted in zip(
        network.named_parameters(), fresh.parameters(), strict=True
    ):
        assert torch.equal(parameter, wanted), name
