import gc
import json
import os
import shutil
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest

import hyperadapters as ha
from hyperadapters.errors import ConditionError, ConfigError, DataError, RunError
from hyperadapters.experiments import Run, fit, load
from hyperadapters.inference import question
from hyperadapters.training import Progress


@pytest.fixture
def copied(quick_run, tmp_path):
    """A run folder that may be damaged."""
    return shutil.copytree(quick_run, tmp_path / "copy")


@pytest.fixture(scope="module")
def run(quick_run):
    return load(quick_run)


def test_the_promised_python(run):
    table = run.predict(["You people are unbelievable."], annotators="all")
    assert table["annotator"].tolist() == list(run.vocabulary.names)
    assert set(table["source"]) == {"known"} and set(table["method"]) == {"hyperlora"}
    np.testing.assert_allclose(table[["p_fine", "p_toxic"]].sum(axis=1), 1)
    assert run.predict(["good", "bad"]).equals(run.predict(["good", "bad"], annotators="all"))
    assert ha.load(run.folder.path).predict("good", ["u1", "v0"])["annotator"].tolist() == [
        *["u1", "v0"]
    ]
    assert run.predict(["good"], "population")["source"].tolist() == ["population"]
    scores = ha.evaluate(run.predictions)
    pd.testing.assert_frame_equal(scores, run.scores)


def test_a_table_is_asked_row_by_row(run, two_kinds):
    rows = two_kinds[two_kinds["split"] == "test"]
    table = run.predict(rows, annotators="rows")
    stored = run.predictions.query("split == 'test'").reset_index(drop=True)
    assert table["annotator"].tolist() == stored["annotator"].tolist()
    np.testing.assert_array_equal(table["p_toxic"], stored["p_toxic"])


def test_predictions_straight_to_a_file(run, tmp_path):
    texts, told = ["good", "bad one", "nice"], []
    asked = run.predict_to(
        tmp_path / "out.parquet",
        texts,
        aggregate=tmp_path / "texts.csv",
        progress=lambda done, total: told.append((done, total)),
    )
    table = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(table, run.predict(texts), rtol=0, atol=0)
    assert len(asked) == len(table) == asked.n_known == 36
    assert told[-1] == (36, 36)
    assert len(pd.read_csv(tmp_path / "texts.csv")) == 3


@pytest.mark.parametrize("changed", ["run", "input", "choice of annotators"])
def test_only_the_same_job_is_resumed(changed, copied, tmp_path, monkeypatch):
    monkeypatch.setattr(question, "CHUNK_ROWS", 12)
    texts = ["good", "bad"]

    def stop(done, total):
        if list(tmp_path.rglob("000000.parquet")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(copied).predict_to(tmp_path / "out.csv", texts, progress=stop)
    who = "all"
    if changed == "run":
        settings = json.loads((copied / "run.json").read_text())
        (copied / "run.json").write_text(json.dumps({**settings, "seed": 5}))
    elif changed == "input":
        texts = ["good", "bad "]
    else:
        who = list(load(copied).vocabulary.names[::-1])
    with pytest.raises(RunError, match=f"had another {changed}; repeat"):
        load(copied).predict_to(tmp_path / "out.csv", texts, who, resume=True)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_texts(run, tmp_path, monkeypatch):
    monkeypatch.setattr(question, "CHUNK_ROWS", 240)

    def peak(n):
        table = pd.DataFrame({"text_id": [f"t{i}" for i in range(n)], "text": ["good red"] * n})
        gc.collect()
        tracemalloc.start()
        run.predict_to(tmp_path / f"{n}.csv", table)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)  # what is imported or kept once
    # The interpreter enlarges tables of its own now and then, in whichever call it is.
    assert min(peak(n) for n in (200, 201)) < 1.5 * min(peak(n) for n in (20, 21))


