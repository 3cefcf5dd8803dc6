"""Conditions that outlive a call: blocks, threads, copies, caches, names."""

import threading

import pytest
import torch

import hyperadapters as ha
from hyperadapters.errors import ConditionError, ConfigError

IDS = torch.tensor([2, -1, 0, 2, 6, -1])


@torch.no_grad()
def test_a_block_follows_what_happens_to_the_adapters(adapted, config, texts, randomised):
    model, batch = adapted(bias_source="none", shift=False), texts()
    model.add_adapter("two", config(bias_source="none", shift=False))
    randomised(model.base_model.hyperadapter_network["two"], seed=5)
    of_two = None
    with ha.conditioned(model, annotator_ids=2):
        of_one = model(**batch).logits
        model.set_adapter("two")
        of_two = model(**batch).logits
        model.base_model.hyperadapter_network["two"].sources[0].source.shared.sites[0]["b"] += 1
        trained = model(**batch).logits
    assert not torch.allclose(of_one, of_two, atol=1e-3)
    assert not torch.allclose(of_two, trained, atol=1e-3)
    model.set_adapter("default")
    torch.testing.assert_close(model(**batch, annotator_ids=2).logits, of_one)


def test_several_steps_in_a_block(adapted, texts):
    model, batch = adapted().train(), texts()
    with ha.conditioned(model, annotator_ids=IDS):
        for _ in range(2):
            model(**batch).logits.sum().backward()


def test_a_part_of_the_model_in_a_block(adapted, texts):
    model, batch = adapted(), texts()
    part = model.get_base_model().bert
    with torch.no_grad():
        wanted = model(**batch, annotator_ids=2, output_hidden_states=True).hidden_states[-1]
        with ha.conditioned(model, annotator_ids=2):
            got = part(**batch).last_hidden_state
    torch.testing.assert_close(got, wanted)
    with ha.conditioned(model, annotator_ids=2), pytest.raises(ConditionError, match="no_grad"):
        part(**batch)


def test_names_that_no_condition_has(adapted, texts):
    model = adapted()
    with pytest.raises(ConditionError, match="no condition 'annotatr_ids'; did you mean 'annot"):
        ha.conditioned(model, annotator_ids=1, annotatr_ids=3).__enter__()
    with pytest.raises(ConditionError, match=r"got 'annotators_ids'.*did you mean"):
        model(**texts(), annotator_ids=IDS, annotators_ids=IDS)


def test_a_second_thread_is_refused(adapted, texts):
    model, batch = adapted(), texts()
    inside, leave, seen = threading.Event(), threading.Event(), []

    def wait(*_):
        inside.set()
        assert leave.wait(timeout=20)

    handle = model.get_base_model().bert.encoder.register_forward_pre_hook(wait)

    def call():
        with torch.no_grad():
            seen.append(model(**batch, annotator_ids=IDS).logits)

    first = threading.Thread(target=call)
    first.start()
    assert inside.wait(timeout=20)
    handle.remove()
    with pytest.raises(ConditionError, match="in the middle of a call of another thread"):
        model(**batch, annotator_ids=1)
    leave.set()
    first.join()
    # The first call has its rows, and afterwards any thread may call.
    with torch.no_grad():
        torch.testing.assert_close(model(**batch, annotator_ids=IDS).logits, seen[0])


def test_rows_of_something_else_than_text(zoo):
    case = zoo.Case("T5", "SEQ_2_SEQ_LM")
    model, batch = zoo.make_adapted(case), zoo.make_batch(case)
    with torch.no_grad(), ha.conditioned(model, annotator_ids=1):
        states = model.get_base_model().get_encoder()(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        )
    given = {k: v for k, v in batch.items() if k not in ("input_ids", "attention_mask")}
    rows = len(batch["input_ids"])
    with pytest.raises(ConditionError, match=f"got 2 values for a batch of {rows} rows"):
        model(encoder_outputs=(states[0],), **given, annotator_ids=[1, 2])


@torch.no_grad()
def test_a_cache_of_another_adapter_or_another_state(zoo):
    case = zoo.Case("Llama", "CAUSAL_LM")
    model, other = zoo.make_adapted(case), zoo.make_adapted(case)
    ids = zoo.make_batch(case)["input_ids"][:, :3]

    def cached(**changes):
        return model(input_ids=ids, annotator_ids=1, use_cache=True, **changes)

    with pytest.raises(ConditionError, match="another adapter"):
        other(input_ids=ids[:, :1], past_key_values=cached().past_key_values, annotator_ids=1)
    cache = cached().past_key_values
    next(iter(ha.adapter_network(model).parameters())).add_(0.1)
    with pytest.raises(ConditionError, match="another adapter"):
        model(input_ids=ids[:, :1], past_key_values=cache, annotator_ids=1)
    # A tuple holds the model's own cache too.
    (cache,) = (part for part in cached(return_dict=False) if hasattr(part, "get_seq_length"))
    model(input_ids=ids[:, :1], past_key_values=cache, annotator_ids=1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"condition_width": 8.5}, "condition_width must be at least 1, got 8.5"),
        ({"deviation_scale": float("nan")}, "deviation_scale must be at least 0, got nan"),
        ({"conditions": ["a"]}, "conditions must name what the model adapts to"),
        ({"conditions": {"a": 5}}, r"condition 'a': got 5, wanted Lookup\(n\)"),
        ({"conditions": {3: ha.Lookup(2)}}, "cannot be called 3: it must be a Python identifier"),
        ({"groups": "lora"}, "groups must be a list of Group, got 'lora'"),
        ({"groups": [ha.Group()], "gains": True, "r": 4}, "gains, r belong into each group"),
    ],
)
def test_fields_of_the_wrong_kind(fields, message):
    config = ha.HyperAdapterConfig()
    # Set afterwards, because beartype, which only the tests have, would be the first to refuse.
    for name, value in fields.items():
        setattr(config, name, value)
    with pytest.raises(ConfigError, match=message):
        config.__post_init__()
