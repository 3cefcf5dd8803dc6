"""What the frozen layers make of texts, kept in memory, on disk, or not."""

import numpy as np
import pytest
import torch

from hyperadapters.backbones import LowerLayers, load_backbone
from hyperadapters.data.array_cache import ArrayCache
from hyperadapters.data.tokens import tokenize
from hyperadapters.methods import states as module
from hyperadapters.methods.states import TextStates

TEXTS = ["good the red", "bad", "kind a two blue one was nasty"]


@pytest.fixture
def backbone(tiny_bert):
    return load_backbone(tiny_bert, 2)


@pytest.fixture
def lower(backbone):
    return LowerLayers.of(backbone.model)


@pytest.fixture
def tokens(backbone):
    return tokenize(backbone.tokenizer, TEXTS, None, 32)


@pytest.fixture
def cache(tmp_path):
    return ArrayCache(tmp_path, 2**20)


def keep(way, lower, tokens, cache):
    if way == "no":
        return TextStates(lower, 2, tokens, max_bytes=0)
    return TextStates(lower, 2, tokens, cache=cache if way == "disk" else None)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("per_pass", [1, 8192])
@pytest.mark.parametrize("way", ["memory", "disk", "no"])
def test_states_are_those_of_the_layers(backbone, lower, cache, monkeypatch, way, per_pass, side):
    monkeypatch.setattr(module, "TOKENS_PER_PASS", per_pass)
    backbone.tokenizer.padding_side = side
    tokens = tokenize(backbone.tokenizer, TEXTS, None, 32)
    kept = keep(way, lower, tokens, cache)
    texts = np.array([2, 0, 2])
    inputs = tokens.batch(texts)
    got, wanted = kept.of(texts), lower.states(inputs, 2)
    real = inputs["attention_mask"].bool()
    assert got.shape == wanted.shape and got.dtype == torch.float32
    # By themselves texts have other positions than behind padding; BERT counts these too.
    if side == "right" or way == "no":
        torch.testing.assert_close(got[real], wanted[real], atol=1e-5, rtol=1e-5)
    if way != "no":
        assert (got[~real] == 0).all()


def test_short_texts_are_padded_no_further_than_needed(lower, tokens):
    assert TextStates(lower, 2, tokens).of(np.array([1])).shape == (1, 3, 32)


def test_memory_is_counted_before_it_is_used(lower, tokens):
    needed = int(tokens.lengths.sum()) * 32 * 4
    assert TextStates(lower, 2, tokens, max_bytes=needed)._kept is not None
    assert TextStates(lower, 2, tokens, max_bytes=needed - 1)._kept is None


def counted(lower):
    calls = []
    lower.layers[0].register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_another_run_finds_them_on_disk(tiny_bert, lower, tokens, cache):
    first = TextStates(lower, 2, tokens, cache=cache).of(np.arange(3))
    again = LowerLayers.of(load_backbone(tiny_bert, 2).model)
    assert again.can_be_skipped
    calls = counted(again)
    assert torch.equal(TextStates(again, 2, tokens, cache=cache).of(np.arange(3)), first)
    assert not calls


def changes(backbone):
    def other_weight(lower):
        with torch.no_grad():
            next(lower.layers[1].parameters()).view(-1)[0] += 1e-3

    def other_embedding(lower):
        with torch.no_grad():
            lower.reader.embeddings.word_embeddings.weight[3, 0] += 1e-3

    return {"weight": other_weight, "embedding": other_embedding}


@pytest.mark.parametrize("what", ["weight", "embedding", "depth", "precision", "texts"])
def test_whatever_they_depend_on_is_in_the_fingerprint(backbone, lower, tokens, cache, what):
    TextStates(lower, 2, tokens, cache=cache)
    calls = counted(lower)
    if what in ("weight", "embedding"):
        changes(backbone)[what](lower)
    other = tokenize(backbone.tokenizer, [*TEXTS[:2], "kind a red"], None, 32)
    TextStates(
        lower,
        1 if what == "depth" else 2,
        other if what == "texts" else tokens,
        cache=cache,
        precision="bfloat16" if what == "precision" else "float32",
    )
    assert calls and len(list(cache.folder.glob("*.npy"))) == 2


def test_weights_above_do_not_matter(lower, tokens, cache):
    TextStates(lower, 1, tokens, cache=cache)
    with torch.no_grad():
        next(lower.layers[-1].parameters()).add_(1.0)
    calls = counted(lower)
    TextStates(lower, 1, tokens, cache=cache)
    assert not calls


def test_more_than_the_disk_may_hold(lower, tokens, tmp_path):
    kept = TextStates(lower, 2, tokens, cache=ArrayCache(tmp_path / "none", 10))
    assert kept._kept is None and kept.of(np.array([0])).shape == (1, 5, 32)
