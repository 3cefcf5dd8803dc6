"""Places where a mistake would be silent, and what is said there instead."""

import pytest
import torch
from peft import get_peft_model
from transformers import BertConfig, BertForMultipleChoice

from hyperadapters.errors import AdapterShapeError, ConditionError, SiteError
from hyperadapters.tuner.layer import HyperAdapterLinear


@pytest.mark.parametrize("targets", [["query_proj"], ["key_proj"], ["query_proj", "value_proj"]])
def test_deberta_v3_projects_positions_with_the_query(zoo, targets):
    case = zoo.Case("DeBERTa-v3", "SEQ_CLS")
    with pytest.raises(SiteError, match=r"(query|key)_proj.*share_att_key"):
        get_peft_model(
            zoo.make_backbone(case), zoo.make_adapter_config(case, target_modules=targets)
        )


@torch.no_grad()
def test_deberta_v2_with_projections_of_their_own_may_adapt_the_query(zoo):
    case = zoo.Case("DeBERTa-v2", "SEQ_CLS")
    model = zoo.make_adapted(case, target_modules=["query_proj", "key_proj"]).double()
    batch = zoo.make_batch(case)
    together = zoo.outputs(model, batch, annotator_ids=zoo.IDS)
    for row, index in enumerate(zoo.IDS):
        alone = zoo.outputs(model, zoo.row_of(batch, row), annotator_ids=index)[0]
        torch.testing.assert_close(alone, together[row], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    ("family", "target"),
    [("DeBERTa", "pos_proj"), ("DeBERTa", "pos_q_proj"), ("DeBERTa-v2", "pos_key_proj")],
)
def test_projections_of_positions_belong_to_no_row(zoo, family, target):
    case = zoo.Case(family, "SEQ_CLS")
    with pytest.raises((SiteError, AdapterShapeError)):
        model = zoo.make_adapted(case, target_modules=[target])
        zoo.outputs(model, zoo.make_batch(case), annotator_ids=zoo.IDS)


@pytest.mark.parametrize("family", ["BERT", "Llama", "ModernBERT"])
@torch.no_grad()
def test_a_packed_batch_is_refused(zoo, family):
    case = zoo.Case(family, "SEQ_CLS")
    model = zoo.make_adapted(case)
    packed = {"input_ids": torch.arange(5, 17).reshape(1, 12)}
    packed["position_ids"] = torch.arange(4).repeat(3).reshape(1, 12)
    if family == "ModernBERT":
        del packed["position_ids"]
    with pytest.raises((AdapterShapeError, ConditionError), match="1 row"):
        model(**packed, annotator_ids=torch.tensor([0, 1, 2]))


@pytest.mark.parametrize("family", ["BERT", "GPT-2", "T5", "BART"])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
@torch.no_grad()
def test_as_many_conditions_as_rows(zoo, family, count):
    # Also a number that divides four rows: two neighbours would share a condition unasked.
    case = next(case for case in zoo.MAIN_CASES if case.family == family)
    model, ids = zoo.make_adapted(case), torch.arange(count) % 7
    with pytest.raises(ConditionError, match=f"got {count} .* for a batch of 4 rows"):
        zoo.outputs(model, zoo.make_batch(case), annotator_ids=ids)
    if case.writes:
        with pytest.raises(ConditionError, match=f"got {count} .* for a batch of 4 rows"):
            model.generate(**zoo.make_texts(), annotator_ids=ids, max_new_tokens=2)


@torch.no_grad()
def test_opt_flattens_its_rows_before_the_feed_forward_sub_layer(zoo):
    case = zoo.Case("OPT", "CAUSAL_LM")
    model = zoo.make_adapted(case, target_modules=["fc1", "fc2"])
    with pytest.raises(AdapterShapeError, match=r"input of shape \(36, 32\) for weights of 4 rows"):
        zoo.outputs(model, zoo.make_batch(case), annotator_ids=zoo.IDS)


@pytest.mark.parametrize("family", ["T5", "BART", "EncoderDecoder"])
@torch.no_grad()
def test_the_encoder_alone_needs_a_condition_too(zoo, family):
    model, texts = zoo.make_adapted(zoo.Case(family, "SEQ_2_SEQ_LM")), zoo.make_texts()
    with pytest.raises(ConditionError, match="without a condition"):
        model.get_base_model().get_encoder()(**texts)


@torch.no_grad()
def test_choices_of_one_question_share_its_condition(zoo):
    torch.manual_seed(0)
    config = BertConfig(**zoo.USUAL, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    plain = zoo.make_adapter_config(zoo.Case("BERT", "plain"))
    model = get_peft_model(BertForMultipleChoice(config), plain).eval().double()
    zoo.randomise(model)
    questions, choices, positions = 3, 4, 6
    ids = torch.randint(5, 60, (questions, choices, positions))
    annotators = torch.tensor([4, -1, 2])
    together = model(input_ids=ids, annotator_ids=annotators).logits
    assert together.shape == (questions, choices)
    for row, annotator in enumerate(annotators):
        alone = model(input_ids=ids[row : row + 1], annotator_ids=annotator.reshape(1)).logits
        torch.testing.assert_close(alone[0], together[row], atol=1e-9, rtol=1e-9)
    others = model(input_ids=ids, annotator_ids=(annotators + 2) % 7).logits
    assert (others - together).abs().amax(dim=1).min() > 1e-2


@torch.no_grad()
def test_albert_runs_one_layer_twice_with_one_set_of_weights(zoo):
    case, calls = zoo.Case("ALBERT", "SEQ_CLS"), []
    model = zoo.make_adapted(case)
    layers = [m for m in model.modules() if isinstance(m, HyperAdapterLinear)]
    for layer in layers:
        layer.register_forward_hook(lambda module, *_: calls.append(module))
    zoo.outputs(model, zoo.make_batch(case), annotator_ids=zoo.IDS)
    assert len(layers) == 2 and calls == layers * 2
