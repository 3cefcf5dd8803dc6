import math

import torch

from hyperadapters.hypernetworks import LearnedAdapter


def test_one_adapter_for_everybody(sites):
    weights = LearnedAdapter(sites, r=3)(torch.randn(5, 0))
    assert len(weights) == len(sites)
    for site, (a, b) in zip(sites, weights, strict=True):
        assert a.shape == (1, 3, site.in_width)
        assert b.shape == (1, site.out_width, 3)


def test_starts_as_an_ordinary_lora(sites):
    adapter = LearnedAdapter(sites, r=3)
    for parameter in adapter.parameters():
        torch.nn.init.ones_(parameter)
    torch.manual_seed(0)
    adapter.reset_parameters()
    for site, (a, b) in zip(sites, adapter(torch.randn(1, 0)), strict=True):
        assert b.abs().max() == 0
        # Kaiming-uniform with a = √5 is uniform within 1/√in_width.
        assert 0 < a.abs().max() <= 1 / math.sqrt(site.in_width)
        assert a.abs().mean() > 0.2 / math.sqrt(site.in_width)
