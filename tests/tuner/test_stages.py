"""Adapters written from the encoder's output, and from a first pass: when, how often, from what."""

import contextlib
import copy
import json
import subprocess
import sys

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import nn
from torch.utils.data import Dataset
from transformers import (
    DynamicCache,
    EncoderDecoderCache,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainingArguments,
)
from transformers.modeling_outputs import BaseModelOutput

import hyperadapters as ha
from hyperadapters import Group
from hyperadapters.errors import ConditionError, ConfigError, SiteError
from hyperadapters.tuner.conditioning import conditioning_of
from hyperadapters.tuner.instance import pool

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")

# The other kinds of T5 are also in tests/families.
FURTHER = [pytest.param(name, marks=pytest.mark.slow) for name in ("T5 v1.1", "mT5")]
FAMILIES = ["T5", "BART", "EncoderDecoder", *FURTHER]
STAGES = ["encoder", "first-pass", "both"]
KINDS = {
    "published": ("hyperdecoder", "bottleneck"),
    "published LoRA": ("hyperdecoder", "lora"),
    "mlp": ("mlp", "lora"),
    "mlp bottleneck": ("mlp", "bottleneck"),
    "basis": ("basis", "lora"),
    "chunked": ("chunked", "bottleneck"),
}
TWO_KINDS = ["published", "mlp"]
TASKS = torch.tensor([2, 0, 1, 0])
WRITING = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}
WAYS = {
    "greedy": {},
    "beams": {"num_beams": 3},
    "sampling": {"do_sample": True, "top_k": 1, "num_return_sequences": 2},
    "all beams": {"num_beams": 3, "num_return_sequences": 3},
}


def described(stages, kind, *, tasks=False):
    """Configuration: learned adapters wherever nothing is written."""
    hypernetwork, form = KINDS[kind]
    published = hypernetwork == "hyperdecoder"
    reading = {"reading": "plain"} if published else {}
    size = {"form": form, "width" if form == "bottleneck" else "r": 3}
    more = ("tasks",) if tasks else ()
    conditions, groups = {"tasks": ha.Lookup(3)} if tasks else {}, []
    if stages == "encoder":
        groups.append(Group(source="learned", conditions=(), stack="encoder", **size))
    else:
        conditions["read_first"] = ha.Instance(source="first-pass", **reading)
        first = Group(source="learned", conditions=(), stack="encoder", first_pass=True, **size)
        groups += [first, Group(conditions=("read_first", *more), stack="encoder", **size)]
    if stages == "first-pass":
        groups.append(Group(source="learned", conditions=(), stack="decoder", **size))
    else:
        conditions["encoded"] = ha.Instance(source="encoder", **reading)
        groups.append(Group(conditions=("encoded", *more), stack="decoder", **size))
    start = "near-zero" if published else "zero-change"
    return {
        "conditions": conditions,
        "groups": groups,
        "hypernetwork": hypernetwork,
        "start": start,
        "chunk_width": 32,
        "n_basis": 3,
    }


@pytest.fixture
def adapted(zoo):
    def make(family, stages="both", kind="mlp", *, tasks=False, random=True, **changes):
        case = zoo.Case(family, "SEQ_2_SEQ_LM")
        config = {**described(stages, kind, tasks=tasks), **changes}
        model = zoo.make_adapted(case, random=random, **config)
        return model, zoo.make_batch(case)

    return make


