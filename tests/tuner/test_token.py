"""The condition as a token of the input: exactly a word with an embedding of its own."""

import pytest
import torch
from peft import PeftModel

import hyperadapters as ha
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.tuner import shared_texts
from hyperadapters.tuner.conditioning import conditioning_of

ENCODERS = [
    *("BERT", "RoBERTa", "XLM-RoBERTa", "CamemBERT", "DistilBERT", "ALBERT", "ELECTRA", "DeBERTa"),
    *("DeBERTa-v2", "DeBERTa-v3", "MPNet", "ModernBERT"),
]
TOKEN = {
    "source": "learned",
    "bias_source": "none",
    "shift": False,
    "token_source": "per-condition",
}
WORD = 11


@pytest.fixture
def adapted(zoo):
    def make(family="BERT", **changes):
        return zoo.make_adapted(zoo.Case(family, "SEQ_CLS"), **{**TOKEN, **changes})

    return make


def with_word(batch, word):
    """The batch with a word behind the first one of every row."""
    found = {}
    for name, values in batch.items():
        first = batch["attention_mask"].argmax(dim=1)
        added = word if name == "input_ids" else 1
        rows = [
            torch.cat([row[: f + 1], torch.tensor([added]), row[f + 1 :]])
            for row, f in zip(values, first.tolist(), strict=True)
        ]
        found[name] = torch.stack(rows)
    return found


@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
@pytest.mark.parametrize("family", ENCODERS)
@torch.no_grad()
def test_the_token_of_a_word_is_that_word(zoo, adapted, family, left):
    model, batch = adapted(family), zoo.make_texts(left=left)
    embedding = model.get_base_model().get_input_embeddings().weight[WORD]
    tokens = ha.adapter_network(model).token
    tokens.deviations.annotator_ids.vectors[3] = embedding - tokens.population
    got = zoo.outputs(model, batch, annotator_ids=3)
    # The same adapter and head, and nothing put into the input.
    with conditioning_of(model).held(_without_token(model)):
        wanted = zoo.outputs(model, with_word(batch, WORD))
        without = zoo.outputs(model, batch)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    assert (got - without).abs().amax(dim=1).min() > 1e-3


def _without_token(model):
    from dataclasses import replace

    active = conditioning_of(model).generate({"annotator_ids": 3}, None, repeats=True)
    weights = {name: replace(w, token=None) for name, w in active.weights.items()}
    return replace(active, weights=weights)


@pytest.mark.parametrize("family", ENCODERS)
@torch.no_grad()
def test_a_mixed_batch_is_one_by_one(zoo, adapted, family):
    model, batch = adapted(family).double(), zoo.make_texts()
    together = zoo.outputs(model, batch, annotator_ids=zoo.IDS)
    for row, index in enumerate(zoo.IDS):
        alone = zoo.outputs(model, zoo.row_of(batch, row), annotator_ids=index)[0]
        torch.testing.assert_close(alone, together[row], atol=1e-9, rtol=1e-9)
    others = zoo.outputs(model, batch, annotator_ids=zoo.OTHER_IDS)
    assert (others - together).abs().amax(dim=1).min() > 1e-3


@torch.no_grad()
def test_nobody_in_particular_has_the_populations(zoo, adapted):
    model, batch = adapted(), zoo.make_texts()
    tokens = ha.adapter_network(model).token
    nobody = zoo.outputs(model, batch, annotator_ids=-1)
    tokens.deviations.annotator_ids.vectors[3] = 0
    assert torch.equal(zoo.outputs(model, batch, annotator_ids=3), nobody)
    tokens.population[::2] += 1.0
    assert not torch.allclose(zoo.outputs(model, batch, annotator_ids=-1), nobody, atol=1e-3)


def test_all_are_alike_at_the_start_and_every_tensor_has_a_gradient(zoo, adapted):
    model, batch = adapted(random=False, start="zero-change").train(), zoo.make_texts()
    logits = zoo.outputs(model, batch, annotator_ids=zoo.IDS)
    assert torch.equal(logits, zoo.outputs(model, batch, annotator_ids=zoo.OTHER_IDS))
    logits.square().sum().backward()
    learned = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, gradient in learned.items() if not gradient.any()] == []
    tokens = ha.adapter_network(model).token
    moved = tokens.deviations.annotator_ids.vectors.grad.any(dim=1)
    assert moved.tolist() == [i in zoo.IDS.tolist() for i in range(7)]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_ids_are_dropped_in_training_alone(adapted, share):
    network = ha.adapter_network(adapted(condition_dropout=share))
    ids = torch.arange(7).repeat(40)
    written = network({"annotator_ids": ids}).token_per_row()
    assert not any(torch.equal(row, network.token.population) for row in written)
    torch.manual_seed(0)
    network.train()
    many = [network({"annotator_ids": torch.arange(7)}).token_per_row() for _ in range(60)]
    dropped = (torch.cat(many) == network.token.population).all(dim=1).float().mean()
    assert (dropped == 0) if not share else (0.4 < dropped < 0.6)


