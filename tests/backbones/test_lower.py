"""The layers of a backbone, one by one; that rows of a text may share them: tests/tuner."""

import pytest
import torch
from transformers import AlbertConfig, AlbertForSequenceClassification

from hyperadapters.backbones import LowerLayers, load_backbone

TEXTS = ["good the red", "bad a two blue one was nasty", "kind"]
NAMES = ["tiny_bert", "tiny_roberta", "minilm"]


@pytest.fixture(params=NAMES)
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


@torch.no_grad()
def test_states_and_the_rest_are_the_whole_model(backbone):
    inputs = encoded(backbone)
    whole = backbone.model(**inputs).logits
    lower = LowerLayers.of(backbone.model)
    for depth in range(len(lower) + 1):
        states = lower.states(inputs, depth)
        with lower.once_per_text(torch.arange(3), 0, states=states, depth=depth):
            rest = backbone.model(**inputs).logits
        torch.testing.assert_close(rest, whole, atol=1e-5, rtol=1e-5)
    assert torch.equal(backbone.model(**inputs).logits, whole)  # and it is whole again


def test_given_states_are_what_the_rest_starts_from(tiny):
    inputs = encoded(tiny)
    lower = LowerLayers.of(tiny.model)
    states = torch.randn(3, inputs["input_ids"].shape[1], 32)
    other = {**inputs, "input_ids": inputs["input_ids"].flip(0)}
    with torch.no_grad(), lower.once_per_text(torch.arange(3), 0, states=states, depth=2):
        first, second = tiny.model(**inputs).logits, tiny.model(**other).logits
    assert torch.equal(first, second)


def test_the_frozen_part_has_no_dropout_and_no_gradient(tiny):
    inputs = encoded(tiny)
    lower = LowerLayers.of(tiny.model)
    quiet = lower.states(inputs, 2)
    tiny.model.train()
    states = lower.states(inputs, 2)
    assert torch.equal(states, quiet)
    assert not states.requires_grad
    assert all(part.training for part in tiny.model.modules())
    with lower.evaluating(2):
        assert lower.layers[2].training and not lower.layers[1].training
        assert not lower.reader.embeddings.training
    # The whole model would drop something: the comparison above can fail.
    assert not torch.equal(tiny.model(**inputs).logits, tiny.model(**inputs).logits)


def test_everything_is_restored_after_an_error(tiny):
    inputs = encoded(tiny)
    lower = LowerLayers.of(tiny.model)
    whole = tiny.model(**inputs).logits
    states = lower.states(inputs, 1)
    given = lower.once_per_text(torch.arange(3), 0, states=states, depth=1)
    with pytest.raises(RuntimeError, match="mine"), given:
        raise RuntimeError("mine")
    with pytest.raises(IndexError):
        lower.states({**inputs, "input_ids": inputs["input_ids"] + 10_000}, 2)
    assert torch.equal(tiny.model(**inputs).logits, whole)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in tiny.model.modules())


def test_layers_that_cannot_be_told(tiny):
    assert len(LowerLayers.of(tiny.model)) == 3
    config = AlbertConfig(
        vocab_size=10, hidden_size=8, embedding_size=8, num_attention_heads=1, intermediate_size=8
    )
    assert LowerLayers.of(AlbertForSequenceClassification(config)) is None