@pytest.fixture
def exact():
    """Numbers of the conditions, too, in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def counted(model):
    """How often each source writes from now on."""
    calls = [0] * len(ha.adapter_network(model).sources)
    for number, source in enumerate(ha.adapter_network(model).sources):

        def count(*_, number=number):
            calls[number] += 1

        source.register_forward_pre_hook(count)
    return calls


def written_from(model, name):
    """What the networks get under this name, call by call."""
    seen = []
    for network in conditioning_of(model).tuner.hyperadapter_network.values():
        network.register_forward_pre_hook(
            lambda _, args: seen.append(args[0][name]) if name in args[0] else None
        )
    return seen


def assert_nothing_is_left(model):
    conditioning = conditioning_of(model)
    assert conditioning.active is None and conditioning.enabled and conditioning.waiting == {}
    assert not conditioning._thread
    assert all(span._input is None for span in conditioning.tuner._injection.spans)


def source_only(batch):
    return {name: value for name, value in batch.items() if not name.startswith("decoder_")}


# -- rows do not matter to each other ------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
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


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("kind", TWO_KINDS)
@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
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


# -- what is handed over -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TWO_KINDS)
@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_output_of_the_encoder_handed_over(zoo, adapted, family, stages, kind):
    model, batch = adapted(family, stages, kind)
    wanted = model(**batch)
    states, mask = wanted.encoder_last_hidden_state, batch["attention_mask"]
    kept = {"attention_mask": mask, "decoder_input_ids": batch["decoder_input_ids"]}
    for given in (BaseModelOutput(last_hidden_state=states), (states,)):
        got = model(encoder_outputs=given, **kept).logits
        torch.testing.assert_close(got, wanted.logits, atol=1e-5, rtol=1e-5)
    texts = zoo.make_texts()
    for options in ({**WRITING, **way} for way in WAYS.values()):
        outputs = BaseModelOutput(last_hidden_state=states.clone())
        got = model.generate(encoder_outputs=outputs, attention_mask=mask, **options)
        assert torch.equal(got, model.generate(**texts, **options))


@pytest.mark.parametrize("handed", [False, True])
@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_writing_by_hand_with_a_cache(zoo, adapted, family, stages, handed):
    model, _ = adapted(family, stages)
    texts = zoo.make_texts()
    wanted = model.generate(**texts, **WRITING)
    words, cache = wanted[:, :1], None
    given = texts
    if handed:
        states = model(**texts, decoder_input_ids=words).encoder_last_hidden_state
        outputs = BaseModelOutput(last_hidden_state=states)
        given = {"encoder_outputs": outputs, "attention_mask": texts["attention_mask"]}
    written = [words]
    for _ in range(5):
        output = model(**given, decoder_input_ids=words, past_key_values=cache, use_cache=True)
        output.logits[..., zoo.EOS] = float("-inf")
        words, cache = output.logits[:, -1:].argmax(dim=-1), output.past_key_values
        written.append(words)
    # BART is made to end where no more may be written.
    assert torch.equal(torch.cat(written, dim=1)[:, :-1], wanted[:, :-1])


@pytest.mark.parametrize("stages", STAGES)
@torch.no_grad()
def test_an_empty_cache_can_be_given(zoo, adapted, stages):
    model, batch = adapted("T5", stages)
    wanted, cache = model(**batch).logits, EncoderDecoderCache(DynamicCache(), DynamicCache())
    words = batch.pop("decoder_input_ids").split([3, 2], dim=1)
    parts = [model(**batch, decoder_input_ids=w, past_key_values=cache).logits for w in words]
    torch.testing.assert_close(torch.cat(parts, dim=1), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_cache_of_another_input_is_refused(zoo, adapted, family, stages):
    model, _ = adapted(family, stages)
    texts, word = zoo.make_texts(), torch.full((4, 1), 7)
    cache = model(**texts, decoder_input_ids=word, use_cache=True).past_key_values
    other = {name: value.roll(1, dims=0) for name, value in texts.items()}
    with pytest.raises(ConditionError, match="under other conditions"):
        model(**other, decoder_input_ids=word, past_key_values=cache)
    with model.disable_adapter(), pytest.raises(ConditionError, match="disabled now"):
        model(**texts, decoder_input_ids=word, past_key_values=cache)
    assert_nothing_is_left(model)


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("kind", TWO_KINDS)
@torch.no_grad()
def test_vectors_by_keyword_are_taken_instead(zoo, adapted, stages, kind):
    model, batch = adapted("BART", stages, kind)
    names = list(ha.adapter_network(model).spec.conditions)
    seen = {name: written_from(model, name) for name in names}
    wanted, passes = model(**batch).logits, []
    vectors = {name: seen[name][-1].clone() for name in names}
    encoder = model.get_base_model().get_encoder()
    encoder.register_forward_pre_hook(lambda *_: passes.append(1))
    got = model(**batch, **vectors).logits
    torch.testing.assert_close(got, wanted, atol=1e-3, rtol=1e-3)
    assert len(passes) == 1
    # One of several is enough to be taken; the others are read.
    got = model(**batch, **{names[0]: vectors[names[0]]}).logits
    torch.testing.assert_close(got, wanted, atol=1e-3, rtol=1e-3)
    texts = zoo.make_texts()
    written = model.generate(**texts, **WRITING)
    assert torch.equal(model.generate(**texts, **vectors, **WRITING), written)
    with ha.conditioned(model, **vectors):
        torch.testing.assert_close(model(**batch).logits, wanted, atol=1e-3, rtol=1e-3)
        assert torch.equal(model.generate(**texts, **WRITING), written)
    # One vector for all rows.
    one = {name: vector[1] for name, vector in vectors.items()}
    torch.testing.assert_close(model(**batch, **one).logits[1], wanted[1], atol=1e-3, rtol=1e-3)
    with pytest.raises(ConditionError, match=r"got shape \(4, 5\), wanted \(32,\)"):
        model(**batch, **{names[0]: torch.zeros(4, 5)})
    with pytest.raises(ConditionError, match="got 3 values for a batch of 4 rows"):
        model(**batch, **{names[0]: torch.zeros(3, 32)})


# -- beside other conditions ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*TWO_KINDS, "basis"])
@pytest.mark.parametrize("stages", STAGES)
@torch.no_grad()
def test_tasks_beside_what_is_read(zoo, adapted, stages, kind):
    model, batch = adapted("T5", stages, kind, tasks=True)
    calls = counted(model)
    together = model(**batch, tasks=TASKS).logits
    assert calls == [1] * len(calls)
    for row in range(4):
        got = model(**zoo.row_of(batch, row), tasks=TASKS[row]).logits[0]
        torch.testing.assert_close(got, together[row], atol=1e-4, rtol=1e-4)
    other = model(**batch, tasks=TASKS.roll(1)).logits
    assert (other - together).abs().amax(dim=(1, 2)).min() > 1e-3
    one_for_all = model(**batch, tasks=2).logits
    torch.testing.assert_close(one_for_all[0], together[0], atol=1e-4, rtol=1e-4)
    texts = zoo.make_texts()
    for way in WAYS.values():
        options = {**WRITING, **way}
        written = model.generate(**texts, tasks=TASKS, **options)
        with ha.conditioned(model, tasks=TASKS):
            assert torch.equal(model.generate(**texts, **options), written)
            torch.testing.assert_close(model(**batch).logits, together)
    with pytest.raises(ConditionError, match="missing condition tasks"):
        model(**batch)
    with pytest.raises(ConditionError, match="got 3 values for a batch of 4 rows"):
        model(**batch, tasks=[0, 1, 2])
    assert_nothing_is_left(model)


# -- several adapters, and life cycle ------------------------------------------------------------


@pytest.mark.parametrize("kind", TWO_KINDS)
@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_saved_and_loaded(zoo, adapted, tmp_path, family, stages, kind):
    model, batch = adapted(family, stages, kind, share_encoders=False)
    model.save_pretrained(tmp_path)
    case = zoo.Case(family, "SEQ_2_SEQ_LM")
    loaded = PeftModel.from_pretrained(zoo.make_backbone(case), tmp_path).eval()
    assert torch.equal(loaded(**batch).logits, model(**batch).logits)
    texts = zoo.make_texts()
    assert torch.equal(loaded.generate(**texts, **WRITING), model.generate(**texts, **WRITING))
    assert ha.adapter_network(loaded).spec == ha.adapter_network(model).spec


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", ["T5", "BART", "EncoderDecoder"])
@torch.no_grad()
def test_a_deep_copy_is_its_own(zoo, adapted, family, stages):
    model, batch = adapted(family, stages, "published")
    wanted = model(**batch).logits
    copied = copy.deepcopy(model)
    zoo.randomise(copied, seed=5)
    theirs = copied(**batch).logits
    assert torch.equal(model(**batch).logits, wanted) and not torch.equal(theirs, wanted)
    for one in (model, copied):
        hooks = one.get_base_model().get_encoder()._forward_hooks.values()
        readers = [h.__self__ for h in hooks if type(h.__self__).__name__ == "EncoderReader"]
        assert [r.conditioning is conditioning_of(one) for r in readers] == [True] * len(readers)
        assert len(readers) == (stages != "first-pass")
    unloaded = copied.unload()
    assert not unloaded.get_encoder()._forward_hooks
    assert torch.equal(model(**batch).logits, wanted)


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_off_and_unloaded(zoo, adapted, family, stages):
    model, batch = adapted(family, stages)
    case, texts = zoo.Case(family, "SEQ_2_SEQ_LM"), zoo.make_texts()
    plain, calls = zoo.make_backbone(case), counted(model)
    wanted, written = plain(**batch).logits, plain.generate(**texts, **WRITING)
    with model.disable_adapter():
        assert torch.equal(model(**batch).logits, wanted)
        assert torch.equal(model.generate(**texts, **WRITING), written)
    assert calls == [0] * len(calls)
    own = model(**batch).logits
    assert not torch.equal(own, wanted)
    model = model.unload()
    assert torch.equal(model(**batch).logits, wanted)
    assert torch.equal(model.generate(**texts, **WRITING), written)
    encoder = model.get_encoder()
    assert not encoder._forward_hooks and not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize("family", ["T5", "BART"])
@torch.no_grad()
def test_beside_an_adapter_without_stages(zoo, adapted, family):
    model, batch = adapted(family)
    case, texts = zoo.Case(family, "SEQ_2_SEQ_LM"), zoo.make_texts()
    first = model(**batch).logits
    model.add_adapter("other", zoo.make_adapter_config(case))
    for parameter in ha.adapter_network(model, "other").parameters():
        nn.init.normal_(parameter, std=0.3)
    assert torch.equal(model(**batch).logits, first)
    ids = {"annotator_ids": torch.tensor([3, -1, 0, 3])}
    alone = zoo.make_adapted(case, random=False)
    ha.adapter_network(alone).load_state_dict(ha.adapter_network(model, "other").state_dict())
    model.set_adapter("other")
    passes = []
    encoder = model.get_base_model().get_encoder()
    handle = encoder.register_forward_pre_hook(lambda *_: passes.append(1))
    second = model(**batch, **ids).logits
    assert passes == [1]
    handle.remove()
    assert torch.equal(second, alone(**batch, **ids).logits)
    with pytest.raises(ConditionError, match="missing condition annotator_ids"):
        model(**batch)
    model.base_model.set_adapter(["default", "other"])
    both = model(**batch, **ids).logits
    assert not torch.equal(both, first) and not torch.equal(both, second)
    written = model.generate(**texts, **ids, num_beams=3, **WRITING)
    for row in range(4):
        got = model(**zoo.row_of(batch, row), annotator_ids=ids["annotator_ids"][row]).logits[0]
        assert (got - both[row]).norm() < 1e-2 * both[row].norm()
        given = zoo.row_of(texts, row)
        got = model.generate(
            **given, annotator_ids=ids["annotator_ids"][row], num_beams=3, **WRITING
        )
        assert torch.equal(got[0], written[row])
    model.delete_adapter("default")
    assert not encoder._forward_hooks
    assert torch.equal(model(**batch, **ids).logits, second)
    # And again, beside what was there before.
    model.add_adapter("third", zoo.make_adapter_config(case, **described("both", "mlp")))
    model.set_adapter("third")
    assert model(**batch).logits.isfinite().all()
    assert len(encoder._forward_hooks) == 1


@torch.no_grad()
def test_one_name_that_two_active_adapters_read_differently(zoo, adapted):
    model, batch = adapted("T5", "encoder")
    other = described("encoder", "mlp")
    other["conditions"] = {"encoded": ha.Instance(pool="max", source="encoder")}
    model.add_adapter("other", zoo.make_adapter_config(zoo.Case("T5", "SEQ_2_SEQ_LM"), **other))
    assert model(**batch).logits.isfinite().all()
    model.base_model.set_adapter(["default", "other"])
    with pytest.raises(ConditionError, match=r"encoded.*differently"):
        model(**batch)
    assert_nothing_is_left(model)
    model.set_adapter("other")
    assert model(**batch).logits.isfinite().all()


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", ["T5", "BART", "EncoderDecoder"])
@torch.no_grad()
def test_a_failure_in_the_middle_leaves_nothing(zoo, adapted, family, stages):
    model, batch = adapted(family, stages, "published")
    texts = zoo.make_texts()
    wanted, written = model(**batch).logits, model.generate(**texts, **WRITING)
    base = model.get_base_model()
    places = [p for p in base.get_encoder().modules() if isinstance(p, nn.Dropout)][-1:]
    places += [p for p in base.get_decoder().modules() if isinstance(p, nn.Dropout)][-1:]
    places += [ha.adapter_network(model).sources[-1]]
    for place in places:
        handle = place.register_forward_pre_hook(lambda *_: 1 / 0)
        for call in (lambda: model(**batch), lambda: model.generate(**texts, **WRITING)):
            with pytest.raises(ZeroDivisionError):
                call()
            assert_nothing_is_left(model)
        handle.remove()
        assert torch.equal(model(**batch).logits, wanted)
        assert torch.equal(model.generate(**texts, **WRITING), written)


@torch.no_grad()
def test_parts_by_themselves(zoo, adapted):
    model, batch = adapted("T5", "encoder")
    encoder = model.get_base_model().get_encoder()
    with pytest.raises(ConditionError, match="without a condition"):
        encoder(**zoo.make_texts())
    wanted = model(**batch).encoder_last_hidden_state
    with ha.conditioned(model, encoded=torch.zeros(32)):
        assert torch.equal(encoder(**zoo.make_texts()).last_hidden_state, wanted)
    handed = {"attention_mask": batch["attention_mask"]}
    decoder = model.get_base_model().get_decoder()
    with pytest.raises(ConditionError):
        decoder(input_ids=batch["decoder_input_ids"], encoder_hidden_states=wanted, **handed)


@torch.no_grad()
def test_without_a_mask(zoo, adapted):
    model, _ = adapted("T5", "both")
    ids, words = zoo.make_texts((6, 6))["input_ids"], torch.full((2, 3), 7)
    mask = torch.ones_like(ids)
    wanted = model(input_ids=ids, attention_mask=mask, decoder_input_ids=words).logits
    assert torch.equal(model(input_ids=ids, decoder_input_ids=words).logits, wanted)
    assert torch.equal(model.get_base_model()(ids, mask, words).logits, wanted)
    embedded = model.get_base_model().get_input_embeddings()(ids)
    got = model(inputs_embeds=embedded, attention_mask=mask, decoder_input_ids=words).logits
    torch.testing.assert_close(got, wanted)
    given = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": words}
    assert torch.equal(model(**given, return_dict=False)[0], wanted)


# -- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", ["T5", "BART"])
def test_every_tensor_learns_at_the_first_step(zoo, adapted, family, stages, kind):
    model, batch = adapted(family, stages, kind, random=False)
    with torch.no_grad(), model.disable_adapter():
        plain = model(**batch).logits
    labels = batch["decoder_input_ids"]
    output = model(**source_only(batch), decoder_input_ids=labels, labels=labels.flip(1))
    change = (output.logits - plain).abs().max()
    assert change < 1e-2 if KINDS[kind][0] == "hyperdecoder" else change < 1e-5
    output.loss.backward()
    network = ha.adapter_network(model)
    still = {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    }
    unexplained = {name for name in still if not starts_still(name, stages)}
    assert unexplained == set()


def starts_still(name, stages):
    """What learns only when something else has moved: the adapters of a first pass.

    They act through vectors alone, and with a start of no change at all the vectors do not count
    yet.
    """
    return stages != "encoder" and name.startswith("sources.0.")


@pytest.mark.parametrize("stages", ["first-pass", "both"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_first_pass_learns_from_the_second_step_on(adapted, stages, kind):
    model, batch = adapted("T5", stages, kind, random=False)
    network = ha.adapter_network(model)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    labels = batch["decoder_input_ids"]
    for _ in range(2):
        optimizer.zero_grad()
        model(**source_only(batch), labels=labels).loss.backward()
        optimizer.step()
    assert all(p.grad.abs().max() > 0 for p in network.parameters())


@pytest.mark.parametrize("kind", TWO_KINDS)
@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", ["BART", "EncoderDecoder"])
def test_gradients_against_differences(zoo, adapted, exact, family, stages, kind):
    # Of the adapters that the vectors are made with: nothing of the way may be cut off.
    model, batch = adapted(family, stages, kind)
    model.double()
    network, labels = ha.adapter_network(model), batch["decoder_input_ids"]

    def loss():
        return model(**source_only(batch), labels=labels).loss

    loss().backward()
    generator = torch.Generator().manual_seed(3)
    for source in network.sources:
        parameters = list(source.parameters())
        steps = [
            torch.randn(p.shape, generator=generator, dtype=p.dtype) / p.numel() ** 0.5
            for p in parameters
        ]
        slope = sum((p.grad * s).sum() for p, s in zip(parameters, steps, strict=True))
        values = []
        with torch.no_grad():
            for sign in (1, -2):
                for p, s in zip(parameters, steps, strict=True):
                    p.add_(s, alpha=sign * 1e-6)
                values.append(loss())
            for p, s in zip(parameters, steps, strict=True):
                p.add_(s, alpha=1e-6)
        found = (values[0] - values[1]) / 2e-6
        torch.testing.assert_close(found, slope, rtol=1e-3, atol=1e-6)


def test_the_vector_carries_gradient_to_the_encoder(adapted):
    model, batch = adapted("T5", "encoder", "published")
    seen, labels = written_from(model, "encoded"), batch["decoder_input_ids"]
    gradients = []
    for cut in (False, True):
        model.zero_grad()
        given = {"encoded": seen[-1].detach()} if cut else {}
        model(**source_only(batch), labels=labels, **given).loss.backward()
        source = ha.adapter_network(model).sources[0]
        gradients.append(torch.cat([p.grad.flatten() for p in source.parameters()]))
    assert (gradients[0] - gradients[1]).norm() > 0.01 * gradients[0].norm()


@pytest.mark.parametrize("kind", TWO_KINDS)
@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
def test_checkpoints_give_the_same_gradients(adapted, exact, family, stages, kind):
    gradients = []
    for checkpointing in (False, True):
        model, batch = adapted(family, stages, kind)
        model.double().train()
        if checkpointing:
            model.get_base_model().activation_checkpointing_enable()
        labels = batch["decoder_input_ids"]
        # Two calls before one step: each has its own weights.
        other = {name: value.roll(1, dims=0) for name, value in source_only(batch).items()}
        losses = [
            model(**given, labels=labels, use_cache=False).loss
            for given in (source_only(batch), other)
        ]
        sum(losses).backward()
        gradients.append([p.grad for p in ha.adapter_network(model).parameters()])
    for without, with_it in zip(*gradients, strict=True):
        torch.testing.assert_close(with_it, without, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_autocast(zoo, adapted, family, kind):
    model, batch = adapted(family, "both", kind)
    for parameter in ha.adapter_network(model).parameters():
        parameter.data.mul_(0.5)
    labels = batch["decoder_input_ids"]
    wanted = model(**source_only(batch), labels=labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = model(**source_only(batch), labels=labels)
        with torch.no_grad():
            model.generate(**zoo.make_texts(), num_beams=2, **WRITING)
    assert (got.loss - wanted.loss).abs() < 0.1 * wanted.loss
    got.loss.backward()
    for parameter in ha.adapter_network(model).parameters():
        assert parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all()


@pytest.mark.parametrize("kind", TWO_KINDS)
@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
def test_beside_a_backbone_in_half_precision(zoo, adapted, family, stages, kind):
    case = zoo.Case(family, "SEQ_2_SEQ_LM")
    backbone = zoo.make_backbone(case).to(torch.bfloat16)
    model = get_peft_model(backbone, zoo.make_adapter_config(case, **described(stages, kind)))
    batch = zoo.make_batch(case)
    model(**source_only(batch), labels=batch["decoder_input_ids"]).loss.backward()
    parameters = list(ha.adapter_network(model).parameters())
    assert all(p.dtype == torch.float32 and p.grad.isfinite().all() for p in parameters)
    with torch.no_grad():
        model.eval().generate(**zoo.make_texts(), num_beams=2, **WRITING)


def test_writing_keeps_no_graph(zoo, adapted):
    model, _ = adapted("T5", "both")
    grown = []
    ha.adapter_network(model).register_forward_hook(
        lambda _, args, output: grown.append(
            any(
                part.requires_grad
                for group in output.groups
                if hasattr(group, "sites")
                for site in group.sites
                for part in site
                if part is not None and part.grad_fn is not None
            )
        )
    )
    model.generate(**zoo.make_texts(), **WRITING)
    assert grown and not any(grown)


# -- one stack -----------------------------------------------------------------------------------


def read_twice(**changes):
    """Learned adapters in the first pass, written ones in the second."""
    first = Group(source="learned", conditions=(), r=2, first_pass=True)
    return {
        "conditions": {"read_first": ha.Instance(source="first-pass")},
        "groups": [first, Group(r=2)],
        **changes,
    }


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


# -- compiled ------------------------------------------------------------------------------------

# The tests check shapes by wrapping every function, which is not what users compile.
SCRIPT = """
import importlib.util, json, sys
import torch
import hyperadapters as ha

