"""Which parameters of a recipe have a learning rate of their own."""

import pytest

from hyperadapters.training.tasks.optimizer import ADAPTER, GENERATOR, NEW, build_optimizer

RATES = {ADAPTER: 0.1, NEW: 0.3, GENERATOR: 0.02}


def rates_of(made):
    names = {id(p): name for name, p in made.model.named_parameters()}
    optimizer = build_optimizer(made.model, RATES, 0.0)
    return {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("recipe", ["hyperdecoder", "hyperdecoder-lora", "hyperformer"])
def test_what_writes_adapters_has_a_rate_of_its_own(build, recipe):
    made = build(recipe, "tiny-t5", encoder_width=4, decoder_width=4)
    groups = rates_of(made)
    written = {name for name, rate in groups.items() if rate == RATES[GENERATOR]}
    held = {name for name, rate in groups.items() if rate == RATES[ADAPTER]}
    assert written | held == set(groups) and written
    assert all(".encoders." in n or ".source." in n for n in written)
    # Learned adapters, and what all conditions share of the written ones.
    if recipe != "hyperformer":
        assert any(".sites." in name for name in held)
    assert any(".shared." in name for name in held) == (recipe == "hyperdecoder-lora")
    assert not any(".shared." in n or ".trunk." in n for n in held) or recipe == "hyperdecoder-lora"


@pytest.mark.parametrize("recipe", ["single-adapter", "adapter-per-task"])
def test_adapters_that_are_not_written(build, recipe):
    made = build(recipe, "tiny-t5", encoder_width=4, decoder_width=4)
    groups = rates_of(made)
    assert RATES[GENERATOR] not in set(groups.values())