@pytest.mark.parametrize(
    ("texts", "who", "error", "message"),
    [
        ([], "all", DataError, "there is no text"),
        (["good", " "], "all", DataError, "text 2 is empty"),
        (pd.DataFrame({"text": []}), "all", DataError, "there is no text"),
        (pd.DataFrame({"text": ["x", None]}), "all", DataError, "text 2 is empty"),
        (pd.DataFrame({"comment": ["x"]}), "all", DataError, "there is no column 'text'"),
        (["good"], "rows", ConfigError, "no column of annotators"),
        (["good"], ["u1", "nobody"], ConditionError, "unknown: nobody"),
        (["good"], "nobody", ConditionError, "unknown: nobody"),
    ],
)
def test_questions_that_cannot_be_answered(texts, who, error, message, run):
    with pytest.raises(error, match=message):
        run.predict(texts, who)


PREDICT = """
import sys, pandas as pd
from hyperadapters.experiments import load
load(sys.argv[1]).predict(pd.read_parquet(sys.argv[2]), "rows").to_parquet(sys.argv[3])
"""


def test_another_process_predicts_the_same(run, two_kinds, tmp_path):
    rows = two_kinds[two_kinds["split"] == "test"].reset_index(drop=True)
    rows.to_parquet(tmp_path / "rows.parquet")
    files = [run.folder.path, tmp_path / "rows.parquet", tmp_path / "out.parquet"]
    command = [sys.executable, "-c", PREDICT, *map(str, files)]
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # loading is silent
    stored = run.predictions.query("split == 'test'")
    np.testing.assert_array_equal(
        pd.read_parquet(tmp_path / "out.parquet")["p_toxic"], stored["p_toxic"]
    )


def refused(path, message):
    with pytest.raises(RunError, match=message) as caught:
        Run.open(path).predict(["good"])
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


def test_folders_of_something_else(tmp_path):
    refused(tmp_path / "nothing", "is not a run folder: it has no run.json")
    refused(tmp_path, "is not a run folder: it has no run.json")
    (tmp_path / "run.json").write_text('{"name": "marathon"}')
    refused(tmp_path, "is not the record of a run")
    (tmp_path / "run.json").write_text("[]")
    refused(tmp_path, "is not the record of a run")
    (tmp_path / "run.json").write_text("{")
    refused(tmp_path, "cannot be read")


def test_a_run_of_another_format(copied):
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps({**record, "format": 99}))
    refused(copied, "has format 99; this version reads 1")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.json", None),
        ("labels.json", "{}"),
        ("labels.json", '{"names": ["one"], "kind": "nominal"}'),
        ("vocabulary.json", None),
        ("vocabulary.json", "[1, 2"),
        ("vocabulary.json", '{"names": ["a", "a"]}'),
        ("adapter_model.safetensors", None),
        ("adapter_model.safetensors", "no tensors"),
        ("adapter_config.json", None),
        ("adapter_config.json", "{"),
        # The adapter is of other people.
        ("vocabulary.json", '{"names": ["a"]}'),
    ],
)
def test_damaged_folders(name, content, copied):
    (copied / name).unlink()
    if content is not None:
        (copied / name).write_text(content)
    refused(copied, "copy")


def test_damaged_counts(two_kinds, tmp_path):
    fit(two_kinds, output=tmp_path / "run", method="annotator-mode")
    for content in ("{", "[]", '{"method": "annotator-mode"}'):
        (tmp_path / "run" / "counts.json").write_text(content)
        refused(tmp_path / "run", "run")


def test_a_run_that_was_never_finished(two_kinds, tiny_bert, quick, tmp_path):
    class Stop(Progress):
        def step(self, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, progress=Stop(), **quick)
    refused(tmp_path / "run", "was not finished; train again with --resume")


def test_opening_does_not_load_the_model(quick_run):
    run = load(quick_run)
    assert run._fitted is None
    assert len(run.predictions) and len(run.scores)
    assert run._fitted is None
    assert run.fitted is run.fitted