torch.set_num_threads(1)
path, family, config = sys.argv[1:]
spec = importlib.util.spec_from_file_location("families_zoo", path)
sys.modules["families_zoo"] = zoo = importlib.util.module_from_spec(spec)
spec.loader.exec_module(zoo)
config = json.loads(config)
case, graphs, found = zoo.Case(family, "SEQ_2_SEQ_LM"), [], {}
model, batch = zoo.make_adapted(case, **config), zoo.make_batch(case)
other = {name: value.roll(1, 0) for name, value in batch.items()}
compiled = torch.compile(model, backend=lambda g, _: graphs.append(g) or g, fullgraph=True)
with torch.no_grad():
    for given in (batch, other):
        difference = compiled(**given).logits - model(**given).logits
        found.setdefault("differences", []).append(float(difference.abs().max()))
found["graphs"] = len(graphs)
gradients = []
for module in (model, compiled):
    model.zero_grad()
    module(**batch).logits.square().mean().backward()
    parameters = ha.adapter_network(model).parameters()
    gradients.append(torch.cat([p.grad.flatten() for p in parameters]))
found["differences"].append(float((gradients[0] - gradients[1]).norm() / gradients[0].norm()))
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "stages",
    ["both", *(pytest.param(s, marks=pytest.mark.slow) for s in STAGES if s != "both")],
)
@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=[pytest.mark.slow] * (k != "published")) for k in TWO_KINDS],
)
def test_compiled_as_one_graph(zoo, stages, kind):
    config = described(stages, kind)
    config["conditions"] = {n: c.to_dict() for n, c in config["conditions"].items()}
    config["groups"] = [group.to_dict() for group in config["groups"]]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, zoo.__file__, "T5", json.dumps(config)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["graphs"] == 1
    assert max(found["differences"]) < 1e-4


