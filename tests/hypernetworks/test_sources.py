from dataclasses import replace

import pytest
import torch

from hyperadapters.adapters import Bottleneck, Directions, LoRA, Placement
from hyperadapters.conditions import Attributes, Lookup
from hyperadapters.encoders import zero_dims
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks import (
    CentredHypernetwork,
    GroupSource,
    GroupSpec,
    LearnedAdapter,
    NetworkSpec,
    StoredAdapters,
    TwoTowerHypernetwork,
)
from hyperadapters.hypernetworks.sources import DirectionGains

SPEC = NetworkSpec(conditions={"ids": Lookup(5)}, site_width=4, hidden_width=6, head_width=4)


def source(places, spec=SPEC, **options) -> GroupSource:
    group = GroupSpec(places, conditions=("ids",), **options)
    return GroupSource(spec, group, 4, zero_dims(4))


@pytest.mark.parametrize(
    ("spec", "options", "wanted", "adapts"),
    [
        (SPEC, {}, CentredHypernetwork, True),
        (replace(SPEC, hypernetwork="two-tower"), {}, TwoTowerHypernetwork, True),
        (SPEC, {"source": "learned"}, LearnedAdapter, False),
        (SPEC, {"source": "learned", "gains": True}, LearnedAdapter, True),
        (SPEC, {"source": "per-condition"}, StoredAdapters, True),
    ],
)
def test_what_writes_the_weights(places, spec, options, wanted, adapts):
    found = source(places[:2], spec, **options)
    assert type(found.source) is wanted and found.adapts is adapts
    assert (len(found.gains) > 0) is options.get("gains", False)


def test_a_group_does_not_adapt_while_nothing_deviates(places):
    for gains in (False, True):
        found = source(places, gains=gains)
        with found.source.deviating(False):
            assert found.adapts is gains
        assert found.adapts


def test_the_numbers_of_the_specification_arrive(places):
    spec = replace(
        SPEC,
        **{"hypernetwork": "basis", "n_basis": 5, "deviation_scale": 0.25, "generate_a": False},
        **{"start": "lora", "shift": False},
    )
    network = source(places, spec, deviating_layers=[1]).source
    assert network.heads.n_basis == 5 and network.deviation_scale == 0.25
    assert sorted(network.heads.basis) == ["b_6x2", "b_8x2"]
    assert network.start == "lora" and network.zero_heads
    assert network.trunk.site_vectors.shape == (3, 4)
    assert network.trunk.from_condition.weight.shape == (6, 4)
    chunked = source(places, replace(SPEC, hypernetwork="chunked", chunk_width=3)).source
    assert chunked.heads.chunk_width == 3
    # Where neither shift nor bias moves the vectors, heads at zero would never move.
    alone = replace(SPEC, shift=False, bias_source="none", start="lora")
    assert not source(places, alone).source.zero_heads


@pytest.mark.parametrize("kind", ["learned", "per-condition", "generated"])
def test_gains_are_those_of_the_condition(places, kind):
    found = source(places, source=kind, gains=True)
    torch.manual_seed(0)
    for parameter in found.parameters():
        torch.nn.init.normal_(parameter)
    index = torch.tensor([2, -1, 4])
    (gains,) = found.gains.values()
    for weights in found(torch.randn(3, 4), {"ids": index}):
        assert torch.equal(weights.gain[1], gains.shared[0])  # nobody has the population's
        for row, i in ((0, 2), (2, 4)):
            wanted = gains.shared[0] + gains.deviation.vectors[i]
            torch.testing.assert_close(weights.gain[row], wanted)


def test_gains_of_mixtures(places):
    found = source(places, source="learned", gains=True)
    (gains,) = found.gains.values()
    torch.nn.init.normal_(gains.deviation.vectors)
    blend = torch.tensor([[0.5, 0.0, 0.25, 0.25, 0.0]])
    wanted = gains.shared + blend @ gains.deviation.vectors
    torch.testing.assert_close(found(torch.zeros(1, 0), {"ids": blend})[0].gain, wanted)


@pytest.mark.parametrize("start", ["zero-change", "lora", "hyperfan-in"])
@pytest.mark.parametrize("form", [LoRA(7, 1.0), Bottleneck(7)])
def test_the_start_of_gains(sites, start, form):
    gains = DirectionGains(form.size, 5, replace(SPEC, start=start))
    wanted = torch.ones(7)
    if start != "lora":
        wanted[Directions.of(7, gains=True).silent_gain] = 0
    found = gains(torch.tensor([0, 3, -1]))
    assert torch.equal(found, wanted.expand(3, -1))


def test_gains_of_several_sizes(sites):
    places = [Placement(sites[0], LoRA(2, 1.0)), Placement(sites[1], Bottleneck(3))]
    found = source(places, source="learned", gains=True)
    weights = found(torch.zeros(1, 0), {"ids": torch.tensor([1, 4])})
    assert [of_site.gain.shape for of_site in weights] == [(2, 2), (2, 3)]
    assert sorted(found.gains) == ["2", "3"]


def test_what_is_stored_needs_one_lookup(places):
    spec = replace(SPEC, conditions={"a": Attributes({"age": 3}), "b": Lookup(2), "c": Lookup(4)})
    for names, message in ((("a",), r"got 0 \(none\)"), (("b", "c"), r"got 2 \(b, c\)")):
        group = GroupSpec(places, "per-condition", names)
        with pytest.raises(ConfigError, match=f"exactly one Lookup .* {message}"):
            GroupSource(spec, group, 4, zero_dims(4))
    mixed = GroupSource(spec, GroupSpec(places, "per-condition", ("a", "c")), 0, zero_dims(1)[:0])
    assert mixed.lookup == "c" and mixed.source.sites[0]["a"].shape[0] == 4
