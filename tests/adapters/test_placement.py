import pytest
import torch

from hyperadapters.adapters import (
    Bottleneck,
    BottleneckWeights,
    Directions,
    LoRA,
    LoRAWeights,
    Placement,
    silenced,
)
from hyperadapters.sites import Site

SITE = Site("layer.0.query", 4, 5)


@pytest.mark.parametrize("form", [LoRA(3, 1.0), Bottleneck(3)])
def test_a_placement_asks_its_form(form):
    place = Placement(SITE, form)
    assert place.shapes == form.shapes(SITE)
    assert place.fan_in == form.fan_in(SITE)
    assert place.directions() == Directions.of(3)
    assert place.directions(gains=True) == Directions.of(3, gains=True)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("form", [LoRA(2, 1.0), Bottleneck(2, "tanh")])
def test_silenced_rows_have_no_correction_and_the_others_keep_theirs(form, n):
    torch.manual_seed(0)
    tensors = [torch.randn(n, *shape) for shape in form.shapes(SITE).values()]
    weights = form.assemble(tensors, torch.randn(n, 2))
    kept, x = torch.tensor([True, False, True]), torch.randn(3, 6, 4)
    quiet = silenced(weights, kept)
    assert type(quiet) is type(weights)
    correction, before = form.apply(x, quiet), form.apply(x, weights)
    assert torch.equal(correction[1], torch.zeros(6, 5))
    torch.testing.assert_close(correction[kept], before[kept])
    assert before[1].abs().min() > 0


def test_silencing_leaves_what_comes_in_as_it_is():
    lora = LoRAWeights(torch.ones(1, 2, 4), torch.ones(1, 5, 2))
    bottleneck = BottleneckWeights(
        *[torch.ones(1, *s) for s in Bottleneck(2).shapes(SITE).values()]
    )
    kept = torch.tensor([False])
    assert silenced(lora, kept).a is lora.a
    quiet = silenced(bottleneck, kept)
    assert quiet.down is bottleneck.down and quiet.down_bias is bottleneck.down_bias
    assert quiet.up.abs().max() == 0 and quiet.up_bias.abs().max() == 0