# -- trainers ------------------------------------------------------------------------------------


class Rows(Dataset):
    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch["labels"])

    def __getitem__(self, index):
        return {name: value[index] for name, value in self.batch.items()}


@pytest.mark.parametrize("family", ["T5", "BART", "EncoderDecoder"])
@pytest.mark.parametrize("stages", STAGES)
def test_seq2seq_trainer(zoo, adapted, tmp_path, family, stages):
    model, batch = adapted(family, stages, tasks=True, random=False)
    rows = {**source_only(batch), "labels": batch["decoder_input_ids"], "tasks": TASKS}
    arguments = Seq2SeqTrainingArguments(
        str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=2,
        per_device_eval_batch_size=3,
        predict_with_generate=True,
        generation_max_length=6,
        generation_num_beams=2,
        learning_rate=0.1,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_steps=1,
    )
    trainer = Seq2SeqTrainer(model, arguments, train_dataset=Rows(rows), eval_dataset=Rows(rows))
    before = copy.deepcopy(ha.adapter_network(model).state_dict())
    trainer.train()
    moved = [
        not torch.equal(value, before[name])
        for name, value in ha.adapter_network(model).state_dict().items()
    ]
    assert sum(moved) > 0.8 * len(moved)
    written = trainer.predict(Rows(rows)).predictions
    with torch.no_grad():
        given = {"max_length": 6, "num_beams": 2}
        wanted = model.eval().generate(**source_only(batch), tasks=TASKS, **given)
    width = min(written.shape[1], wanted.shape[1])
    assert (written[:, :width] == wanted[:, :width].numpy()).all()


