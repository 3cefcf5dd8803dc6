import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from hyperadapters.cli.progress import BarProgress, PlainProgress, evaluation_line, shown_progress
from hyperadapters.cli.task_options import RECIPE_NAMES
from hyperadapters.experiments.tasks import load_tasks
from hyperadapters.methods.recipes import RECIPES, TaskSettings
from hyperadapters.tasks import TASKS
from hyperadapters.training.progress import Step


def _load(name):
    # By its path: with --import-mode=importlib the tests are no package and on no path.
    path = Path(__file__).parents[1] / "experiments" / "tasks" / "conftest.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_FIXTURES = sys.modules.get("tasks_fixtures") or _load("tasks_fixtures")
toy, tiny_t5, task_run = _FIXTURES.toy, _FIXTURES.tiny_t5, _FIXTURES.task_run
mixture = _FIXTURES.mixture


@pytest.fixture
def quick_tasks(toy):
    """`QUICK` as options of the command line."""
    return [part for key, value in toy.QUICK.items() for part in ("--set", f"{key}={value}")]


@pytest.mark.parametrize("name", ["", "train", "predict", "compare"])
def test_every_command_explains_itself(name, command):
    arguments = ["tasks", *name.split()]
    outcome = command(*arguments, "--help")
    assert outcome.status == 0 and not outcome.err
    text = " ".join(outcome.out.split())
    assert " ".join(["Usage: hyperadapters", *arguments]) in text
    assert not name or f"Example: hyperadapters tasks {name}" in text


