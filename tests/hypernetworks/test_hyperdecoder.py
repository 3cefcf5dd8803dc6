"""The published generator: against a loop, its start, and its size."""

import pytest
import torch

from hyperadapters.adapters import Bottleneck, LoRA, Placement
from hyperadapters.conditions import Instance, Lookup
from hyperadapters.hypernetworks import GroupSpec, NetworkSpec, build_network
from hyperadapters.hypernetworks.hyperdecoder import SHRINK, HyperdecoderHypernetwork
from hyperadapters.sites import Site

WIDTH, SITE_WIDTH, HIDDEN = 6, 3, 8


def bottlenecks(width=16, units=4, layers=3):
    return [
        Placement(Site(f"decoder.block.{n}.layer.2", width, width), Bottleneck(units, "relu", 1.0))
        for n in range(layers)
    ]


def make(placements, **changes):
    torch.manual_seed(0)
    sizes = {"site_width": SITE_WIDTH, "hidden_width": HIDDEN, **changes}
    return HyperdecoderHypernetwork(placements, WIDTH, **sizes)


def randomised(network):
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network


def mixed():
    """Two shapes of bottlenecks, and LoRAs."""
    wide = Placement(Site("decoder.block.3.layer.2", 20, 20), Bottleneck(4, "relu", 1.0))
    lora = Placement(Site("decoder.block.0.q", 16, 20), LoRA(2, 4.0))
    return [*bottlenecks(layers=2), wide, lora]


@torch.no_grad()
def test_against_a_loop():
    placements = mixed()
    network, z = randomised(make(placements)), torch.randn(5, WIDTH)
    got = network(z)
    for row in range(5):
        for number, place in enumerate(placements):
            both = torch.cat([z[row], network.site_vectors[number]])
            hidden = (network.first.weight @ both + network.first.bias).relu()
            for name, shape in place.shapes.items():
                head = network.maps[f"{name}_{'x'.join(map(str, shape))}"]
                wanted = (head.weight @ hidden + head.bias).view(shape)
                tensor = getattr(got[number], name)
                torch.testing.assert_close(tensor[row], wanted, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_rows_and_sites_have_weights_of_their_own():
    network, z = randomised(make(mixed())), torch.randn(4, WIDTH)
    together = network(z)
    for row in range(4):
        for alone, of_all in zip(network(z[row : row + 1]), together, strict=True):
            for one, every in zip(alone, of_all, strict=True):
                if one is not None:
                    torch.testing.assert_close(one[0], every[row], atol=1e-5, rtol=1e-5)
    assert (together[0][0] - together[1][0]).abs().amin(dim=0).max() > 0.1


def test_start_as_published():
    units, width, hidden, layers = 32, 64, 128, 24
    network = make(bottlenecks(width, units, layers), hidden_width=hidden, site_width=10)
    fan_in = {"down": width, "up": units, "down_bias": 1, "up_bias": 1}
    for key, linear in network.maps.items():
        name = key.rsplit("_", 1)[0]
        bound = SHRINK * (3 / (hidden * fan_in[name])) ** 0.5
        assert linear.weight.abs().max() <= bound
        assert linear.weight.abs().max() > 0.98 * bound
        assert linear.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
        assert linear.bias.abs().max() == 0
    assert network.site_vectors.std().item() == pytest.approx(1, rel=0.15)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network.reset_parameters()
        first = network.first.weight.clone()
        torch.manual_seed(3)
        network.reset_parameters()
    assert torch.equal(network.first.weight, first)


def test_every_tensor_learns_at_the_first_step():
    # LoRA too: both factors start near zero, not at zero.
    network = make(mixed())
    sites = network(torch.randn(3, WIDTH))
    sum(t.square().sum() + t.sum() for s in sites for t in s if t is not None).backward()
    assert all(p.grad.abs().max() > 0 for p in network.parameters())


@pytest.mark.parametrize(
    ("d", "units", "hidden", "layers"), [(1024, 64, 128, 24), (768, 36, 72, 12)]
)
@pytest.mark.parametrize("reading", ["plain", "none"])
def test_size_as_published(d, units, hidden, layers, reading):
    placements = bottlenecks(d, units, layers)
    spec = NetworkSpec(
        conditions={"encoded": Instance(source="encoder", reading=reading)},
        groups=[GroupSpec(placements, conditions=("encoded",))],
        hypernetwork="hyperdecoder",
        start="near-zero",
        bias_source="none",
        shift=False,
        site_width=10,
        hidden_width=hidden,
        instance_width=d,
    )
    with torch.device("meta"):
        network = build_network(spec)
    heads = 2 * (hidden * d * units + d * units) + (hidden * d + d) + (hidden * units + units)
    wanted = 10 * layers + (d + 10) * hidden + hidden + heads
    wanted += 2 * (d * d + d) if reading == "plain" else 0
    assert sum(p.numel() for p in network.parameters()) == wanted


def test_vectors_in_half_precision():
    network = make(bottlenecks())
    assert network(torch.randn(2, WIDTH).bfloat16())[0].down.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network(torch.randn(2, WIDTH))[0].down.isfinite().all()


@pytest.mark.parametrize("shared", [True, False])
@torch.no_grad()
def test_encoders_of_the_groups(shared):
    groups = [GroupSpec(bottlenecks(), conditions=("tasks",)) for _ in range(2)]
    spec = NetworkSpec(
        conditions={"tasks": Lookup(3)},
        groups=groups,
        hypernetwork="hyperdecoder",
        start="near-zero",
        bias_source="none",
        shift=False,
        condition_width=WIDTH,
        share_encoders=shared,
    )
    torch.manual_seed(0)
    network = randomised(build_network(spec))
    assert set(network.encoders) == ({"tasks"} if shared else {"tasks_0", "tasks_1"})
    before = network({"tasks": torch.tensor([0, 2])})
    vectors = network.encoders["tasks" if shared else "tasks_1"].vectors
    vectors.data[2] += 1.0
    after = network({"tasks": torch.tensor([0, 2])})
    for group in (0, 1):
        one, other = before.at(group, 0).down, after.at(group, 0).down
        torch.testing.assert_close(one[0], other[0])
        assert torch.allclose(one[1], other[1]) == (not shared and group == 0)
