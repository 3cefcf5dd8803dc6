"""What a caller hands over: the output of the encoder, a cache, the vectors, other conditions."""

import pytest
import torch
from transformers import (
    DynamicCache,
    EncoderDecoderCache,
)
from transformers.modeling_outputs import BaseModelOutput

import hyperadapters as ha
from hyperadapters.errors import ConditionError
from pairwise import pairwise
from staged import (
    FAMILIES,
    STAGES,
    TASKS,
    TWO_KINDS,
    WAYS,
    WRITING,
    assert_nothing_is_left,
    counted,
    written_from,
)

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")


@pairwise(family=FAMILIES, stages=STAGES, kind=TWO_KINDS)
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


@pairwise(family=FAMILIES, stages=STAGES, handed=[False, True])
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
