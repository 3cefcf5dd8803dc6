"""A run that was stopped anywhere and resumed ends with the same bytes as one that was not."""

import json
import signal
import subprocess
import sys

import pytest

from hyperadapters.errors import RunError
from hyperadapters.experiments.tasks import fit_tasks
from hyperadapters.training import Progress
from hyperadapters.training.tasks import trainer
from pairwise import one_by_one

FILES = ("adapter_model.safetensors", "predictions.parquet", "scores.json")
RECIPES = ("hyperdecoder", "adapter-per-task")
STEPS = {"steps": 12, "evaluate_every": 4, "accumulation": 2}  # 9 batches of 8 an epoch


class StopAt(Progress):
    """Ctrl-C at a step, at an evaluation, or while answers are written."""

    def __init__(self, step=None, evaluation=None, answers=None):
        self.at, self.evaluations = (step, evaluation, answers), 0

    def step(self, step):
        if step.step == self.at[0]:
            raise KeyboardInterrupt

    def evaluation(self, record):
        self.evaluations += 1
        if self.evaluations == self.at[1]:
            raise KeyboardInterrupt

    def part(self, name, done, total):
        if name == "dev" and self.evaluations + 1 == self.at[2]:
            raise KeyboardInterrupt
        if name != "dev" and self.at[2] == "test":
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def always_save(monkeypatch):
    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory, toy):
    sampling = {"temperature": 3.0}
    return toy.write_mixture(tmp_path_factory.mktemp("files"), sampling=sampling)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, files, tiny_t5, toy):
    """The folders of runs that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    for recipe in RECIPES:
        settings = {**toy.QUICK, **STEPS}
        fit_tasks(files, output=folder / recipe, recipe=recipe, backbone=tiny_t5, **settings)
    return folder


@pytest.fixture
def stopped(files, tiny_t5, toy, tmp_path):
    """Start a run, stop it, and return how to resume it."""

    def stop(at, recipe="hyperdecoder"):
        arguments = {"output": tmp_path / "run", "recipe": recipe, "backbone": tiny_t5}
        arguments |= {**toy.QUICK, **STEPS}
        with pytest.raises(KeyboardInterrupt):
            fit_tasks(files, progress=at, **arguments)

        def resume(mixture=files, **changes):
            return fit_tasks(mixture, resume=True, **{**arguments, **changes})

        return resume

    return stop


def log_of(folder):
    """All that does not depend on the clock."""
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def assert_same(got, wanted):
    for name in FILES:
        assert (got / name).read_bytes() == (wanted / name).read_bytes(), name
    assert log_of(got) == log_of(wanted)
    assert not (got / "checkpoint.safetensors").exists()


STOPS = {
    "first step": StopAt(step=1),
    "second step": StopAt(step=2),
    "before an evaluation": StopAt(step=4),
    "in an evaluation": StopAt(answers=2),
    "after an evaluation": StopAt(evaluation=1),
    "second epoch": StopAt(step=7),
    "last step": StopAt(step=12),
    "last evaluation": StopAt(evaluation=3),
    "last answers": StopAt(answers="test"),
}


@one_by_one(recipe=RECIPES, when=[*STOPS])
def test_resumed_is_uninterrupted(when, recipe, whole, stopped, tmp_path):
    at = STOPS[when]
    at.evaluations = 0
    resume = stopped(at, recipe)
    assert (tmp_path / "run" / "checkpoint.safetensors").exists() == (at.at[0] != 1)
    assert not (tmp_path / "run" / "scores.json").exists()
    resume()
    assert_same(tmp_path / "run", whole / recipe)


def test_stopped_twice(whole, stopped, tmp_path):
    resume = stopped(StopAt(step=3))
    with pytest.raises(KeyboardInterrupt):
        resume(progress=StopAt(step=9))
    resume()
    assert_same(tmp_path / "run", whole / "hyperdecoder")


def test_the_time_of_all_sessions_is_added_up(stopped, tmp_path):
    resume = stopped(StopAt(evaluation=2))
    before = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])["seconds"]
    run = resume()
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    seconds = [line["seconds"] for line in log]
    assert seconds[0] == before and seconds == sorted(seconds)
    assert run.record.results["seconds"] >= seconds[-1] - 0.1


def test_without_a_checkpoint_it_begins_anew(whole, stopped, tmp_path):
    resume = stopped(StopAt(evaluation=1))
    (tmp_path / "run" / "checkpoint.safetensors").unlink(missing_ok=True)
    assert (tmp_path / "run" / "log.jsonl").exists()  # a line that must not stay
    resume()
    assert_same(tmp_path / "run", whole / "hyperdecoder")


KILLED = """
import os, signal, sys
from hyperadapters.experiments.tasks import fit_tasks
from hyperadapters.training import Progress
from hyperadapters.training.tasks import trainer
trainer.SECONDS_BETWEEN_CHECKPOINTS = 0
class Kill(Progress):
    def step(self, step):
        if step.step == 7:
            os.kill(os.getpid(), signal.SIGKILL)
fit_tasks(sys.argv[1], output=sys.argv[2], backbone=sys.argv[3], progress=Kill(), **{settings})
"""


def test_killed_in_the_middle(whole, files, tiny_t5, toy, tmp_path):
    """In a process whose sets and dictionaries of strings are in another order."""
    folder, settings = tmp_path / "run", {**toy.QUICK, **STEPS}
    code = KILLED.format(settings=settings)
    command = [sys.executable, "-c", code, str(files), str(folder), tiny_t5]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (folder / "checkpoint.safetensors").exists()
    assert not list(folder.glob("*.tmp"))
    fit_tasks(files, output=folder, backbone=tiny_t5, resume=True, **settings)
    assert_same(folder, whole / "hyperdecoder")


def test_only_the_same_run_is_resumed(stopped, toy, tiny_bert2bert, files, tmp_path):
    resume = stopped(StopAt(step=2))
    other = tmp_path / "other"
    other.mkdir()
    changed = toy.write_mixture(other, sampling={"temperature": 3.0})
    toy.tone(seed=9).to_csv(other / "tone.csv", index=False)
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    order = toy.write_mixture(swapped, "colour", "tone", sampling={"temperature": 3.0})
    sampled = tmp_path / "sampled"
    sampled.mkdir()
    for what, arguments in {
        "another data$": {"mixture": changed},
        "another tasks, data, mixture$": {"mixture": order},
        "another mixture$": {"mixture": toy.write_mixture(sampled)},
        "another seed$": {"seed": 5},
        "another recipe, decoder$": {"recipe": "single-adapter"},
        "another backbone$": {"backbone": tiny_bert2bert},
        "another seed, batch_size, steps": {"seed": 5, "steps": 3, "batch_size": 4},
    }.items():
        with pytest.raises(RunError, match=f"cannot resume: .*{what}"):
            resume(**arguments)
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    moved = tmp_path / "moved"
    moved.mkdir()
    resume(toy.write_mixture(moved, sampling={"temperature": 3.0}))  # the same files elsewhere
    with pytest.raises(RunError, match="is complete; there is nothing to resume"):
        resume()


def test_a_damaged_checkpoint_is_not_resumed(stopped, tmp_path):
    resume = stopped(StopAt(step=3))
    path = tmp_path / "run" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RunError, match=r"checkpoint\.safetensors cannot be read"):
        resume()


def test_a_folder_of_something_else_is_not_resumed(files, tiny_t5, toy, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="exists"):
        fit_tasks(files, output=tmp_path, backbone=tiny_t5, resume=True, **toy.QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
