"""The input itself as a condition: what is read of it, when, and how often."""

import pytest
import torch
from transformers import DynamicCache

import hyperadapters as ha
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.tuner.conditioning import conditioning_of
from hyperadapters.tuner.instance import pool

IDS = torch.tensor([3, -1, 0, 3])
CONTENT = {"content": ha.Instance()}
BOTH = {"content": ha.Instance(), "annotator_ids": ha.Lookup(7)}
WRITING = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}


@pytest.fixture
def bert(zoo):
    return lambda head="SEQ_CLS", **changes: zoo.make_adapted(
        zoo.Case("BERT", head), **{"conditions": CONTENT, **changes}
    )


@pytest.fixture
def llama(zoo):
    return lambda **changes: zoo.make_adapted(
        zoo.Case("Llama", "CAUSAL_LM"), **{"conditions": CONTENT, **changes}
    )


@pytest.fixture
def batch(zoo):
    return zoo.make_texts()


def contents(model) -> list[torch.Tensor]:
    """The vectors that the network gets from now on, call by call."""
    seen = []
    network = ha.adapter_network(model)
    network.register_forward_pre_hook(lambda _, args: seen.append(args[0]["content"]))
    return seen


@pytest.mark.parametrize("how", ["mean", "first", "last", "max"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_pooling_against_a_loop(how, side):
    states, lengths = torch.randn(4, 6, 5), [6, 1, 4, 2]
    mask = torch.zeros(4, 6, dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, 6 - length :] = side == "left"
        mask[row, :length] = mask[row, :length] | (side == "right")
    pooled = pool(states.masked_fill(~mask.bool().unsqueeze(-1), 1e9), mask, how)
    for row in range(4):
        kept = states[row][mask[row].bool()]
        wanted = {
            "mean": kept.mean(dim=0),
            "first": kept[0],
            "last": kept[-1],
            "max": kept.max(dim=0).values,
        }[how]
        torch.testing.assert_close(pooled[row], wanted)


@pytest.mark.parametrize("layer", [-1, 0, 1])
@pytest.mark.parametrize("how", ["mean", "first", "last", "max"])
@torch.no_grad()
def test_what_is_read_is_the_backbone_without_the_adapter(zoo, bert, batch, how, layer):
    model = bert(conditions={"content": ha.Instance(pool=how, layer=layer)})
    plain, seen = zoo.make_backbone(zoo.Case("BERT", "SEQ_CLS")).bert, contents(model)
    model(**batch)
    states = plain(**batch, output_hidden_states=True).hidden_states[layer]
    torch.testing.assert_close(seen[0], pool(states, batch["attention_mask"], how))


@pytest.mark.parametrize("how", ["mean", "last"])
@torch.no_grad()
def test_padding_and_the_other_rows_do_not_matter(zoo, bert, batch, how):
    model = bert(conditions={"content": ha.Instance(pool=how)}).double()
    together = model(**batch).logits
    for row in range(4):
        alone = model(**zoo.row_of(batch, row)).logits[0]
        torch.testing.assert_close(alone, together[row], atol=1e-9, rtol=1e-9)
    # And the text does matter: under the condition of another one, it is answered otherwise.
    vectors = contents(model)
    model(**batch)
    swapped = model(**batch, content=vectors[0].flip(0)).logits
    assert (swapped - together).abs().amax(dim=1).min() > 1e-3


def test_the_gradient_reaches_the_encoder_and_not_the_backbone(bert, batch):
    model = bert()
    loss = model(**batch, labels=torch.tensor([0, 1, 2, 0])).loss
    loss.backward()
    encoder = ha.adapter_network(model).encoders["content"]
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in encoder.parameters())
    assert {n for n, p in model.named_parameters() if p.grad is not None} == {
        n for n, p in model.named_parameters() if p.requires_grad
    }


def test_the_backbone_is_read_once_more_without_dropout(zoo, bert, batch):
    model = bert(lora_dropout=0.5).train()
    inner, modes, seen = model.get_base_model(), [], contents(model)
    for module in inner.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    inner.bert.embeddings.dropout.eval()  # a module that was in another mode stays in it
    before = {name: module.training for name, module in model.named_modules()}
    inner.bert.register_forward_pre_hook(
        lambda module, _: modes.append((module.training, conditioning_of(model).enabled))
    )
    for _ in range(2):
        model(**batch)
    assert modes == [(False, False), (True, True)] * 2
    assert torch.equal(*seen)
    assert {name: module.training for name, module in model.named_modules()} == before


def test_modes_come_back_when_the_reading_fails(bert, batch):
    model = bert().train()
    handle = (
        model.get_base_model().bert.encoder.layer[1].register_forward_pre_hook(lambda *_: 1 / 0)
    )
    with pytest.raises(ZeroDivisionError):
        model(**batch)
    handle.remove()
    assert all(module.training for module in model.modules())
    assert conditioning_of(model).enabled and conditioning_of(model).active is None
    model(**batch)


@torch.no_grad()
def test_two_adapters_together_read_with_both_off(bert, batch):
    model, seen = bert(task_type=None), []
    ha.adapter_network(model).register_forward_pre_hook(lambda _, a: seen.append(a[0]["content"]))
    model(**batch)
    with model.disable_adapter():
        model(**batch)
    model(**batch)
    assert len(seen) == 2 and torch.equal(*seen)


def test_the_answer_does_not_leak_into_the_weights(llama, zoo, batch):
    model = llama().train()
    seen, ids = contents(model), batch["input_ids"]
    labels = ids.clone()
    labels[:, :2] = -100
    labels[batch["attention_mask"] == 0] = -100
    other = ids.clone()
    other[:, 2:] = zoo.FIRST_WORD + (ids[:, 2:] + 3) % 40
    for text in (ids, other):
        model(input_ids=text, attention_mask=batch["attention_mask"], labels=labels)
    assert torch.equal(*seen)
    # Without labels nothing tells where the prompt ends: in training that is refused, and
    # otherwise all of it is the prompt.
    with pytest.raises(ConditionError, match="only labels tell where it ends"):
        model(input_ids=other, attention_mask=batch["attention_mask"])
    model.eval()(input_ids=other, attention_mask=batch["attention_mask"])
    assert not torch.allclose(seen[2], seen[0])


def test_what_follows_the_answer_has_read_it(llama, batch):
    # A second question, say: its labels are -100 too, but its states know the first answer.
    model = llama()
    seen, ids = contents(model), batch["input_ids"][:1]
    labels, other = torch.full_like(ids, -100), ids.clone()
    labels[:, 3:5], other[:, 3:5] = ids[:, 3:5], 50
    for text in (ids, other):
        model(input_ids=text, labels=labels)
    assert torch.equal(*seen)


@torch.no_grad()
def test_the_condition_in_training_is_that_of_generate(llama, zoo):
    model, left = llama(), zoo.make_texts(left=True)
    seen, answer = contents(model), torch.full((4, 3), 9)
    labels = torch.cat([torch.full_like(left["input_ids"], -100), answer], dim=1)
    whole = torch.cat([left["input_ids"], answer], dim=1)
    mask = torch.cat([left["attention_mask"], torch.ones_like(answer)], dim=1)
    model(input_ids=whole, attention_mask=mask, labels=labels)
    model.generate(**left, **WRITING)
    torch.testing.assert_close(seen[0], seen[1], atol=1e-5, rtol=1e-5)


def test_a_row_without_a_prompt(llama, batch):
    labels = torch.full_like(batch["input_ids"], -100)
    labels[2] = 7
    message = "row 2 has no prompt: an Instance condition reads only positions before the first"
    with pytest.raises(ConditionError, match=message):
        llama()(**batch, labels=labels)


@pytest.mark.parametrize("family", ["Llama", "GPT-2"])
@pytest.mark.parametrize("beams", [1, 3])
@torch.no_grad()
def test_writing_is_one_by_one_and_makes_weights_once(zoo, family, beams):
    model = zoo.make_adapted(zoo.Case(family, "CAUSAL_LM"), conditions=CONTENT)
    left, seen = zoo.make_texts(left=True), contents(model)
    together = model.generate(**left, **WRITING, num_beams=beams)
    assert len(seen) == 1 and seen[0].shape == (4, 32)
    for row in range(4):
        alone = model.generate(**zoo.row_of(left, row), **WRITING, num_beams=beams)
        assert torch.equal(alone[0, -4:], together[row, -4:])
        torch.testing.assert_close(seen[-1][0], seen[0][row], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_decoding_by_hand_goes_on_with_the_condition_of_the_prompt(llama, zoo):
    model = llama()
    prompt, seen = {"input_ids": zoo.make_texts((6, 6))["input_ids"]}, contents(model)
    wanted = model.generate(**prompt, **WRITING)
    cache, ids, written = DynamicCache(), prompt["input_ids"], []
    for _ in range(4):
        logits = model(input_ids=ids, past_key_values=cache).logits
        ids = logits[:, -1:].argmax(dim=-1)
        written.append(ids)
    assert torch.equal(torch.cat(written, dim=1), wanted[:, 6:])
    assert all(torch.equal(vectors, seen[0]) for vectors in seen)


@torch.no_grad()
def test_by_hand_with_another_condition_beside_it(llama, zoo):
    model, prompt = llama(conditions=BOTH), zoo.make_texts((6, 6))["input_ids"]
    wanted = model.generate(prompt, annotator_ids=[2, 5], **WRITING)
    cache = DynamicCache()
    first = model(input_ids=prompt, past_key_values=cache, annotator_ids=[2, 5]).logits
    second = model(input_ids=wanted[:, 6:7], past_key_values=cache, annotator_ids=[2, 5]).logits
    assert torch.equal(first[:, -1].argmax(-1), wanted[:, 6])
    assert torch.equal(second[:, -1].argmax(-1), wanted[:, 7])
    with pytest.raises(ConditionError, match="under other conditions"):
        model(input_ids=wanted[:, 7:8], past_key_values=cache, annotator_ids=[2, 6])


@pytest.mark.parametrize("family", ["T5", "BART", "EncoderDecoder"])
@pytest.mark.parametrize("beams", [1, 3])
@torch.no_grad()
def test_an_encoder_is_read_once_however_much_is_written(zoo, family, beams):
    model = zoo.make_adapted(zoo.Case(family, "SEQ_2_SEQ_LM"), conditions=CONTENT)
    batch, seen, passes = zoo.make_texts(), contents(model), []
    encoder = model.get_base_model().get_encoder()
    handle = encoder.register_forward_pre_hook(lambda *_: passes.append(1))
    together = model.generate(**batch, **WRITING, num_beams=beams)
    # Once to make the weights, once with them.
    assert len(passes) == 2 and len(seen) == 1
    handle.remove()
    for row in range(4):
        alone = model.generate(**zoo.row_of(batch, row), **WRITING, num_beams=beams)
        assert torch.equal(alone[0], together[row, : alone.shape[1]])


@torch.no_grad()
def test_an_encoder_decoder_reads_the_question_whatever_the_labels(zoo):
    model = zoo.make_adapted(zoo.Case("T5", "SEQ_2_SEQ_LM"), conditions=CONTENT)
    batch, seen = zoo.make_texts(), contents(model)
    for answer in (7, 8):
        model(**batch, labels=torch.full((4, 9), answer))
    assert torch.equal(*seen)


@torch.no_grad()
def test_together_with_annotators(zoo, bert, batch):
    model = bert(conditions=BOTH).double()
    together = model(**batch, annotator_ids=IDS).logits
    for row in range(4):
        got = model(**zoo.row_of(batch, row), annotator_ids=IDS[row]).logits[0]
        torch.testing.assert_close(got, together[row], atol=1e-9, rtol=1e-9)
    with pytest.raises(ConditionError, match="missing condition annotator_ids"):
        model(**batch)


@torch.no_grad()
def test_conditioned_leaves_the_input_to_each_call(zoo, bert, batch):
    model, other = bert(conditions=BOTH), zoo.make_texts((5, 6, 4, 8))
    wanted = [model(**texts, annotator_ids=IDS).logits for texts in (batch, other)]
    alone = model(**batch, annotator_ids=5).logits
    with ha.conditioned(model, annotator_ids=IDS):
        for texts, logits in zip((batch, other), wanted, strict=True):
            assert torch.equal(model(**texts).logits, logits)
        assert torch.equal(model(**batch, annotator_ids=5).logits, alone)
        with ha.conditioned(model, annotator_ids=5):
            assert torch.equal(model(**batch).logits, alone)
        assert torch.equal(model(**batch).logits, wanted[0])
    with pytest.raises(ConditionError, match="missing condition annotator_ids"):
        model(**batch)


@torch.no_grad()
def test_an_inner_block_counts_more_than_an_outer_one_that_says_everything(bert, batch):
    model = bert(conditions=BOTH)
    wanted = model(**batch, annotator_ids=1).logits
    with ha.conditioned(model, annotator_ids=0, content=torch.zeros(32)):
        outer = model(**batch).logits
        with ha.conditioned(model, annotator_ids=1):
            assert torch.equal(model(**batch).logits, wanted)
        assert torch.equal(model(**batch).logits, outer)


@torch.no_grad()
def test_conditioned_around_generate(llama, zoo):
    model, left = llama(conditions=BOTH), zoo.make_texts(left=True)
    wanted = model.generate(**left, annotator_ids=IDS, **WRITING)
    with ha.conditioned(model, annotator_ids=IDS):
        assert torch.equal(model.generate(**left, **WRITING), wanted)


@torch.no_grad()
def test_a_vector_by_keyword_is_taken_instead_of_the_input(bert, batch):
    model, passes = bert(), []
    vectors = contents(model)
    wanted = model(**batch).logits
    model.get_base_model().bert.register_forward_pre_hook(lambda *_: passes.append(1))
    assert torch.equal(model(**batch, content=vectors[0]).logits, wanted)
    assert passes == [1]
    one_for_all = model(**batch, content=vectors[0][0]).logits
    torch.testing.assert_close(one_for_all[0], wanted[0], atol=1e-5, rtol=1e-5)
    with pytest.raises(ConditionError, match=r"content: got shape \(4, 5\), wanted \(32,\)"):
        model(**batch, content=torch.zeros(4, 5))


@torch.no_grad()
def test_embeddings_as_input(bert, batch):
    model = bert()
    embeds = model.get_base_model().bert.embeddings.word_embeddings(batch["input_ids"])
    given = {"inputs_embeds": embeds, "attention_mask": batch["attention_mask"]}
    torch.testing.assert_close(model(**given).logits, model(**batch).logits)


@torch.no_grad()
def test_tokens_by_position(bert, batch):
    model = bert()
    wanted = model(**batch).logits
    assert torch.equal(model(batch["input_ids"], batch["attention_mask"]).logits, wanted)


@pytest.mark.parametrize("family", ["BERT", "Llama", "T5"])
@torch.no_grad()
def test_a_backbone_without_a_head_reads_itself(zoo, family):
    case = zoo.Case(family, "FEATURE_EXTRACTION")
    model = zoo.make_adapted(case, conditions=CONTENT)
    batch, seen = zoo.make_batch(case), contents(model)
    first = zoo.outputs(model, batch)
    assert torch.equal(zoo.outputs(model, batch), first) and len(seen) == 2


@torch.no_grad()
def test_nothing_to_read(bert, zoo):
    with pytest.raises(ConditionError, match="got neither input_ids nor inputs_embeds"):
        bert()(attention_mask=torch.ones(4, 9))
    model = zoo.make_adapted(zoo.Case("T5", "SEQ_2_SEQ_LM"), conditions=CONTENT)
    with ha.conditioned(model, content=torch.zeros(32)):
        states = model.get_base_model().get_encoder()(**zoo.make_texts())
    with pytest.raises(ConditionError, match="or the pooled states by the condition's own keyword"):
        model(encoder_outputs=states, decoder_input_ids=torch.full((4, 2), 7))


@torch.no_grad()
def test_a_layer_that_the_backbone_does_not_have(bert, batch):
    for layer in (3, -4):
        message = rf"reads layer {layer}, but the backbone has states 0 \(the embeddings\) to 2"
        with pytest.raises(ConfigError, match=message):
            bert(conditions={"content": ha.Instance(layer=layer)})(**batch)


@torch.no_grad()
def test_a_backbone_that_answers_with_tuples(bert, batch):
    model = bert()
    wanted = model(**batch).logits
    assert torch.equal(model(**batch, return_dict=False)[0], wanted)
    model.get_base_model().config.return_dict = False
    assert torch.equal(model(**batch)[0], wanted)


def test_under_gradient_checkpointing(llama, batch):
    labels = batch["input_ids"].clone()
    labels[:, :2] = -100
    gradients = []
    for checkpointing in (False, True):
        model = llama(conditions=BOTH).train()
        if checkpointing:
            model.get_base_model().activation_checkpointing_enable()
        for ids in (IDS, IDS.flip(0)):
            model(**batch, annotator_ids=ids, labels=labels, use_cache=False).loss.backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert gradients[0]
    for without, with_it in zip(*gradients, strict=True):
        torch.testing.assert_close(with_it, without, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["ALBERT", "ELECTRA", "OPT", "DistilBERT"])
@pytest.mark.parametrize("layer", [-1, 0])
@torch.no_grad()
def test_backbones_whose_widths_have_other_names(zoo, family, layer):
    case = zoo.Case(family, zoo.FAMILIES[family].heads[0])
    model = zoo.make_adapted(case, conditions={"content": ha.Instance(layer=layer)})
    assert zoo.outputs(model, zoo.make_batch(case)).isfinite().all()
