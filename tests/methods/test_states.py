import numpy as np
import pytest
import torch

from hyperadapters.backbones import Trunk, load_backbone
from hyperadapters.data.tokens import tokenize
from hyperadapters.methods import states as module
from hyperadapters.methods.states import TextStates

TEXTS = ["good the red", "bad", "kind a two blue one was nasty"]


@pytest.fixture
def parts(tiny_bert):
    backbone = load_backbone(tiny_bert, 2)
    return Trunk(backbone.model, 2), tokenize(backbone.tokenizer, TEXTS, None, 32)


@pytest.mark.parametrize("max_bytes", [0, 2**20])
@pytest.mark.parametrize("per_pass", [1, 8192])
def test_states_are_those_of_the_trunk(parts, monkeypatch, max_bytes, per_pass):
    monkeypatch.setattr(module, "TOKENS_PER_PASS", per_pass)
    trunk, tokens = parts
    kept = TextStates(trunk, tokens, 32, max_bytes)
    assert (kept._kept is None) == (max_bytes == 0)
    texts = np.array([2, 0, 2])
    batch, inputs = kept.batch(texts), tokens.batch(texts)
    assert torch.equal(batch["attention_mask"], inputs["attention_mask"])
    real = inputs["attention_mask"].bool()
    states = trunk.states(inputs)
    torch.testing.assert_close(batch["inputs_embeds"][real], states[real], atol=1e-5, rtol=1e-5)


def test_short_texts_are_padded_no_further_than_needed(parts):
    kept = TextStates(*parts, 32)
    assert kept.batch(np.array([1]))["inputs_embeds"].shape == (1, 3, 32)


def test_memory_is_counted_before_it_is_used(parts):
    trunk, tokens = parts
    needed = int(tokens.lengths.sum()) * 32 * 4
    assert TextStates(trunk, tokens, 32, needed)._kept is not None
    assert TextStates(trunk, tokens, 32, needed - 1)._kept is None