def test_trainer_with_a_classifier_that_reads_twice(zoo, tmp_path):
    case = zoo.Case("BERT", "SEQ_CLS")
    model = zoo.make_adapted(case, random=False, **read_twice())
    rows = {**zoo.make_batch(case), "labels": torch.tensor([0, 1, 2, 0])}
    arguments = TrainingArguments(
        str(tmp_path), max_steps=2, learning_rate=0.1, use_cpu=True, report_to=[]
    )
    trainer = Trainer(model, arguments, train_dataset=Rows(rows), eval_dataset=Rows(rows))
    trainer.train()
    assert trainer.evaluate()["eval_loss"] > 0
    assert trainer.predict(Rows(rows)).predictions.shape == (4, 3)


# -- refusals ------------------------------------------------------------------------------------


def test_merging_and_exporting(zoo, adapted, tmp_path):
    model, batch = adapted("T5", "encoder", "mlp")
    with pytest.raises(ConfigError, match="nothing single to merge"):
        model.merge_and_unload()
    with pytest.raises(ConfigError, match="encoded is the input itself"):
        model.merge_and_unload(condition={})
    with pytest.raises(ConfigError, match="encoded is the input itself"):
        ha.export_lora(model, {}, tmp_path / "lora")
    bottleneck, _ = adapted("T5", "encoder", "published")
    with pytest.raises(ConfigError, match="which is not linear"):
        bottleneck.merge_and_unload(condition={"encoded": torch.zeros(32)})
    twice, _ = adapted("T5", "both", "mlp")
    vectors = {"encoded": torch.zeros(32), "read_first": torch.zeros(32)}
    with pytest.raises(ConfigError, match="for a first pass alone"):
        twice.merge_and_unload(condition=vectors)
    with torch.no_grad():
        one = torch.randn(32)
        wanted = model(**batch, encoded=one).logits
        merged = model.merge_and_unload(condition={"encoded": one})
        torch.testing.assert_close(merged(**batch).logits, wanted, atol=1e-4, rtol=1e-4)
        assert not merged.get_encoder()._forward_hooks


