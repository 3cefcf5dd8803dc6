"""A run that was stopped anywhere and resumed ends with the same bytes as one that was not."""

import json
import signal
import subprocess
import sys

import pytest

from hyperadapters.errors import RunError
from hyperadapters.experiments import fit
from hyperadapters.training import Progress, loop

N_BATCHES = 7  # 216 training rows, 32 a batch; two epochs
FILES = ("adapter_model.safetensors", "log.jsonl", "predictions.parquet")


class StopAt(Progress):
    """Ctrl-C at a step, or at an evaluation."""

    def __init__(self, step=None, evaluation=None):
        self.at_step, self.at_evaluation, self.evaluations = step, evaluation, 0

    def step(self, step):
        if step.step == self.at_step:
            raise KeyboardInterrupt

    def evaluation(self, record):
        self.evaluations += 1
        if self.evaluations == self.at_evaluation:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def always_save(monkeypatch):
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, two_kinds, tiny_bert, quick):
    """The files of runs that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    for method in ("hyperlora", "intercept"):
        fit(two_kinds, output=folder / method, method=method, backbone=tiny_bert, **quick)
    steps = json.loads((folder / "hyperlora" / "log.jsonl").read_text().splitlines()[0])["step"]
    assert steps == N_BATCHES
    return folder


@pytest.fixture
def stopped(two_kinds, tiny_bert, quick, tmp_path):
    """Start a run, stop it, and return how to resume it."""

    def stop(at, method="hyperlora"):
        arguments = {"output": tmp_path / "run", "method": method, "backbone": tiny_bert, **quick}
        with pytest.raises(KeyboardInterrupt):
            fit(two_kinds, progress=at, **arguments)

        def resume(ratings=two_kinds, **changes):
            return fit(ratings, resume=True, **{**arguments, **changes})

        return resume

    return stop


STOPS = {
    "first step": StopAt(step=1),
    "shared phase": StopAt(step=4),
    "before the evaluation": StopAt(step=N_BATCHES),
    "after the evaluation": StopAt(evaluation=1),
    "first deviation": StopAt(step=N_BATCHES + 1),
    "deviation phase": StopAt(step=N_BATCHES + 5),
    "last evaluation": StopAt(evaluation=2),
}


@pytest.mark.parametrize("method", ["hyperlora", "intercept"])
@pytest.mark.parametrize("at", STOPS.values(), ids=STOPS)
def test_resumed_is_uninterrupted(at, method, whole, stopped, tmp_path):
    at.evaluations = 0
    resume = stopped(at, method)
    assert not (tmp_path / "run" / "adapter_model.safetensors").exists()
    if at.at_step != 1:
        assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    resume()
    for name in FILES:
        got, wanted = (tmp_path / "run" / name).read_bytes(), (whole / method / name).read_bytes()
        assert got == wanted, name
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_resuming_takes_up_where_it_was(stopped):
    resume = stopped(StopAt(step=5))
    steps = []

    class Watch(Progress):
        def step(self, step):
            steps.append(step.step)

    resume(progress=Watch())
    assert steps[0] == 5  # the checkpoint is of step 4; the fifth was not finished
    assert steps[-1] == 2 * N_BATCHES


def test_stopped_twice(whole, stopped, tmp_path):
    resume = stopped(StopAt(step=3))
    with pytest.raises(KeyboardInterrupt):
        resume(progress=StopAt(step=N_BATCHES + 3))
    resume()
    for name in FILES:
        assert (tmp_path / "run" / name).read_bytes() == (
            whole / "hyperlora" / name
        ).read_bytes(), name


def test_without_a_checkpoint_it_begins_anew(whole, stopped, tmp_path, monkeypatch):
    resume = stopped(StopAt(evaluation=1))
    (tmp_path / "run" / "checkpoint.safetensors").unlink()
    assert (tmp_path / "run" / "log.jsonl").exists()  # a line that must not stay
    resume()
    for name in FILES:
        assert (tmp_path / "run" / name).read_bytes() == (
            whole / "hyperlora" / name
        ).read_bytes(), name


KILLED = """
import os, signal, sys, pandas as pd
from hyperadapters.experiments import fit
from hyperadapters.training import Progress, loop
loop.SECONDS_BETWEEN_CHECKPOINTS = 0
class Kill(Progress):
    def step(self, step):
        if step.step == {step}:
            os.kill(os.getpid(), signal.SIGKILL)
ratings = pd.read_parquet(sys.argv[1])
fit(ratings, output=sys.argv[2], backbone=sys.argv[3], progress=Kill(), **{settings})
"""


def test_killed_in_the_middle(whole, two_kinds, tiny_bert, quick, tmp_path):
    table, folder = tmp_path / "ratings.parquet", tmp_path / "run"
    two_kinds.to_parquet(table)
    code = KILLED.format(step=N_BATCHES + 2, settings=quick)
    command = [sys.executable, "-c", code, str(table), str(folder), tiny_bert]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (folder / "checkpoint.safetensors").exists()
    assert not list(folder.glob("*.tmp"))
    fit(two_kinds, output=folder, backbone=tiny_bert, resume=True, **quick)
    for name in FILES:
        assert (folder / name).read_bytes() == (whole / "hyperlora" / name).read_bytes(), name


def test_only_the_same_run_is_resumed(stopped, two_kinds, tiny_roberta, tmp_path):
    resume = stopped(StopAt(step=2))
    flipped = two_kinds.copy()
    flipped.loc[0, "label"] = "toxic" if flipped.loc[0, "label"] == "fine" else "fine"
    for what, arguments in {
        "another data$": {"ratings": flipped},
        "another seed$": {"seed": 5},
        "another method": {"method": "intercept"},
        "another backbone$": {"backbone": tiny_roberta},
        "another learning_rate$": {"learning_rate": 0.5},
        "another seed, epochs, batch_size$": {"seed": 5, "epochs": 3, "batch_size": 8},
    }.items():
        with pytest.raises(RunError, match=f"cannot resume: .*{what}"):
            resume(**arguments)
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    resume()  # none of these did any harm
    with pytest.raises(RunError, match="the run is complete"):
        resume()


def test_a_damaged_checkpoint_is_not_resumed(stopped, tmp_path):
    resume = stopped(StopAt(step=2))
    path = tmp_path / "run" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RunError, match=r"checkpoint\.safetensors cannot be read"):
        resume()


def test_a_folder_of_something_else_is_not_resumed(two_kinds, tiny_bert, quick, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="exists"):
        fit(two_kinds, output=tmp_path, backbone=tiny_bert, resume=True, **quick)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
