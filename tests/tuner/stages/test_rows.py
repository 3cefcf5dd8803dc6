"""Rows of a batch do not matter to each other, and weights are written once."""

import pytest
import torch

import hyperadapters as ha
from pairwise import pairwise
from staged import (
    FAMILIES,
    FURTHER,
    KINDS,
    STAGES,
    TWO_KINDS,
    WAYS,
    WRITING,
    assert_nothing_is_left,
    counted,
    written_from,
)

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")


@pairwise(family=FAMILIES, stages=STAGES, kind=KINDS)
@torch.no_grad()
def test_batched_is_one_by_one(zoo, adapted, exact, family, stages, kind):
    model, batch = adapted(family, stages, kind)
    calls = counted(model.double())
    together = model(**batch).logits
    assert calls == [1] * len(calls)
    for row in range(4):
        alone = model(**zoo.row_of(batch, row)).logits[0]
        torch.testing.assert_close(alone, together[row], atol=1e-5, rtol=1e-5)
    # What is written is not next to nothing, and not the same for all rows.
    with model.disable_adapter():
        assert (model(**batch).logits - together).abs().amax(dim=(1, 2)).min() > 1e-2
    for name in ha.adapter_network(model).spec.conditions:
        shuffled = written_from(model, name)
        model(**batch)
        other = model(**batch, **{name: shuffled[-1].roll(1, dims=0)}).logits
        assert (other - together).abs().amax(dim=(1, 2)).min() > 1e-3
    assert_nothing_is_left(model)


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", ["T5", *FURTHER])
@torch.no_grad()
def test_padding_on_the_left(zoo, adapted, exact, family, stages):
    model, batch = adapted(family, stages, "published")
    model.double()
    left = {**batch, **zoo.make_texts(left=True)}
    torch.testing.assert_close(model(**left).logits, model(**batch).logits, atol=1e-5, rtol=1e-5)
    left, right = zoo.make_texts(left=True), zoo.make_texts()
    assert torch.equal(model.generate(**left, **WRITING), model.generate(**right, **WRITING))


@pairwise(family=FAMILIES, stages=STAGES, kind=TWO_KINDS, how=WAYS)
@torch.no_grad()
def test_writing_batched_is_one_by_one_and_writes_weights_once(
    zoo, adapted, exact, family, stages, kind, how
):
    model, _ = adapted(family, stages, kind)
    model.double()
    batch, options = zoo.make_texts(), {**WRITING, **WAYS[how]}
    calls, several = counted(model), options.get("num_return_sequences", 1)
    together = model.generate(**batch, **options).unflatten(0, (4, several))
    assert calls == [1] * len(calls)
    for row in range(4):
        alone = model.generate(**zoo.row_of(batch, row), **options)
        assert torch.equal(alone, together[row])
    if how == "greedy":  # the likeliest of many may be the same
        assert len({tuple(words) for words in together[:, 0].tolist()}) > 1
    assert_nothing_is_left(model)


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_the_encoder_runs_once_or_twice(zoo, adapted, family, stages):
    model, _ = adapted(family, stages)
    passes = []
    model.get_base_model().get_encoder().register_forward_pre_hook(lambda *_: passes.append(1))
    model.generate(**zoo.make_texts(), **WRITING)
    assert len(passes) == (1 if stages == "encoder" else 2)