@torch.no_grad()
def test_saved_is_loaded(zoo, adapted, tmp_path):
    model, batch = adapted("RoBERTa"), zoo.make_texts()
    model.save_pretrained(tmp_path)
    case = zoo.Case("RoBERTa", "SEQ_CLS")
    loaded = PeftModel.from_pretrained(zoo.make_backbone(case), str(tmp_path)).eval()
    got = zoo.outputs(loaded, batch, annotator_ids=zoo.IDS)
    assert torch.equal(got, zoo.outputs(model, batch, annotator_ids=zoo.IDS))


@torch.no_grad()
def test_switched_off_it_is_the_backbone(zoo, adapted):
    model, batch = adapted(), zoo.make_texts()
    with model.disable_adapter():
        got = zoo.outputs(model, batch)
    plain = zoo.outputs(zoo.make_backbone(zoo.Case("BERT", "SEQ_CLS")), batch)
    assert torch.equal(got, plain)


@torch.no_grad()
def test_what_a_model_can_be_given(zoo, adapted):
    model, batch = adapted(), zoo.make_texts()
    wanted = zoo.outputs(model, batch, annotator_ids=zoo.IDS)
    embeds = model.get_base_model().get_input_embeddings()(batch["input_ids"])
    by_embeddings = {"inputs_embeds": embeds, "attention_mask": batch["attention_mask"]}
    assert torch.equal(zoo.outputs(model, by_embeddings, annotator_ids=zoo.IDS), wanted)
    types = torch.zeros_like(batch["input_ids"])
    typed = {**batch, "token_type_ids": types}
    assert torch.equal(zoo.outputs(model, typed, annotator_ids=zoo.IDS), wanted)
    typed["token_type_ids"] = types + 1
    assert not torch.allclose(zoo.outputs(model, typed, annotator_ids=zoo.IDS), wanted, atol=1e-3)
    alone = {name: value[:1] for name, value in batch.items()}
    unmasked = {"input_ids": alone["input_ids"]}
    for given in (alone, unmasked):
        got = zoo.outputs(model, given, annotator_ids=3)
        torch.testing.assert_close(got, wanted[:1], atol=1e-5, rtol=1e-5)
    inner = model.get_base_model()
    got = inner(batch["input_ids"], batch["attention_mask"], annotator_ids=zoo.IDS).logits
    assert torch.equal(got, wanted)


@torch.no_grad()
def test_what_it_cannot_be_given(zoo, adapted):
    model, batch = adapted(), zoo.make_texts()
    places = torch.arange(batch["input_ids"].shape[1]).expand_as(batch["input_ids"])
    with pytest.raises(ConditionError, match="position_ids cannot be given"):
        model(**batch, position_ids=places, annotator_ids=zoo.IDS)
    with pytest.raises(ConditionError, match="neither input_ids nor inputs_embeds"):
        model.get_base_model()(attention_mask=batch["attention_mask"], annotator_ids=1)
    sharing = conditioning_of(model).sharing_texts(torch.tensor([0, 0, 1, 2]))
    with sharing, pytest.raises(ConditionError, match="cannot share the reading of a text"):
        model(**batch, annotator_ids=zoo.IDS)


@torch.no_grad()
def test_texts_are_read_for_every_row(zoo, adapted):
    model, batch = adapted(), zoo.make_texts()
    twice = {name: value[[0, 0, 1, 1]] for name, value in batch.items()}
    wanted = zoo.outputs(model, twice, annotator_ids=zoo.OTHER_IDS)
    with shared_texts(model, torch.tensor([0, 0, 1, 1])):
        assert torch.equal(zoo.outputs(model, twice, annotator_ids=zoo.OTHER_IDS), wanted)


@pytest.mark.parametrize("case", [("BERT", "TOKEN_CLS"), ("GPT-2", "SEQ_CLS"), ("BART", "SEQ_CLS")])
def test_models_without_a_place_for_it(zoo, case):
    with pytest.raises(ConfigError, match="token_source='per-condition' needs a classifier of"):
        zoo.make_adapted(zoo.Case(*case), **TOKEN)


def test_the_plain_backbone_for_the_unknown_is_refused(adapted):
    with pytest.raises(ConfigError, match="annotator_ids needs unknown='population' or 'error'"):
        adapted(conditions={"annotator_ids": ha.Lookup(7, unknown="base")})


def test_it_is_no_lora(adapted, tmp_path):
    model = adapted()
    with pytest.raises(ConfigError, match="the condition is a token of the input"):
        ha.export_lora(model, {"annotator_ids": 3}, tmp_path / "lora")
    with pytest.raises(ConfigError, match="the condition is a token of the input"):
        model.merge_and_unload(condition={"annotator_ids": 3})
