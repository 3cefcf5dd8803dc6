"""Whole runs in which the backbone is trained."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hyperadapters.backbones import load_backbone
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.experiments import fit, load
from hyperadapters.methods.full import FILE
from hyperadapters.training import Progress, loop

FILES = ("adapter_model.safetensors", FILE, "log.jsonl", "predictions.parquet")
N_BATCHES = 7  # as in test_stopping.py


@pytest.fixture
def full(quick):
    return {**quick, "tuning": "full", "backbone_learning_rate": 1e-3}


class StopAt(Progress):
    def __init__(self, at):
        self.at = at

    def step(self, step):
        if step.step == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("method", ["multi-head", "user-token"])
def test_resumed_is_uninterrupted(method, two_kinds, tiny_bert, full, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    arguments = {"method": method, "backbone": tiny_bert, **full}
    fit(two_kinds, output=tmp_path / "whole", **arguments)
    with pytest.raises(KeyboardInterrupt):
        fit(two_kinds, output=tmp_path / "run", progress=StopAt(N_BATCHES + 3), **arguments)
    fit(two_kinds, output=tmp_path / "run", resume=True, **arguments)
    for name in FILES:
        got, wanted = ((tmp_path / run / name).read_bytes() for run in ("run", "whole"))
        assert got == wanted, name


def test_all_of_it_has_moved_and_the_folder_is_the_run(two_kinds, tiny_bert, full, tmp_path):
    folder = tmp_path / "run"
    run = fit(two_kinds, output=folder, method="intercept", backbone=tiny_bert, **full)
    fresh = dict(load_backbone(tiny_bert, 2).model.named_parameters())
    state = load_file(folder / FILE)
    assert state.keys() == {n for n in fresh if not n.startswith("classifier")}
    # Of the pooler's and the keys' biases the logits may not depend at all.
    moved = {name for name, values in state.items() if not torch.equal(values, fresh[name])}
    assert {n for n in state if n.endswith("weight")} <= moved

    rows = two_kinds[two_kinds["split"] == "test"]
    again = load(folder).predict(rows, "rows")
    stored = run.predictions.query("split == 'test'")
    np.testing.assert_array_equal(again["p_toxic"], stored["p_toxic"])
    everyone = load(folder).predict(rows[["text_id", "text"]].drop_duplicates(), "all")
    both = again.merge(everyone, on=["text_id", "annotator"])
    assert len(both) == len(rows) - 1  # all but the newcomer
    np.testing.assert_allclose(both["p_toxic_x"], both["p_toxic_y"], atol=1e-5)

    (folder / FILE).write_bytes(b"no tensors")
    with pytest.raises(RunError, match="cannot be loaded"):
        load(folder).predict(["good"])


@pytest.mark.slow
def test_two_kinds_of_people_are_told_apart(two_kinds, tiny_bert, tmp_path):
    """As in test_loop.py; 0.5 is chance for whoever does not see text and person together."""
    learn = {
        **{"epochs": 12, "patience": 12, "batch_size": 16, "tuning": "full", "head_dropout": 0.0},
        **{"learning_rate": 1e-2, "condition_learning_rate": 1e-2, "warmup_epochs": 0.0},
        "backbone_learning_rate": 1e-3,
    }
    accuracy = {}
    for method in ("multi-head", "text-only"):
        run = fit(two_kinds, output=tmp_path / method, method=method, backbone=tiny_bert, **learn)
        chosen = (run.scores["split"] == "test") & (run.scores["slice"] == "all")
        accuracy[method] = run.scores[chosen].set_index("metric").loc["accuracy", "value"]
    assert accuracy["multi-head"] > 0.75
    assert accuracy["text-only"] < 0.65


def test_methods_that_adapt_layers_to_people_refuse(two_kinds, tiny_bert, full, tmp_path):
    with pytest.raises(ConfigError, match="hyperlora adapts it to each; methods that can be"):
        fit(two_kinds, output=tmp_path / "run", method="hyperlora", backbone=tiny_bert, **full)
    assert not (tmp_path / "run").exists()