def failing(zoo, family, error, message, head="SEQ_2_SEQ_LM", **config):
    case = zoo.Case(family, head)
    with pytest.raises(error, match=message):
        get_peft_model(zoo.make_backbone(case), zoo.make_adapter_config(case, **config))


ENCODED = {"encoded": ha.Instance(source="encoder")}
FIRST = {"read_first": ha.Instance(source="first-pass")}


def test_what_cannot_be_built(zoo):
    failing(zoo, "T5", SiteError, "give the group stack='decoder'", conditions=ENCODED)
    on_encoder = [Group(stack="encoder")]
    failing(zoo, "BART", SiteError, "encoder gives when", conditions=ENCODED, groups=on_encoder)
    failing(zoo, "BERT", SiteError, "stack='decoder'", "SEQ_CLS", conditions=ENCODED)
    learned = [Group(source="learned", conditions=())]
    for family, head in (("BERT", "SEQ_CLS"), ("Llama", "CAUSAL_LM"), ("OPT", "CAUSAL_LM")):
        groups = learned if family != "OPT" else [Group(r=2)]
        message = "has no decoder; use source='first-pass'"
        failing(zoo, family, ConfigError, message, head, conditions=ENCODED, groups=groups)
    first = [Group(source="learned", conditions=(), first_pass=True), Group()]
    message = "needs a condition Instance\\(source='first-pass'\\)"
    one = {"tasks": ha.Lookup(3)}
    failing(zoo, "T5", ConfigError, message, conditions=one, groups=first)
    first_reads = [Group(first_pass=True), Group()]
    failing(
        zoo, "BERT", ConfigError, "read afterwards", "SEQ_CLS", conditions=FIRST, groups=first_reads
    )
    for kind in ("mlp", "basis", "chunked", "two-tower"):
        failing(
            zoo,
            "T5",
            ConfigError,
            "belongs to hypernetwork='hyperdecoder'",
            conditions=one,
            hypernetwork=kind,
            start="near-zero",
        )
    for kind in ("mlp", "basis", "chunked"):
        for reading in ("plain", "none"):
            read = {"encoded": ha.Instance(source="encoder", reading=reading)}
            failing(
                zoo,
                "T5",
                ConfigError,
                f"reading='{reading}' is for",
                conditions=read,
                hypernetwork=kind,
                groups=[Group(stack="decoder")],
            )
            given = {"given": ha.Vector(5, reading=reading)}
            failing(
                zoo,
                "T5",
                ConfigError,
                f"reading='{reading}' is for",
                conditions=given,
                hypernetwork=kind,
            )


