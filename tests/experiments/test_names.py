"""People under other names, and several ids made one."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from hyperadapters.adaptation import PersonalVectors, Posterior
from hyperadapters.errors import ConditionError, ConfigError, RunError
from hyperadapters.experiments import fit, load
from hyperadapters.experiments.names import shares_of
from hyperadapters.methods import METHODS
from hyperadapters.tables import write_predictions

TEXTS = ["good kind red", "bad cruel the the", "nice"]


@pytest.fixture(scope="module")
def run_of(two_kinds, tiny_bert, quick, quick_run, tmp_path_factory):
    made, folder = {"hyperlora": load(quick_run)}, tmp_path_factory.mktemp("runs")
    described = two_kinds.assign(kind=two_kinds["annotator"].str[0])

    def of(method):
        if method not in made:
            told = {"attributes": "kind"} if "attributes" in method else {}
            extra = {} if METHODS[method].kind == "counting" else {**told, **quick}
            output = folder / method
            fit(described, output=output, method=method, backbone=tiny_bert, **extra)
            made[method] = load(output)
        return made[method]

    return of


def same(before, after):
    pd.testing.assert_frame_equal(before, after, rtol=0, atol=0)


def names_nobody(folder, *ids):
    for file in folder.iterdir():
        for name in ids:
            assert f'"{name}"'.encode() not in file.read_bytes(), file.name


@pytest.mark.parametrize("method", ["hyperlora", "hyperlora+attributes", "user-token"])
def test_a_renamed_person_and_all_others_are_answered_to_the_bit(method, run_of, tmp_path):
    run = run_of(method)
    after = run.rename("u3", "zoe", tmp_path / "after")
    names = list(run.vocabulary.names)
    new = ["zoe" if name == "u3" else name for name in names]
    assert list(after.vocabulary.names) == new
    old = run.predict(TEXTS, [*names, "population"])
    same(
        old.assign(annotator=old["annotator"].replace("u3", "zoe")),
        load(after.folder.path).predict(TEXTS, [*new, "population"]),
    )
    was = run.predictions
    same(was.assign(annotator=was["annotator"].replace("u3", "zoe")), after.predictions)
    names_nobody(after.folder.path, "u3")
    assert [c["what"] for c in after.record.changes] == ["renamed"]
    assert after.vocabulary.n_ratings == run.vocabulary.n_ratings
    back = after.rename("zoe", "u3", tmp_path / "back")
    same(run.predict(TEXTS), back.predict(TEXTS))


NETWORKS = [m for m in METHODS if METHODS[m].kind == "network"]
USUAL = ("hyperlora", "multi-head", "hyperlora+attributes")


@pytest.mark.parametrize(
    "method", [m if m in USUAL else pytest.param(m, marks=pytest.mark.slow) for m in NETWORKS]
)
def test_others_stay_to_the_bit_where_two_become_one(method, run_of, tmp_path):
    run = run_of(method)
    after = run.merge(["u3", "u1"], "u both", tmp_path / "after")
    others = [name for name in run.vocabulary.names if name not in ("u3", "u1")]
    assert [n for n in after.vocabulary.names if n != "u both"] == others
    same(run.predict(TEXTS, others), load(after.folder.path).predict(TEXTS, others))
    names_nobody(after.folder.path, "u3", "u1")
    kept = after.predictions
    assert set(kept["annotator"]) <= {*others, "newcomer"}
    assert np.isfinite(after.predict(TEXTS, ["u both"])["p_toxic"]).all()


def test_the_one_is_the_mean_by_numbers_of_ratings(run_of, two_kinds, tmp_path):
    run = run_of("hyperlora")
    train = two_kinds[two_kinds["split"] == "train"]
    counts = train["annotator"].value_counts()
    assert run.vocabulary.n_ratings == tuple(counts[n] for n in run.vocabulary.names)
    after = run.merge(["u3", "v1"], "v1", tmp_path / "after")
    before, now = (PersonalVectors(r.fitted.network).of_annotators() for r in (run, after))
    (first, second) = run.vocabulary.indices(["u3", "v1"])
    n = np.array([counts["u3"], counts["v1"]])
    wanted = (n[0] * before[first] + n[1] * before[second]) / n.sum()
    torch.testing.assert_close(now[after.vocabulary.indices(["v1"])[0]], wanted)
    assert after.vocabulary.n_ratings[after.vocabulary.indices(["v1"])[0]] == n.sum()
    assert (
        after.record.results["condition_parameters"] < (run.record.results["condition_parameters"])
    )
    # A person merged with an equal is who they were.
    assert shares_of(run, ["u3", "v1"]) == pytest.approx(dict(zip(("u3", "v1"), n / n.sum())))  # noqa: B905


def test_runs_that_tell_no_numbers_have_equal_weights(run_of, tmp_path):
    folder = shutil.copytree(run_of("hyperlora").folder.path, tmp_path / "old")
    told = json.loads((folder / "vocabulary.json").read_text())
    (folder / "vocabulary.json").write_text(json.dumps({"names": told["names"]}))
    run = load(folder)
    assert shares_of(run, ["u0", "u1"]) is None
    after = run.merge(["u0", "u1"], "u0", tmp_path / "after")
    before, now = (PersonalVectors(r.fitted.network).of_annotators() for r in (run, after))
    torch.testing.assert_close(now[0], (before[0] + before[1]) / 2)
    assert after.vocabulary.n_ratings is None


def test_counts_add_up(run_of, two_kinds, tmp_path):
    run = run_of("annotator-mode")
    after = run.merge(["u3", "v1"], "both", tmp_path / "after")
    counts = json.loads(after.folder.counts.read_text())["counts"]
    old = json.loads(run.folder.counts.read_text())["counts"]
    assert counts["both"] == [a + b for a, b in zip(old["u3"], old["v1"], strict=True)]
    same(run.predict(TEXTS, ["u0", "v0"]), after.predict(TEXTS, ["u0", "v0"]))
    renamed = run.rename("u3", "zoe", tmp_path / "renamed")
    assert "zoe" in json.loads(renamed.folder.counts.read_text())["counts"]
    both = run_of("global-mode").merge(["u3", "v1"], "both", tmp_path / "global")
    assert "both" in json.loads(both.folder.counts.read_text())["annotators"]


def test_attributes_go_along_and_must_agree(run_of, tmp_path):
    run = run_of("hyperlora+attributes")
    after = run.merge(["u3", "u1"], "zoe", tmp_path / "after")
    people = json.loads(after.folder.people.read_text())
    assert people["values"]["zoe"] == ["u"] and "u3" not in people["values"]
    with pytest.raises(ConfigError, match=r"different values of 'kind' \(u, v\)"):
        run.merge(["u3", "v1"], "zoe", tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_people_who_came_later(run_of, tmp_path):
    new = pd.DataFrame(
        {"text": ["bad red", "good one", "nice"], "label": ["toxic", "fine", "fine"]}
    )
    both = pd.concat([new.assign(annotator="max"), new[:1].assign(annotator="zoe")])
    run = run_of("hyperlora").adapt(both, tmp_path / "adapted")
    one = run.merge(["zoe", "max"], "max", tmp_path / "one")
    assert one.adapted == ["max"] and one.record.adapted["max"]["labels"] == 4
    posterior = Posterior.load(one.folder.posterior)
    assert posterior.names == ("max",)
    # What each label told adds up: I + A^T A + B^T B.
    before = Posterior.load(run.folder.posterior)
    scale = before.scale[0].double()
    precision = [torch.linalg.inv(before.covariance(i) / scale.outer(scale)) for i in (0, 1)]
    wanted = torch.linalg.inv(sum(precision) - torch.eye(len(scale)))
    got = posterior.covariance(0) / scale.outer(scale)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    named = run.rename("zoe", "eve", tmp_path / "named")
    assert named.adapted == ["max", "eve"] and "zoe" not in named.folder.record.read_text()
    old, now = (
        r.predict(TEXTS, [n], intervals=True)["low_toxic"]
        for r, n in ((run, "zoe"), (named, "eve"))
    )
    pd.testing.assert_series_equal(old, now)
    # Training knows one of the two: whatever was learned of the other, the one is known.
    mixed = run.merge(["u1", "zoe"], "u1", tmp_path / "mixed")
    assert mixed.adapted == ["max"] and Posterior.load(mixed.folder.posterior).names == ("max",)
    assert mixed.predict(TEXTS, ["u1"], intervals=True)["low_toxic"].isna().all()


def test_a_file_of_the_users_that_names_them_stops_it(run_of, tmp_path):
    folder = shutil.copytree(run_of("intercept").folder.path, tmp_path / "run")
    (folder / "notes.txt").write_text("'v1' was nice")
    with pytest.raises(RunError, match=r"still named in notes\.txt"):
        load(folder).rename("v1", "zoe", tmp_path / "after")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_mistakes(run_of, tmp_path):
    run, out = run_of("intercept"), tmp_path / "x"
    with pytest.raises(ConditionError, match="unknown: nobody"):
        run.rename("nobody", "zoe", out)
    with pytest.raises(ConditionError, match="unknown: nobody"):
        run.merge(["u1", "nobody"], "zoe", out)
    with pytest.raises(ConfigError, match="knows v1 already; merge makes"):
        run.rename("u1", "v1", out)
    with pytest.raises(ConfigError, match="knows v1 already"):
        run.merge(["u1", "u2"], "v1", out)
    with pytest.raises(ConfigError, match="has that name already"):
        run.rename("u1", "u1", out)
    with pytest.raises(ConfigError, match="at least two"):
        run.merge(["u1", "u1"], "zoe", out)
    for name in ("population", "all", "rows", " "):
        with pytest.raises(ConfigError, match="cannot be the id"):
            run.rename("u1", name, out)
    copy = load(shutil.copytree(run.folder.path, tmp_path / "copy"))
    known = copy.predictions.query("source == 'known'")
    write_predictions(known, copy.folder.predictions, overwrite=True)
    with pytest.raises(RunError, match="no prediction would be left"):
        copy.merge(list(copy.vocabulary.names), "zoe", out)
    assert not out.exists()
    with pytest.raises(RunError, match="exists"):
        run.rename("u1", "zoe", run.folder.path)
