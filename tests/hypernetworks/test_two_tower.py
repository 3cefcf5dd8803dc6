import pytest
import torch

from hyperadapters.adapters import Bottleneck, LoRA, Placement
from hyperadapters.conditions import Lookup
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks import (
    GroupSpec,
    NetworkSpec,
    TwoTowerHypernetwork,
    build_network,
)
from hyperadapters.sites import Site

ROBERTA_BASE = [
    Placement(Site(f"roberta.encoder.layer.{n}.attention.self.{name}", 768, 768), LoRA(2, 32.0))
    for n in range(12)
    for name in ("query", "value")
]


def placed(*widths: tuple[int, int], r: int = 2) -> list[Placement]:
    return [Placement(Site(f"{n}.q", *io), LoRA(r, 1.0)) for n, io in enumerate(widths)]


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_size_as_published():
    with torch.device("meta"):
        network = TwoTowerHypernetwork(ROBERTA_BASE, 768, site_width=768, hidden_width=768)
    assert count(network) == 4_741_632


@pytest.mark.parametrize("annotators", [6, 74, 262, 819])
def test_size_with_the_vectors_of_the_annotators(annotators):
    spec = NetworkSpec(
        conditions={"annotator_ids": Lookup(annotators)},
        groups=[GroupSpec(ROBERTA_BASE, conditions=("annotator_ids",))],
        hypernetwork="two-tower",
        bias_source="none",
        shift=False,
        condition_width=768,
        site_width=768,
        hidden_width=768,
        hypernetwork_dropout=0.25,
    )
    with torch.device("meta"):
        network = build_network(spec)
    assert count(network) == 4_741_632 + 768 * annotators


def test_start_as_published():
    torch.manual_seed(0)
    network = TwoTowerHypernetwork(ROBERTA_BASE[:4], 96, site_width=96, hidden_width=96)
    last_a, last_b = network.tower_a[3], network.tower_b[3]
    assert last_a.weight.std().item() == pytest.approx(1e-3, rel=0.02)
    assert abs(last_a.weight.mean().item()) < 1e-4
    assert last_b.weight.abs().max() == 0 and last_b.bias.abs().max() == 0
    assert network.site_vectors.std().item() == pytest.approx(1.0, abs=0.15)
    for a, b, gain in network(torch.randn(3, 96)):
        assert b.abs().max() == 0 and a.abs().max() > 0 and gain is None


def test_towers_against_the_formula():
    torch.manual_seed(0)
    network = TwoTowerHypernetwork(placed((5, 7), (5, 7)), 3, site_width=4, hidden_width=6).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    z = torch.randn(3, 3)
    for s, (a, b, _) in enumerate(network(z)):
        assert a.shape == (3, 2, 5) and b.shape == (3, 7, 2)
        for i in range(3):
            pair = torch.cat([z[i], network.site_vectors[s]])
            torch.testing.assert_close(a[i].flatten(), network.tower_a(pair))
            torch.testing.assert_close(b[i].flatten(), network.tower_b(pair))


def test_dropout_in_training_only():
    torch.manual_seed(0)
    network = TwoTowerHypernetwork(placed((5, 7)), 3, dropout=0.5)
    z = torch.randn(1, 3)
    assert not torch.equal(network(z)[0].a, network(z)[0].a)
    network.eval()
    assert torch.equal(network(z)[0].a, network(z)[0].a)


@pytest.mark.parametrize(
    "placements",
    [
        placed((5, 7), (5, 5)),
        [*placed((5, 7)), *placed((5, 7), r=3)],
        [Placement(Site("0.mlp", 5, 7), Bottleneck(2))],
    ],
)
def test_anything_but_lora_of_one_shape_is_refused(placements):
    with pytest.raises(ConfigError, match=r"LoRA weights for sites of one shape, got .*5→7"):
        TwoTowerHypernetwork(placements, 3)