def test_help_waits_for_nothing():
    heavy = "{'torch', 'pandas', 'transformers', 'peft', 'sklearn'} & set(sys.modules)"
    code = (
        "import sys, atexit; sys.argv = ['hyperadapters', 'tasks', 'train', '--help']\n"
        f"atexit.register(lambda: print(sorted({heavy}), file=sys.stderr))\n"
        "from hyperadapters.cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_what_is_listed(command):
    assert ", ".join(RECIPES) == RECIPE_NAMES
    recipes = command("tasks", "train", "--list-recipes").out.splitlines()
    assert [line for line in recipes if not line.startswith(" ")] == list(RECIPES)
    tasks = command("tasks", "compare", "--list-tasks").out.splitlines()
    names = [line.split(" (")[0] for line in tasks if not line.startswith(" ")]
    assert names == list(TASKS)
    assert "    cola sentence: {sentence} -> label" in tasks
    settings = command("tasks", "train", "--list-settings").out
    for name, value in TaskSettings().to_dict().items():
        assert f"{name} = {value}\n" in settings


def test_train_and_predict(command, mixture, tiny_t5, quick_tasks, toy, tmp_path):
    run, out, rows = tmp_path / "run", tmp_path / "out.parquet", tmp_path / "rows.csv"
    long = " ".join(["kind"] * 40)
    toy.tone().assign(text=long).to_csv(tmp_path / "tone.csv", index=False)
    done = command(
        *("tasks", "train", mixture, "--output", run, "--backbone", tiny_t5, "--seed", 3),
        *("--recipe", "hyperformer", *quick_tasks),
    )
    assert done.status == 0, done.err
    # Standard output: the scores; standard error: plain lines, as it is no terminal.
    assert "hyperformer, seed 3, split test" in done.out
    for part in ("tone", "colour", "accuracy", "average", "95 % interval"):
        assert part in done.out
    assert "trainable parameters" in done.out
    assert f"everything is in {run}" in done.out.replace("\n", "")
    lines = done.err.splitlines()
    assert lines[0].startswith(f"hyperformer on {tiny_t5}: ")
    assert lines[1] == "train: 36 of 36 sources of tone were cut at 24 tokens"
    steps = [line for line in lines if line.startswith("step")]
    assert [line.split(":")[0] for line in steps] == ["step 3", "step 6"]
    assert "dev average" in steps[0] and "(tone 0." in steps[0] and "best so far" in steps[0]
    assert lines[-1] == "answering dev and test: 48 examples"
    assert "\x1b" not in done.err
    assert load_tasks(run).record.seed == 3

    pd.DataFrame({"text": ["a kind one", long]}).to_csv(rows, index=False)
    done = command(*("tasks", "predict", run, "--task", "tone", "--input", rows, "--output", out))
    assert done.status == 0, done.err
    assert done.out.replace("\n", "") == f"2 answers in {out}"
    assert done.err.splitlines() == ["1 of 2 sources of tone were cut at 24 tokens"]
    table = pd.read_parquet(out)
    assert len(table) == 2 and table["label"].isna().all()

    pd.DataFrame({"text": ["a kind one", "a cruel one"], "label": [1, 0]}).to_csv(rows)
    more = ("--input", rows, "--output", tmp_path / "more.parquet")
    done = command("tasks", "predict", run, "--task", "tone", *more)
    assert done.status == 0 and "tone" in done.out and "accuracy" in done.out


def test_settings_of_a_file_and_of_the_line(command, mixture, tiny_t5, toy, tmp_path):
    config, run = tmp_path / "config.yaml", tmp_path / "run"
    lines = [f"{key}: {value}" for key, value in toy.QUICK.items()]
    config.write_text("\n".join([*lines, "weight_decay: 1e-3"]))
    done = command(
        *("tasks", "train", mixture, "--output", run, "--backbone", tiny_t5),
        *("--config", config, "--set", "steps=2", "--set", " loss = sum "),
    )
    assert done.status == 0, done.err
    settings = load_tasks(run).record.settings
    assert (settings["steps"], settings["loss"], settings["weight_decay"]) == (2, "sum", 1e-3)


def test_compare(command, mixture, tiny_t5, quick_tasks, tmp_path):
    line = ["tasks", "compare", mixture, "--recipes", "hyperdecoder, single-adapter"]
    line += ["--seeds", "0,1", "--output", tmp_path / "all", "--backbone", tiny_t5, *quick_tasks]
    done = command(*line)
    assert done.status == 0, done.err
    for part in ("hyperdecoder", "single-\n", "average", "parameters", "seconds", "±"):
        assert part.strip() in done.out
    assert "hyperdecoder/seed-0 (1 of 4)" in done.err.splitlines()
    table = (tmp_path / "all" / "table.md").read_text()
    assert f"tasks compare {mixture} --recipes 'hyperdecoder, single-adapter'" in table
    again = command(*line)
    assert again.status == 2 and "exists; name another output" in again.err
    again = command(*line, "--resume")
    assert again.status == 0, again.err
    assert again.err.count("is finished") == 4
    assert (tmp_path / "all" / "table.md").read_text() == table  # the command is the same too
    shown = json.loads((tmp_path / "all" / "compare.json").read_text())["command"]
    assert shown.startswith("hyperadapters tasks compare") and "--resume" not in shown


@pytest.fixture
def mistake(refused, mixture, tmp_path):
    """A mistake must leave the folder as it was."""

    def call(*arguments, file=mixture, kind="train"):
        before = sorted(path.name for path in tmp_path.iterdir())
        wanted = [] if kind == "train" else ["--recipes", "hyperdecoder"]
        output = ["--output", tmp_path / "run"]
        message = refused("tasks", kind, file, *output, *wanted, *arguments)
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        return message

    return call


def test_mistakes_of_options(mistake):
    assert "did you mean hyperformer" in mistake("--recipe", "hyperform")
    assert "'no-such' cannot be loaded" in mistake("--backbone", "no-such")
    assert "Invalid value for '--seed'" in mistake("--seed", "x")
    assert "seed must be from 0" in mistake("--seed", "-1")
    assert "did you mean steps?" in mistake("--set", "step=3")
    assert "steps must be a number of at least 1" in mistake("--set", "steps=0")
    # Options of their own, which would clash with an argument of `fit_tasks`.
    for name in ("seed", "output", "recipe", "mixture", "progress", "resume"):
        assert f"unknown setting '{name}'" in mistake("--set", f"{name}=1")


def test_mistakes_of_a_comparison(mistake):
    compare = {"kind": "compare"}
    assert "got 'x'" in mistake("--seeds", "0,x", **compare)
    assert "got '-1'" in mistake("--seeds=-1", **compare)
    assert "--seeds names nothing" in mistake("--seeds", ",", **compare)
    assert "seed 1 is named twice" in mistake("--seeds", "1,1", **compare)
    assert "did you mean hyperformer" in mistake("--recipes", "hyperform", **compare)
    for name in ("recipes", "seeds", "command"):
        assert f"unknown setting '{name}'" in mistake("--set", f"{name}=1", **compare)


def test_mistakes_of_the_mixture(mistake, toy, tiny_t5, tmp_path):
    assert "gone.yaml: there is no such file" in mistake(file=tmp_path / "gone.yaml")
    evil, made = tmp_path / "evil.yaml", tmp_path / "made"
    evil.write_text(f"tasks: !!python/object/apply:os.mkdir ['{made}']")
    assert "evil.yaml: is not YAML" in mistake(file=evil)
    assert not made.exists()
    config = tmp_path / "config.yaml"
    config.write_text(f"steps: !!python/object/apply:os.mkdir ['{made}']")
    assert "is not YAML" in mistake("--config", config)
    path = toy.write_mixture(tmp_path, "tone", tone={"source": "{txt}"})
    message = mistake("--backbone", tiny_t5, file=path)
    assert "tone.csv" in message and "no column 'txt'; did you mean 'text'" in message
    path = toy.write_mixture(tmp_path, "tone", tone={"labels": {0: "bad", 1: "splendid"}})
    message = mistake("--backbone", tiny_t5, file=path)
    assert "task tone" in message and "'splendid'" in message


def test_an_existing_output(refused, mixture, tmp_path):
    message = refused("tasks", "train", mixture, "--output", tmp_path)
    assert "exists; name another output" in message


def test_mistakes_of_predict(refused, task_run, toy, tmp_path):
    rows, out = tmp_path / "rows.csv", tmp_path / "out.parquet"
    toy.tone(4).to_csv(rows, index=False)

    def mistake(**changes):
        options = {"task": "tone", "input": rows, "output": out, **changes}
        run = options.pop("run", task_run)
        given = [part for name, value in options.items() for part in (f"--{name}", value)]
        return refused("tasks", "predict", run, *given)

    message = mistake(task="ton")
    assert "did you mean 'tone'? known: tone, colour, size, where" in message
    assert "wanted .parquet" in mistake(output=tmp_path / "out.csv")
    assert "exists" in mistake(output=task_run / "predictions.parquet")
    assert "gone.csv: there is no such file" in mistake(input=tmp_path / "gone.csv")
    assert "is not a run folder" in mistake(run=tmp_path)
    rows.write_text("txt\nkind\n")
    message = mistake()
    assert "rows.csv" in message and "no column 'text'" in message
    assert not out.exists()


def test_stopped_and_resumed(command, mixture, tiny_t5, quick_tasks, tmp_path, monkeypatch):
    run = tmp_path / "run"
    line = ["tasks", "train", mixture, "--output", run, "--backbone", tiny_t5, *quick_tasks]

    def stop(self, record):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PlainProgress, "evaluation", stop)
        stopped = command(*line)
    assert stopped.status == 130
    assert stopped.err.splitlines()[-1] == (
        f"stopped; the same command with --resume goes on in {run}"
    )
    again = command(*line)
    assert again.status == 2 and "exists" in again.err
    other = command(*line, "--resume", "--seed", 1)
    assert other.status == 2 and "started with another seed" in other.err
    done = command(*line, "--resume")
    assert done.status == 0, done.err
    assert load_tasks(run).record.complete
    assert "nothing to resume" in command(*line, "--resume").err


