"""People removed from a run."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from hyperadapters.errors import ConditionError, RunError
from hyperadapters.experiments import fit, load
from hyperadapters.experiments.traces import check_forgotten
from hyperadapters.methods import METHODS

TEXTS = ["good kind red", "bad cruel the the", "nice"]


@pytest.fixture(scope="module")
def run_of(two_kinds, tiny_bert, quick, tmp_path_factory):
    made, folder = {}, tmp_path_factory.mktemp("runs")
    described = two_kinds.assign(
        kind=two_kinds["annotator"].str[0],
        shoe=two_kinds["annotator"].map(lambda who: "big" if who == "u3" else "small"),
    )

    def of(method):
        if method not in made:
            told = {"attributes": "kind,shoe"} if "attributes" in method else {}
            extra = {} if METHODS[method].kind == "counting" else {**told, **quick}
            output = folder / method
            fit(described, output=output, method=method, backbone=tiny_bert, **extra)
            made[method] = load(output)
        return made[method]

    return of


@pytest.mark.parametrize("method", [m for m in METHODS if METHODS[m].kind == "network"])
def test_others_are_answered_to_the_bit_as_before(method, run_of, tmp_path):
    run = run_of(method)
    after = run.forget(["u3", "v0"], tmp_path / "after")
    others = [name for name in run.vocabulary.names if name not in ("u3", "v0")]
    assert list(after.vocabulary.names) == others
    rows = pd.DataFrame({"text": TEXTS}).merge(pd.DataFrame({"annotator": others}), how="cross")
    for ask in (lambda r: r.predict(TEXTS, others), lambda r: r.predict(rows, "rows")):
        pd.testing.assert_frame_equal(ask(run), ask(load(after.folder.path)), rtol=0, atol=0)
    stranger = after.predict(pd.DataFrame({"text": TEXTS, "annotator": "u3"}), "rows")
    assert set(stranger["source"]) == {"population"}
    kept = after.predictions
    assert not set(kept["annotator"]) & {"u3", "v0"}
    known = run.predictions.query("source == 'known' and annotator not in ('u3', 'v0')")
    same = kept.query("source == 'known'").reset_index(drop=True)
    pd.testing.assert_frame_equal(same, known.reset_index(drop=True))
    assert int(after.scores.query("split == 'test' and metric == 'accuracy'")["n"].max()) == int(
        (kept["split"] == "test").sum()
    )


@pytest.mark.parametrize("method", ["hyperlora", "hyperlora+attributes", "annotator-mode"])
def test_nothing_names_them(method, run_of, tmp_path):
    after = run_of(method).forget("u3", tmp_path / "after")
    for file in after.folder.path.iterdir():
        assert b'"u3"' not in file.read_bytes(), file.name
    (done,) = json.loads(after.folder.record.read_text())["changes"]
    assert (done["what"], done["n_annotators"]) == ("forgotten", 1) and done["when"]
    again = after.forget("u1", tmp_path / "again")
    assert [change["n_annotators"] for change in again.record.changes] == [1, 1]


def test_values_that_nobody_else_has_go_too(run_of, tmp_path):
    run = run_of("hyperlora+attributes")
    assert json.loads(run.folder.people.read_text())["attributes"]["shoe"] == ["big", "small"]
    after = run.forget("u3", tmp_path / "after")
    people = json.loads(after.folder.people.read_text())
    assert people["attributes"] == {"kind": ["u", "v"], "shoe": ["small"]}
    assert "u3" not in people["values"] and "big" not in after.folder.people.read_text()
    assert "big" not in (after.folder.path / "adapter_config.json").read_text()


def test_counts_are_those_of_the_others_alone(run_of, two_kinds, tmp_path):
    after = run_of("annotator-mode").forget("u3", tmp_path / "after")
    rest = two_kinds[two_kinds["annotator"] != "u3"]
    never = fit(rest, output=tmp_path / "never", method="annotator-mode")
    assert json.loads(after.folder.counts.read_text()) == json.loads(
        never.folder.counts.read_text()
    )
    pd.testing.assert_frame_equal(after.predictions, never.predictions)
    left = run_of("global-mode").forget("u3", tmp_path / "global")
    assert "u3" not in left.folder.counts.read_text()


def test_in_place(run_of, tmp_path):
    folder = shutil.copytree(run_of("intercept").folder.path, tmp_path / "run")
    (folder / "notes.txt").write_text("mine")
    (folder / "checkpoint.safetensors").write_text("rows of everybody")
    after = load(folder).forget("v1")
    assert after.folder.path == folder and "v1" not in after.vocabulary
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "checkpoint.safetensors").exists()
    assert np.isfinite(load(folder).predict(TEXTS)["p_toxic"]).all()


def test_a_file_of_the_users_that_names_them_stops_it(run_of, tmp_path):
    folder = shutil.copytree(run_of("intercept").folder.path, tmp_path / "run")
    (folder / "notes.txt").write_text("'v1' was nice")
    with pytest.raises(RunError, match=r"still named in notes\.txt"):
        load(folder).forget("v1")
    assert "v1" in load(folder).vocabulary
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_traces_are_found_as_whole_strings(run_of, tmp_path):
    folder = run_of("intercept").forget("v1", tmp_path / "run").folder.path
    check_forgotten(folder, ["v1"], [])
    check_forgotten(folder, ["rain_los", "v", "nn"], [])  # parts of words are none
    for name, text in (
        ("log.jsonl", '{"who": "v1"}\n'),
        ("notes.txt", "about 'v1'"),
        ("more.csv", "id\nv1\n"),
        ("more.json", '[{"v1": 3}]'),
        ("broken.json", '[{"v1": 3'),
    ):
        before = (folder / name).read_bytes() if (folder / name).exists() else None
        (folder / name).write_text(text)
        with pytest.raises(RunError, match=f"still named in {name}"):
            check_forgotten(folder, ["v1"], [])
        check_forgotten(folder, ["v1"], ["v1"])
        (folder / name).unlink() if before is None else (folder / name).write_bytes(before)
    with pytest.raises(RunError, match=r"predictions\.parquet, vocabulary\.json"):
        check_forgotten(folder, ["u1"], ["u1"])


def test_mistakes(run_of, tmp_path):
    run = run_of("intercept")
    with pytest.raises(ConditionError, match="unknown: nobody"):
        run.forget(["u1", "nobody"], tmp_path / "run")
    with pytest.raises(RunError, match="nobody would be left"):
        run.forget(list(run.vocabulary.names), tmp_path / "run")
    with pytest.raises(RunError, match="nobody is named"):
        run.forget([], tmp_path / "run")
    assert not list(tmp_path.iterdir())
    with pytest.raises(RunError, match="exists"):
        run.forget("u1", run.folder.path)
