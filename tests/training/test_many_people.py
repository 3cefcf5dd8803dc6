"""Whole runs in which the tables of annotators are updated row by row."""

import json

import pytest
from safetensors import safe_open

from hyperadapters.experiments import fit
from hyperadapters.training import Progress, Trainer, loop

FILES = ("adapter_model.safetensors", "log.jsonl", "predictions.parquet")
N_BATCHES = 7  # as in test_stopping.py


class StopAt(Progress):
    def __init__(self, at):
        self.at = at

    def step(self, step):
        if step.step == self.at:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch):
    monkeypatch.setattr(loop, "LARGE", 1)
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)


@pytest.mark.parametrize(
    "method", ["hyperlora", "intercept", "hyperlora-paper", "multi-head", "user-token"]
)
def test_resumed_is_uninterrupted(method, two_kinds, tiny_bert, quick, tmp_path):
    arguments = {"method": method, "backbone": tiny_bert, **quick}
    fit(two_kinds, output=tmp_path / "whole", **arguments)
    for at in (3, N_BATCHES + 3):
        folder = tmp_path / str(at)
        with pytest.raises(KeyboardInterrupt):
            fit(two_kinds, output=folder, progress=StopAt(at), **arguments)
        with safe_open(folder / "checkpoint.safetensors", framework="pt") as file:
            names = list(file.keys())
        assert any(name.endswith("/moments/exp_avg") for name in names)
        assert not any("annotator_ids.vectors" in n for n in names if n.startswith(("cur", "best")))
        fit(two_kinds, output=folder, resume=True, **arguments)
        for name in FILES:
            got, wanted = (folder / name).read_bytes(), (tmp_path / "whole" / name).read_bytes()
            assert got == wanted, name


@pytest.mark.slow
def test_two_kinds_of_people_are_told_apart(two_kinds, tiny_bert, tmp_path):
    """As in test_loop.py; 0.5 is chance."""
    learn = {
        **{"epochs": 12, "shared_epochs": 1, "patience": 12, "batch_size": 16, "r": 4},
        **{"deviation_learning_rate": 3e-3, "condition_learning_rate": 5e-2, "shrinkage": 0.05},
        **{
            "head_dropout": 0.0,
            "warmup_epochs": 0.0,
            "adapted_layers": 2,
            "deviating_layers": 1,
            "deviation": "lora",
        },
        **{"learning_rate": 1e-2},
    }
    run = fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, **learn)
    scores = run.scores[(run.scores["split"] == "test") & (run.scores["slice"] == "all")]
    assert float(scores.set_index("metric").loc["accuracy", "value"]) > 0.75


def test_the_best_epoch_is_what_is_left(two_kinds, tiny_bert, quick, tmp_path, monkeypatch):
    values, best = iter([0.9, 0.5, 0.7, 0.6]), {}
    monkeypatch.setattr(loop, "dev_nll", lambda *arguments: next(values))
    evaluate = Trainer._evaluate

    def remember(trainer):
        evaluate(trainer)
        if trainer.position.waited == 0:
            best["vectors"] = trainer.classifier.network.encoders.annotator_ids.vectors.clone()

    monkeypatch.setattr(Trainer, "_evaluate", remember)
    settings = {**quick, "epochs": 10, "patience": 2}
    run = fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, **settings)
    encoder = run.fitted.network.encoders.annotator_ids
    assert encoder.vectors.equal(best["vectors"]) and encoder.vectors.abs().max() > 0
    assert not encoder.sparse_gradient
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["best"] for line in lines] == [True, True, False, False]


def test_slow_checkpoints_are_written_less_often(
    two_kinds, tiny_bert, quick, tmp_path, monkeypatch
):
    from hyperadapters.training import Checkpoint

    now, written = [0.0], []
    write = Checkpoint.write

    def slowly(checkpoint, folder):
        now[0] += 5.0
        written.append(checkpoint.position.step)
        write(checkpoint, folder)

    class Clock(Progress):
        def step(self, step):
            now[0] += 20.0

    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Checkpoint, "write", slowly)
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 30.0)
    settings = {**quick, "batch_size": 16, "epochs": 1}
    fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, progress=Clock(), **settings)
    # After 30 s; one took 5 s, so the next ones come after 150 s, and one ends the epoch.
    assert written == [2, 10, 14]
