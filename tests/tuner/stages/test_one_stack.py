"""Classifiers and decoders that read their input twice."""

import pytest
import torch

import hyperadapters as ha
from hyperadapters import Group
from hyperadapters.errors import ConditionError
from hyperadapters.tuner.conditioning import conditioning_of
from hyperadapters.tuner.instance import pool
from staged import (
    WAYS,
    WRITING,
    assert_nothing_is_left,
    counted,
    described,
    read_twice,
    written_from,
)

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")


@pytest.mark.parametrize("family", ["BERT", "RoBERTa", "DistilBERT", "ModernBERT"])
@pytest.mark.parametrize("head", [True, False], ids=["head", "no head"])
@torch.no_grad()
def test_a_classifier_that_reads_twice(zoo, exact, family, head):
    case = zoo.Case(family, "SEQ_CLS")
    parts = {} if head else {"bias_source": "none", "shift": False}
    model = zoo.make_adapted(case, **read_twice(taste_rank=2 if head else 0, **parts)).double()
    batch, seen, passes = zoo.make_batch(case), written_from(model, "read_first"), []
    calls = counted(model)
    base = model.get_base_model()
    base.base_model.register_forward_pre_hook(lambda *_: passes.append(1))
    together = model(**batch).logits
    assert calls == [1, 1] and len(passes) == 2
    # By hand: a model with the adapters of the first pass alone, pooled.
    single = zoo.make_adapted(
        case, random=False, groups=[Group(source="learned", conditions=(), r=2)], **_BARE
    ).double()
    mine, theirs = ha.adapter_network(model), ha.adapter_network(single)
    theirs.sources[0].load_state_dict(mine.sources[0].state_dict())
    with ha.conditioned(single):
        reader = single.get_base_model().base_model
        with conditioning_of(single).applied({}, None):
            states = reader(**batch).last_hidden_state
    wanted = pool(states, batch["attention_mask"], "mean")
    torch.testing.assert_close(seen[-1], wanted, atol=1e-6, rtol=1e-6)
    passes.clear()
    given = model(**batch, read_first=wanted).logits
    assert len(passes) == 1
    torch.testing.assert_close(given, together, atol=1e-6, rtol=1e-6)
    for row in range(4):
        alone = model(**zoo.row_of(batch, row)).logits[0]
        torch.testing.assert_close(alone, together[row], atol=1e-6, rtol=1e-6)
    shifted = model(**batch, read_first=wanted.roll(1, dims=0)).logits
    assert (shifted - together).abs().amax(dim=1).min() > 1e-4


_BARE = {"bias_source": "none", "shift": False, "conditions": {}}


def test_a_head_alone_that_is_written_from_a_first_pass(zoo):
    case = zoo.Case("BERT", "SEQ_CLS")
    groups = [Group(source="learned", conditions=(), r=2, first_pass=True)]
    groups += [Group(source="learned", conditions=(), r=2)]
    config = read_twice(groups=groups)
    model, batch = zoo.make_adapted(case, **config), zoo.make_batch(case)
    output = model(**batch, labels=torch.tensor([0, 1, 2, 0]))
    with torch.no_grad():
        for row in range(4):
            alone = model(**zoo.row_of(batch, row)).logits[0]
            torch.testing.assert_close(alone, output.logits[row], atol=1e-4, rtol=1e-4)
        other = model(**batch, read_first=torch.zeros(32)).logits
        assert not torch.allclose(other, output.logits)
    output.loss.backward()
    assert all(p.grad.abs().max() > 0 for p in ha.adapter_network(model).parameters())


def test_a_classifier_with_two_stacks_and_a_written_head(zoo):
    case = zoo.Case("BART", "SEQ_CLS")
    config = described("encoder", "mlp")
    model = zoo.make_adapted(case, taste_rank=2, **config)
    # BART pools at the last end token, of which every text has one.
    batch = zoo.make_batch(case)
    together = model(**batch, labels=torch.tensor([0, 1, 2, 0]))
    with torch.no_grad():
        for row in range(4):
            alone = model(**zoo.row_of(batch, row)).logits[0]
            torch.testing.assert_close(alone, together.logits[row], atol=1e-4, rtol=1e-4)
    together.loss.backward()
    assert all(p.grad.abs().max() > 0 for p in ha.adapter_network(model).parameters())


def test_a_written_head_without_a_first_pass_is_refused(zoo):
    case = zoo.Case("BART", "SEQ_CLS")
    groups = [Group(source="learned", conditions=(), r=2)]
    config = {"conditions": {"read_first": ha.Instance(source="first-pass")}, "groups": groups}
    model, batch = zoo.make_adapted(case, **config), zoo.make_batch(case)
    with torch.no_grad():
        states = model(**batch).encoder_last_hidden_state
        with pytest.raises(ConditionError, match="head is written from read_first"):
            model(**batch, encoder_outputs=(states,))
        got = model(**batch, encoder_outputs=(states,), read_first=torch.zeros(32)).logits
        assert got.isfinite().all()
        assert_nothing_is_left(model)


@pytest.mark.parametrize("family", ["Llama", "GPT-2", "GPT-NeoX"])
@torch.no_grad()
def test_a_decoder_reads_its_prompt_first(zoo, exact, family):
    case = zoo.Case(family, "CAUSAL_LM")
    model = zoo.make_adapted(case, **read_twice()).double()
    left, seen = zoo.make_texts(left=True), written_from(model, "read_first")
    for way in WAYS.values():
        options = {**WRITING, **way}
        calls, several = counted(model), options.get("num_return_sequences", 1)
        together = model.generate(**left, **options).unflatten(0, (4, several))
        assert calls == [1, 1]
        for row in range(4):
            alone = model.generate(**zoo.row_of(left, row), **options)
            assert torch.equal(alone[:, -5:], together[row, :, -5:])
    seen.clear()
    # Labels tell where the prompt ends; what comes afterwards is not read.
    right, answers = zoo.make_texts(), []
    for word in (7, 8):
        labels = right["input_ids"].clone()
        labels[:, :2] = -100
        changed = right["input_ids"].clone()
        changed[:, 2:] = word
        model(input_ids=changed, attention_mask=right["attention_mask"], labels=labels)
        answers.append(seen[-1])
    torch.testing.assert_close(*answers)
    model.train()
    with pytest.raises(ConditionError, match="only labels tell"):
        model(**right)
    assert_nothing_is_left(model)


@torch.no_grad()
def test_a_decoder_goes_on_by_hand_with_what_it_read_first(zoo):
    model = zoo.make_adapted(zoo.Case("Llama", "CAUSAL_LM"), **read_twice())
    prompt = zoo.make_texts((6, 6))["input_ids"]
    wanted = model.generate(prompt, attention_mask=torch.ones_like(prompt), **WRITING)
    ids, cache, written = prompt, None, []
    for _ in range(5):
        output = model(input_ids=ids, past_key_values=cache, use_cache=True)
        ids, cache = output.logits[:, -1:].argmax(dim=-1), output.past_key_values
        written.append(ids)
    assert torch.equal(torch.cat(written, dim=1), wanted[:, 6:])
