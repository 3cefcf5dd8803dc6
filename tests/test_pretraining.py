"""Pretraining: its rows say what they promise, and it goes on where it was stopped."""

import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import T5Config

from hyperadapters.errors import RunError

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def pretraining():
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("pretrain")
    finally:
        sys.path.remove(str(FOLDER))


def _passages(n):
    generator = np.random.default_rng(0)
    words = [f"w{i}" for i in range(50)]
    return [
        [[*generator.choice(words, generator.integers(6, 12)), "."] for _ in range(3)]
        for _ in range(n)
    ]


def _stands_in(words, whole):
    """Whether words occur in a text in this order, with others between them."""
    left = iter(whole.split())
    return all(word in left for word in words)


def test_what_was_corrupted_can_be_put_back(pretraining):
    rows = pretraining.rows
    gone, words = 0, 0
    for number, passage in enumerate(_passages(50)):
        source, target = rows.corrupted(passage, np.random.default_rng(number))
        whole = " ".join(word for sentence in passage for word in sentence)
        pieces = re.split(r"(\[unused\d+\])", target)[1:]
        for sentinel, span in zip(pieces[::2], pieces[1::2], strict=True):
            assert source.count(sentinel) == 1 and span.strip()
            source = source.replace(sentinel, span.strip())
            gone += len(span.split())
        assert source == whole and len(pieces) >= 2
        words += len(whole.split())
    assert 0.08 < gone / words < 0.2


def test_masks_hide_a_third_of_what_is_written(pretraining):
    rows = pretraining.rows
    shown, words, masks = 0, 0, 0
    for number, passage in enumerate(_passages(50)):
        source, target = rows.infilled(passage, np.random.default_rng(number))
        kept = [word for word in source.split() if word != "[MASK]"]
        assert target == " ".join(word for sentence in passage for word in sentence)
        assert _stands_in(kept, target) and "[MASK]" in source
        shown, words = shown + len(kept), words + len(target.split())
        masks += source.count("[MASK]")
    assert 0.6 < shown / words < 0.8  # 30 % are hidden, a little less where spans touch
    assert 0.06 < masks / words < 0.12


def test_a_selected_span_stands_in_its_context(pretraining):
    rows = pretraining.rows
    left_out = []
    for number, passage in enumerate(_passages(50)):
        # Every word once, so that what stands where cannot be by chance.
        passage = [[f"{word}.{i}.{j}" for j, word in enumerate(s)] for i, s in enumerate(passage)]
        source, target = rows.selected(passage, np.random.default_rng(number))
        question, context = source.split(" context: ")
        assert context == " ".join(word for sentence in passage for word in sentence)
        assert f" {target} " in f" {context} "
        before, after = question.removeprefix("question: ").split("[MASK]")
        (sentence,) = [s for s in passage if target.split()[0] in s]
        start = sentence.index(target.split()[0])
        rest = sentence[:start], sentence[start + len(target.split()) :]
        for asked, of in zip((before.split(), after.split()), rest, strict=True):
            assert _stands_in(asked, " ".join(of))
            left_out.append(len(of) - len(asked))
    assert sum(left_out) > 50


def test_what_is_held_out_is_not_trained_on(pretraining, tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining, "HELD_OUT", 4)
    monkeypatch.setattr(pretraining.rows, "TEXTS", {"some": ("text",)})
    texts = [" ".join(w for s in p for w in s) for p in _passages(10)]
    texts += [text + " And more." for text in texts] + ["x" * 500]
    frame = pd.DataFrame({"split": ["train"] * len(texts), "text": texts})
    frame.loc[len(frame)] = {"split": "test", "text": "Nobody reads this one."}
    frame.to_parquet(tmp_path / "some.parquet")
    passages = pretraining.rows.passages(tmp_path)
    words = [" ".join(w for s in p for w in s) for p in passages]
    assert len(set(words)) == len(words)
    assert not any("xxx" in text or "Nobody" in text for text in words)
    settings = pretraining.Settings("t5", steps=1, objectives={"corruption": 1.0})
    train, held_out = pretraining.divided(passages, settings)["corruption"]
    long = [{" ".join(s) for p in part for s in p if len(s) > 5} for part in (train, held_out)]
    assert train and held_out and not long[0] & long[1]


def test_the_decoder_begins_with_attention_it_has(pretraining):
    model, tokenizer, new = pretraining.beginning("minilm2minilm")
    for layer in model.decoder.bert.encoder.layer:
        its = layer.crossattention.state_dict()
        assert all(torch.equal(value, its[n]) for n, value in layer.attention.state_dict().items())
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert any("embeddings" in n for n in frozen) and not any("crossattention" in n for n in frozen)
    assert "crossattention" in new and tokenizer.convert_tokens_to_ids("[unused1]") == 2


def test_pretraining_goes_on_where_it_was_stopped(pretraining, tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining, "HELD_OUT", 4)
    monkeypatch.setattr(pretraining.rows, "TEXTS", {"some": ("text",)})
    small = {"d_model": 16, "d_ff": 16, "num_layers": 1, "num_heads": 2, "d_kv": 8}
    monkeypatch.setattr(pretraining, "T5Config", lambda **others: T5Config(**{**others, **small}))
    texts = [" ".join(w for s in p for w in s) for p in _passages(40)]
    pd.DataFrame({"split": "train", "text": texts}).to_parquet(tmp_path / "some.parquet")
    settings = pretraining.Settings(
        "t5", steps=4, batch_size=2, evaluate_every=2, objectives={"corruption": 1.0}
    )

    def started(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return pretraining.Pretraining(settings, tmp_path, tmp_path / name)

    whole = started("whole")
    whole.resume()
    whole.train()
    stopped = started("stopped")
    stopped.resume()
    step = stopped._step
    stopped._step = lambda: step() if stopped.position.step < 3 else pytest.fail("stopped")
    with pytest.raises(pytest.fail.Exception, match="stopped"):
        stopped.train()
    with pytest.raises(RunError, match="begun with another steps; name another folder"):
        longer = replace(settings, steps=5)
        pretraining.Pretraining(longer, tmp_path, tmp_path / "stopped").resume()
    resumed = started("stopped")
    resumed.resume()
    assert resumed.position.step == 2
    resumed.train()
    for (name, a), (_, b) in zip(
        pretraining.trained(whole.model), pretraining.trained(resumed.model), strict=True
    ):
        assert torch.equal(a, b), name
    losses = [[line["train_loss"] for line in made.log] for made in (whole, resumed)]
    assert losses[0] == losses[1] and len(losses[0]) == 2