@pytest.mark.parametrize("source", ["first-pass", "encoder"])
def test_what_cannot_be_declared(source):
    with pytest.raises(ConfigError, match="reads the last layer, got layer=0"):
        ha.Instance(source=source, layer=0)
    with pytest.raises(ConfigError, match="no encoded_width"):
        ha.Instance(source=source, reading="none", encoded_width=4)


@pytest.mark.parametrize("first", [ENCODED, {"tasks": ha.Lookup(3)}])
@torch.no_grad()
def test_a_backbone_can_be_adapted_after_a_refusal(zoo, first):
    case = zoo.Case("T5", "SEQ_2_SEQ_LM")
    backbone = zoo.make_backbone(case)
    groups = [Group(source="learned", conditions=(), first_pass=True), Group(stack="encoder")]
    with pytest.raises((ConfigError, SiteError)):
        get_peft_model(backbone, zoo.make_adapter_config(case, conditions=first, groups=groups))
    config = zoo.make_adapter_config(case, **described("both", "mlp"))
    batch = zoo.make_batch(case)
    torch.manual_seed(0)
    model = get_peft_model(backbone, config).eval()
    torch.manual_seed(0)
    fresh = get_peft_model(
        zoo.make_backbone(case), zoo.make_adapter_config(case, **described("both", "mlp"))
    ).eval()
    for one in (model, fresh):
        zoo.randomise(ha.adapter_network(one))
    assert torch.equal(model(**batch).logits, fresh(**batch).logits)


@torch.no_grad()
def test_a_second_adapter_that_is_refused_leaves_the_first_one(zoo):
    case = zoo.Case("BERT", "SEQ_CLS")
    model, batch = zoo.make_adapted(case), zoo.make_batch(case)
    wanted = model(**batch, annotator_ids=1).logits
    groups = [Group(source="learned", conditions=())]
    config = zoo.make_adapter_config(case, conditions=ENCODED, groups=groups)
    with pytest.raises(ConfigError, match="has no decoder"):
        model.add_adapter("other", config)
    assert torch.equal(model(**batch, annotator_ids=1).logits, wanted)
    with contextlib.suppress(KeyError, ValueError):
        model.delete_adapter("other")
    assert torch.equal(model(**batch, annotator_ids=1).logits, wanted)
