import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from hyperadapters.errors import ConditionError, DataError, HyperAdaptersError, RunError
from hyperadapters.experiments import load
from hyperadapters.experiments.tasks import TaskRun, fit_tasks, load_tasks
from hyperadapters.training import Progress


@pytest.fixture
def copied(task_run, tmp_path):
    """A run folder that may be damaged."""
    return shutil.copytree(task_run, tmp_path / "copy")


@pytest.fixture(scope="module")
def run(task_run):
    return load_tasks(task_run)


def test_rows_come_back_in_their_order_without_labels(run, toy):
    rows = toy.tone(12).assign(text_id=[f"n{i}" for i in range(12)])
    table = run.predict("tone", rows[["text_id", "text"]])
    assert table["text_id"].tolist() == rows["text_id"].tolist()
    assert table["label"].isna().all() and set(table["task"]) == {"tone"}
    assert set(table["method"]) == {"hyperdecoder"} and set(table["seed"]) == {0}
    known = run.predict("tone", rows)
    assert known["label"].tolist() == [("bad", "good")[label] for label in rows["label"]]
    assert known["predicted"].tolist() == table["predicted"].tolist()


def test_scores_of_answers(run, toy):
    test = toy.tone().query("split == 'test'")
    scores = run.score(run.predict("tone", test))
    stored = run.scores.query("slice == 'tone' and split == 'test'")
    assert scores.query("slice == 'tone'")["value"].tolist() == stored["value"].tolist()
    half = test.reset_index(drop=True)
    half["label"] = half["label"].astype(object).where(half.index % 2 == 0, None)
    assert set(run.score(run.predict("tone", half))["n"]) <= {(len(half) + 1) // 2, 1}
    with pytest.raises(DataError, match="the right answer is known of no row"):
        run.score(run.predict("tone", test[["text"]]))


def test_a_table_is_answered_as_a_file_is(run, toy, tmp_path):
    rows = toy.where(8)
    rows.to_parquet(tmp_path / "rows.parquet")
    from_file = run.predict("where", tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(run.predict("where", rows), from_file)
    assert len(from_file) == 8


def test_what_was_stored_is_answered_again(run, toy):
    test = toy.tone().query("split == 'test'")
    stored = run.predictions.query("task == 'tone' and split == 'test'")
    again = run.predict("tone", test)
    assert again["predicted"].tolist() == stored["predicted"].tolist()
    assert again["nll"].tolist() == pytest.approx(stored["nll"].tolist(), rel=1e-4)


def test_what_was_cut_is_told(run):
    seen = []

    class Listener(Progress):
        def message(self, text):
            seen.append(text)

    rows = pd.DataFrame({"text": ["kind", " ".join(["kind"] * 40)]})
    run.predict("tone", rows, progress=Listener())
    assert seen == ["1 of 2 sources of tone were cut at 24 tokens"]


def test_unknown_tasks(run, toy):
    message = r"knows no task 'ton'; did you mean 'tone'\? known: tone, colour, size, where"
    with pytest.raises(ConditionError, match=message):
        run.predict("ton", toy.tone())
    with pytest.raises(ConditionError, match="knows no task 'rte'; known: tone"):
        run.predict("rte", toy.tone())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pd.DataFrame({"txt": ["x"]}), "table: no column 'text'; did you mean 'txt'"),
        (pd.DataFrame({"text": []}), "table: there are no rows"),
        (pd.DataFrame({"text": ["x", None]}), r"table: column 'text' is empty \(row 2\)"),
        (pd.DataFrame([["x", "y"]], columns=["text", "text"]), "column 'text' occurs twice"),
        (pd.DataFrame({"text": ["x"], "label": [7]}), "column 'label' holds '7'"),
    ],
)
def test_rows_that_cannot_be_answered(rows, message, run):
    with pytest.raises(DataError, match=message) as caught:
        run.predict("tone", rows)
    assert ("leave the column 'label' out" in str(caught.value)) == ("label" in rows)


PREDICT = """
import sys, pandas as pd
from hyperadapters.experiments.tasks import load_tasks
load_tasks(sys.argv[1]).predict("colour", sys.argv[2]).to_parquet(sys.argv[3])
"""