def test_stopped_before_anything_was_written(command, mixture, tmp_path, monkeypatch):
    from hyperadapters.experiments.tasks import fit

    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(fit.MixtureData, "read", stop)
    stopped = command("tasks", "train", mixture, "--output", tmp_path / "run")
    assert (stopped.status, stopped.err) == (130, "stopped before anything was written\n")


RECORD = {
    **{"epoch": 1, "step": 40, "train_loss": 0.5, "dev_average": 0.25, "best": True},
    "dev": {"mrpc": {"f1": 0.2, "accuracy": 0.4}, "rte": {"accuracy": None}},
}


def test_an_evaluation_in_words():
    assert evaluation_line(RECORD) == (
        "step 40: train loss 0.5000, dev average 0.2500 (mrpc 0.300, rte nan)  best so far"
    )
    none = {**RECORD, "dev_average": None, "best": False}
    assert evaluation_line(none).endswith("dev average nan (mrpc 0.300, rte nan)")


def test_a_terminal_gets_bars(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with shown_progress() as shown:
        assert isinstance(shown, BarProgress)
        for n_steps in (4, 2):  # two trainings, as in a comparison
            for step in range(1, n_steps + 1):
                shown.step(Step(1, step, n_steps, 0.5))
            (task,) = shown._bar.tasks
            assert (task.completed, task.total) == (n_steps, n_steps)
            shown.part("answers", 1, 3)
            assert [task.description for task in shown._bar.tasks] == ["epoch 1", "answers"]
            shown.part("answers", 3, 3)
            assert len(shown._bar.tasks) == 1
        shown.evaluation(RECORD)
    assert "dev average" in capsys.readouterr().err


def test_plain_lines_about_answers_are_few(capsys, monkeypatch):
    from types import SimpleNamespace

    from hyperadapters.cli import progress

    now = iter([0.5, 1.0, 31.0, 32.0, 62.0, 63.0, 100.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(now)))
    plain = PlainProgress()
    for done in (10, 20, 30, 40, 50, 60):
        plain.part("answers", done * 100, 6000)
    plain.part("dev", 1, 2)  # begins anew
    assert capsys.readouterr().err.splitlines() == [
        *["answers: 3,000 of 6,000", "answers: 5,000 of 6,000"]
    ]
