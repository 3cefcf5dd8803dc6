"""Pretraining: its rows say what they promise, and it goes on where it was stopped."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import T5Config

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


def test_what_was_corrupted_can_be_put_back(pretraining):
    rows = pretraining.rows
    for number, passage in enumerate(_passages(50)):
        source, target = rows.corrupted(passage, np.random.default_rng(number))
        pieces = re.split(r"(\[unused\d+\])", target)[1:]
        for sentinel, span in zip(pieces[::2], pieces[1::2], strict=True):
            assert source.count(sentinel) == 1 and span.strip()
            source = source.replace(sentinel, span.strip())
        assert source == " ".join(word for sentence in passage for word in sentence)


def test_a_selected_span_stands_in_its_context(pretraining):
    rows = pretraining.rows
    for number, passage in enumerate(_passages(50)):
        source, target = rows.selected(passage, np.random.default_rng(number))
        question, context = source.split(" context: ")
        assert target and target in context
        assert question.count("[MASK]") == 1
        assert set(question.split()) <= {"question:", "[MASK]", *context.split()}


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
    whole.train()
    stopped = started("stopped")
    step = stopped._step
    stopped._step = lambda: step() if stopped.position.step < 3 else pytest.fail("stopped")
    with pytest.raises(pytest.fail.Exception, match="stopped"):
        stopped.train()
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
