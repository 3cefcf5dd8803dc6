import math

import pytest
import torch

from hyperadapters.adapters import Bottleneck, BottleneckWeights, LoRAWeights, Placement
from hyperadapters.hypernetworks import LearnedAdapter


def test_one_adapter_for_everybody(places):
    weights = LearnedAdapter(places)(torch.randn(5, 0))
    assert len(weights) == len(places)
    for place, site in zip(places, weights, strict=True):
        assert isinstance(site, LoRAWeights)
        assert site.a.shape == (1, 2, place.site.in_width)
        assert site.b.shape == (1, place.site.out_width, 2)
        assert site.gain is None


def test_forms_can_be_mixed(sites, places):
    mixed = [places[0], Placement(sites[2], Bottleneck(3))]
    lora, bottleneck = LearnedAdapter(mixed)(torch.randn(5, 0))
    assert isinstance(lora, LoRAWeights) and isinstance(bottleneck, BottleneckWeights)
    assert bottleneck.down.shape == (1, 3, 6) and bottleneck.up_bias.shape == (1, 8)


def refilled(adapter: LearnedAdapter) -> LearnedAdapter:
    for parameter in adapter.parameters():
        torch.nn.init.ones_(parameter)
    torch.manual_seed(0)
    adapter.reset_parameters()
    return adapter


def test_starts_as_an_ordinary_lora_where_asked(places):
    adapter = refilled(LearnedAdapter(places, "lora"))
    for place, (a, b, _) in zip(places, adapter(torch.randn(1, 0)), strict=True):
        assert b.abs().max() == 0
        # Kaiming-uniform with a = √5 is uniform within 1/√in_width.
        assert 0 < a.abs().max() <= 1 / math.sqrt(place.site.in_width)
        assert a.abs().mean() > 0.2 / math.sqrt(place.site.in_width)


@pytest.mark.parametrize("start", ["zero-change", "hyperfan-in"])
@pytest.mark.parametrize("gains", [False, True])
def test_otherwise_the_directions_share_the_zeros(places, start, gains):
    adapter = refilled(LearnedAdapter(places, start, gains=gains))
    for place, (a, b, _) in zip(places, adapter(torch.randn(1, 0)), strict=True):
        directions = place.directions(gains=gains)
        assert b[0, :, directions.silent_out].abs().max() == 0
        assert a[0, directions.silent_in].abs().max() == 0
        assert b[0, :, directions.silent_in].abs().min() > 0
        assert a[0, directions.silent_out].abs().min() > 0
