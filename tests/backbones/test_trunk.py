import pytest
import torch
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from hyperadapters.backbones import Trunk, layer_count, load_backbone

TEXTS = ["good the red", "bad a two blue one was nasty", "kind"]


@pytest.fixture(params=["tiny_bert", "tiny_roberta", "minilm"])
def backbone(request):
    name = request.param if request.param == "minilm" else request.getfixturevalue(request.param)
    loaded = load_backbone(name, 2)
    loaded.model.eval()
    return loaded


@pytest.fixture
def tiny(tiny_bert):
    loaded = load_backbone(tiny_bert, 2)
    loaded.model.eval()
    return loaded


def encoded(backbone):
    return dict(backbone.tokenizer(TEXTS, padding=True, return_tensors="pt"))


def kept(inputs, states):
    return {"inputs_embeds": states, "attention_mask": inputs["attention_mask"]}


@torch.no_grad()
def test_trunk_and_rest_are_the_whole_model(backbone):
    inputs = encoded(backbone)
    whole = backbone.model(**inputs).logits
    for depth in range(1, layer_count(backbone.model) + 1):
        trunk = Trunk(backbone.model, depth)
        states = trunk.states(inputs)
        with trunk.skipped():
            rest = backbone.model(**kept(inputs, states)).logits
        torch.testing.assert_close(rest, whole, atol=1e-5, rtol=1e-5)
    assert torch.equal(backbone.model(**inputs).logits, whole)  # and it is whole again


def test_onward_goes_some_layers_further(backbone):
    inputs = encoded(backbone)
    whole = backbone.model(**inputs).logits
    trunk = Trunk(backbone.model, 1)
    states = kept(inputs, trunk.states(inputs))
    further = trunk.onward(states, 2)
    with trunk.skipped(2):
        rest = backbone.model(**kept(inputs, further)).logits
    torch.testing.assert_close(rest, whole, atol=1e-5, rtol=1e-5)
    assert further.requires_grad
    assert torch.equal(trunk.onward(states, 1), states["inputs_embeds"])
    deeper = Trunk(backbone.model, 2).states(inputs)
    # Positions of padding may hold anything.
    real = inputs["attention_mask"].bool()
    torch.testing.assert_close(further[real], deeper[real], atol=1e-5, rtol=1e-5)


def test_the_frozen_part_has_no_dropout_and_no_gradient(tiny):
    inputs = encoded(tiny)
    quiet = Trunk(tiny.model, 2).states(inputs)
    tiny.model.train()
    states = Trunk(tiny.model, 2).states(inputs)
    assert torch.equal(states, quiet)
    assert not states.requires_grad
    assert tiny.model.base_model.encoder.layer[2].training  # above it training goes on
    # The whole model would drop something: the comparison above can fail.
    assert not torch.equal(tiny.model(**inputs).logits, tiny.model(**inputs).logits)


def test_modules_are_restored_after_an_error(tiny):
    base = tiny.model.base_model
    before = base.embeddings, base.encoder.layer
    trunk = Trunk(tiny.model, 1)

    with pytest.raises(RuntimeError, match="mine"), trunk.skipped():
        assert base.embeddings is not before[0]
        assert len(base.encoder.layer) == 2
        raise RuntimeError("mine")
    assert (base.embeddings, base.encoder.layer) == before

    inputs = encoded(tiny)
    with pytest.raises(IndexError):
        trunk.states({**inputs, "input_ids": inputs["input_ids"] + 10_000})
    assert (base.embeddings, base.encoder.layer) == before


def test_layer_count(tiny):
    assert layer_count(tiny.model) == 3
    config = DistilBertConfig(vocab_size=10, dim=8, n_layers=1, n_heads=1, hidden_dim=8)
    assert layer_count(DistilBertForSequenceClassification(config)) is None