@pytest.mark.slow
def test_another_process_answers_the_same(run, toy, tmp_path):
    toy.colour(20).to_csv(tmp_path / "rows.csv", index=False)
    files = [run.folder.path, tmp_path / "rows.csv", tmp_path / "out.parquet"]
    command = [sys.executable, "-c", PREDICT, *map(str, files)]
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # loading is silent
    here = run.predict("colour", tmp_path / "rows.csv")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "out.parquet").drop(columns="references"),
        here.drop(columns="references"),
    )


def refused(path, message, error=RunError):
    with pytest.raises(error, match=message) as caught:
        TaskRun.open(path).predict("tone", pd.DataFrame({"text": ["kind"]}))
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


def test_folders_of_something_else(tmp_path, task_run):
    refused(tmp_path / "nothing", "is not a run folder: it has no run.json")
    (tmp_path / "run.json").write_text('{"kind": "marathon"}')
    refused(tmp_path, "is not the record of a run")
    (tmp_path / "run.json").write_text("[]")
    refused(tmp_path, "is not the record of a run")
    (tmp_path / "run.json").write_text("{")
    refused(tmp_path, "cannot be read")


def test_runs_for_annotators_and_runs_on_tasks_know_each_other(tmp_path, two_kinds, task_run):
    from hyperadapters.experiments import fit

    fit(two_kinds, output=tmp_path / "run", method="global-mode")
    refused(tmp_path / "run", "is the record of a run about annotators: use `hyperadapters.load`")
    with pytest.raises(RunError, match=r"about tasks: use `hyperadapters\.experiments\.tasks"):
        load(task_run)


def test_a_run_of_another_format(copied):
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps({**record, "format": 99}))
    refused(copied, "has format 99; this version reads 1")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tasks.json", None),
        ("tasks.json", "{}"),
        ("tasks.json", "[1, 2"),
        ("tasks.json", "[]"),
        ("adapter_model.safetensors", None),
        ("adapter_model.safetensors", "no tensors"),
        ("adapter_config.json", None),
        ("adapter_config.json", "{"),
    ],
)
def test_damaged_folders(name, content, copied):
    (copied / name).unlink()
    if content is not None:
        (copied / name).write_text(content)
    refused(copied, "copy")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("run.json", {"settings": {"max_source": "x"}}, "max_source must be a whole number"),
        ("tasks.json", {"columns": {"tone": {"text": 5}}}, "column 'text' must be a text, got 5"),
        ("tasks.json", {"columns": {"tone": 5}}, "tasks.json is damaged"),
    ],
)
def test_cells_of_another_kind(name, change, message, copied):
    content = json.loads((copied / name).read_text())
    (copied / name).write_text(json.dumps({**content, **change}))
    with pytest.raises(HyperAdaptersError, match=message):
        TaskRun.open(copied).predict("tone", pd.DataFrame({"text": ["kind"]}))


def test_what_is_missing_is_named(copied):
    (copied / "adapter_model.safetensors").unlink()
    refused(copied, r"it has no adapter_model\.safetensors")
    (copied / "tasks.json").write_text("{}")
    refused(copied, r"tasks\.json is damaged: 'tasks' is missing")


def test_tasks_in_another_order_are_refused(copied):
    tasks = json.loads((copied / "tasks.json").read_text())
    tasks["order"] = tasks["order"][::-1]
    (copied / "tasks.json").write_text(json.dumps(tasks))
    refused(copied, "run.json and tasks.json disagree on tasks")


def test_an_adapter_of_other_tasks_is_refused(mixture, tiny_t5, toy, tmp_path):
    run = tmp_path / "run"
    fit_tasks(mixture, output=run, recipe="hyperformer", backbone=tiny_t5, **toy.QUICK)
    for name, keys in (("tasks.json", ("order",)), ("run.json", ("tasks",))):
        data = json.loads((run / name).read_text())
        for key in keys:
            data[key] = data[key][:1]
        if name == "tasks.json":
            data["conditioned_as"]["colour"] = "tone"
        (run / name).write_text(json.dumps(data))
    refused(run, "the adapter knows 2 tasks, not 1")


def test_a_run_that_was_never_finished(mixture, tiny_t5, toy, tmp_path):
    class Stop(Progress):
        def step(self, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_tasks(mixture, output=tmp_path / "run", backbone=tiny_t5, progress=Stop(), **toy.QUICK)
    refused(tmp_path / "run", "was not finished; train again with --resume")


def test_opening_does_not_load_the_model(task_run):
    run = load_tasks(task_run)
    assert len(run.predictions) and len(run.scores)
    assert run._task_model is None
    assert run.task_model is run.task_model
