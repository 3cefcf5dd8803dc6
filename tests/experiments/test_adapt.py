"""People whom a run has never seen."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

import hyperadapters as ha
from hyperadapters.errors import ConfigError, DataError, RunError
from hyperadapters.experiments import fit, load
from newcomers import LEARN, answers, newcomers

METHODS = ("hyperlora", "hyperlora-paper", "intercept", "annotator-embedding")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_bert, two_kinds, quick, quick_run):
    folder = tmp_path_factory.mktemp("methods")
    made = {"hyperlora": load(quick_run)}
    for method in METHODS[1:]:
        fit(two_kinds, output=folder / method, method=method, backbone=tiny_bert, **quick)
        made[method] = load(folder / method)
    return made


@pytest.mark.parametrize("method", METHODS)
def test_nobody_else_changes(method, runs, two_kinds, tmp_path):
    run = runs[method]
    names = list(run.vocabulary.names)
    second = run.adapt(newcomers(two_kinds), tmp_path / "second")
    assert second.vocabulary.names == (*names, "new u", "new v")
    assert second.adapted == ["new u", "new v"]
    pd.testing.assert_frame_equal(
        *(answers(r, two_kinds, [*names, "population"]) for r in (run, second)), rtol=0, atol=0
    )
    rows = two_kinds[two_kinds["split"] == "test"]
    pd.testing.assert_frame_equal(run.predict(rows, "rows"), second.predict(rows, "rows"))
    new = answers(second, two_kinds, ["new u", "u1"])
    assert set(new.groupby("source")["annotator"].first().items()) == {
        *{("adapted", "new u"), ("known", "u1")}
    }
    again = second.adapt(newcomers(two_kinds, 12), tmp_path / "third")
    assert again.vocabulary == second.vocabulary
    assert [again.record.adapted[name]["labels"] for name in again.adapted] == [12, 12]
    pd.testing.assert_frame_equal(
        *(answers(r, two_kinds, [*names, "population"]) for r in (run, again)), rtol=0, atol=0
    )
    # Somebody who was there before is learned as if for the first time.
    once = run.adapt(newcomers(two_kinds, 12), tmp_path / "once")
    pd.testing.assert_frame_equal(
        *(answers(r, two_kinds, ["new u", "new v"]) for r in (once, again)), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_stored_tensors_of_others_are_the_same_bits(method, runs, two_kinds, tmp_path):
    run = runs[method]
    second = run.adapt(newcomers(two_kinds), tmp_path / "second")
    files = [safe_open(r.folder.path / "adapter_model.safetensors", "pt") for r in (run, second)]
    new = set(files[1].keys()) - set(files[0].keys())
    assert bool(new) == (method == "hyperlora-paper")  # the mean of the others, kept as it was
    for name in files[0].keys():  # noqa: SIM118
        old, grown = (file.get_tensor(name) for file in files)
        assert old.equal(grown[: len(old)]), name
        assert len(grown) == len(old) + 2 * name.endswith("annotator_ids.vectors"), name
    card = (second.folder.path / "README.md").read_text()
    assert f"one of {len(run.vocabulary) + 2}, as an index" in card


@pytest.fixture(scope="module")
def learned(tmp_path_factory, tiny_bert, two_kinds):
    folder = tmp_path_factory.mktemp("runs") / "learned"
    fit(two_kinds, output=folder, backbone=tiny_bert, **LEARN)
    return load(folder)


def test_a_newcomer_is_one_of_their_kind(learned, two_kinds, tmp_path):
    second = learned.adapt(newcomers(two_kinds), tmp_path / "second")
    table = answers(second, two_kinds, ["new u", "new v", "population"])
    bad = table["text_id"].str[1:].astype(int) % 2 == 1
    for kind in "uv":
        truth = np.where(bad == (kind == "u"), "toxic", "fine")
        p = np.where(truth == "toxic", table["p_toxic"], table["p_fine"])
        own = (table["annotator"] == f"new {kind}").to_numpy()
        nobody = (table["annotator"] == "population").to_numpy()
        assert (table["predicted"].to_numpy() == truth)[own].mean() > 0.75  # chance is 0.5
        assert -np.log(p[own]).mean() < -np.log(p[nobody]).mean() - 0.1


def test_more_labels_tell_more(learned, two_kinds, tmp_path):
    nll, width = [], []
    for k in (2, 8, 32):
        run = learned.adapt(newcomers(two_kinds, k), tmp_path / str(k))
        test = two_kinds[two_kinds["split"] == "test"].drop_duplicates("text")["text"]
        table = run.predict(test.tolist(), ["new u", "new v"], intervals=True)
        number = table["text_id"].map(
            dict(zip(table["text_id"].unique(), test.str.extract(r"w(\d+)")[0], strict=True))
        )
        toxic = (number.astype(int) % 2 == 1) == (table["annotator"] == "new u")
        p = np.where(toxic, table["p_toxic"], table["p_fine"])
        nll.append(-np.log(p).mean())
        assert (table["low_toxic"] <= table["p_toxic"]).all()
        assert (table["high_toxic"] >= table["p_toxic"]).all()
        width.append((table["high_toxic"] - table["low_toxic"]).mean())
    assert max(nll[1:]) < nll[0] - 0.03
    assert width[0] > width[1] > width[2]


def test_intervals_of_others(learned, two_kinds, tmp_path):
    second = learned.adapt(newcomers(two_kinds), tmp_path / "second")
    who = ["new u", "u1", "population"]
    table = second.predict(["good red", "bad one"], who, intervals=True)
    missing = table.groupby("annotator")["low_fine"].apply(lambda cells: cells.isna().all())
    assert missing.to_dict() == {"new u": False, "u1": True, "population": False}
    again = second.predict(["good red", "bad one"], who, intervals=True)
    pd.testing.assert_frame_equal(table, again, rtol=0, atol=0)
    plain = second.predict(["good red", "bad one"], who)
    pd.testing.assert_frame_equal(table[plain.columns], plain, rtol=0, atol=0)
    # What nobody has said anything about is known least.
    width = (table["high_fine"] - table["low_fine"]).groupby(table["annotator"]).mean()
    assert width["population"] > width["new u"]
    second.predict_to(tmp_path / "p.csv", ["good red", "bad one"], who, intervals=True)
    assert pd.read_csv(tmp_path / "p.csv")["low_fine"].notna().sum() == 4


def test_people_are_described(two_kinds, tiny_bert, quick, tmp_path):
    table = two_kinds.assign(kind=two_kinds["annotator"].str[0])
    settings = {**quick, "attributes": "kind"}
    method = "hyperlora+attributes"
    fit(table, output=tmp_path / "run", method=method, backbone=tiny_bert, **settings)
    run = load(tmp_path / "run")
    new = newcomers(two_kinds).assign(kind=lambda t: t["annotator"].str[-1])
    second = run.adapt(new, tmp_path / "second")
    assert second.people.values["new u"] == ("u",) and second.people.values["u1"] == ("u",)
    untold = run.adapt(new.drop(columns="kind"), tmp_path / "untold")
    assert untold.people.values["new u"] == ("",)
    asked = [answers(r, table, ["new u"])["p_toxic"] for r in (second, untold)]
    assert not np.allclose(*asked)
    assert set(answers(second, table, ["new v"])["source"]) == {"adapted"}


def test_people_of_training(runs, two_kinds, tmp_path):
    run = runs["hyperlora"]
    new = newcomers(two_kinds)
    both = pd.concat([new, new.iloc[:8].assign(annotator="v1")], ignore_index=True)
    with pytest.raises(DataError, match="trained on v1, who are not new"):
        run.adapt(both, tmp_path / "run")
    skipped = run.adapt(both, tmp_path / "skipped", known="skip")
    assert skipped.adapted == ["new u", "new v"]
    replaced = run.adapt(both, tmp_path / "replaced", known="replace")
    assert replaced.adapted == ["v1", "new u", "new v"]
    table = answers(replaced, two_kinds, ["v1", "new u"]).pivot(
        index="text_id", columns="annotator", values="p_toxic"
    )
    np.testing.assert_allclose(table["v1"], table["new u"], atol=1e-6)  # of the same rows
    with pytest.raises(DataError, match="nobody is left"):
        run.adapt(both.iloc[16:], tmp_path / "run", known="skip")
    assert not (tmp_path / "run").exists()


def test_the_mean_stays_when_somebody_is_replaced(runs, two_kinds, tmp_path):
    run = runs["hyperlora-paper"]
    rows = newcomers(two_kinds).assign(annotator=lambda t: t["annotator"].str[-1] + "1")
    second = run.adapt(rows, tmp_path / "second", known="replace")
    names = [n for n in run.vocabulary.names if n not in ("u1", "v1")]
    pd.testing.assert_frame_equal(
        *(answers(r, two_kinds, [*names, "population"]) for r in (run, second)), rtol=0, atol=0
    )


def test_one_label_is_enough_and_the_folder_has_a_default(quick_run, two_kinds, tmp_path):
    run = load(shutil.copytree(quick_run, tmp_path / "run"))
    one = pd.DataFrame({"text": ["bad red"], "annotator": ["x"], "label": ["toxic"]})
    second = run.adapt(one)
    assert second.folder.path == tmp_path / "run-adapted"
    assert second.record.adapted["x"]["labels"] == 1 and second.record.adapted["x"]["converged"]
    assert json.loads((second.folder.path / "run.json").read_text())["seed"] == run.record.seed
    before, after = (r.predict(["bad red"], who)["p_toxic"][0]
                     for r, who in ((run, "population"), (second, "x")))  # fmt: skip
    assert after > before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "run-adapted"]
    with pytest.raises(RunError, match="exists"):
        run.adapt(one)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(label="rude"), r"labels \['rude'\] are not among those of the run"),
        (lambda t: t.assign(label=None), "label"),
        (lambda t: t.assign(text=" "), "text"),
        (lambda t: t.assign(annotator=None), "annotator"),
        (lambda t: t.iloc[:0], "there are no rows"),
        (lambda t: t.drop(columns="label"), "label"),
        (lambda t: pd.concat([t, t]), "several labels for the same text"),
        (lambda t: t.assign(text_pair="x"), "trained on single texts, and these are pairs"),
    ],
)
def test_ratings_that_cannot_be_used(change, message, runs, two_kinds, tmp_path):
    with pytest.raises(DataError, match=message):
        runs["hyperlora"].adapt(change(newcomers(two_kinds)), tmp_path / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["global-mode", "text-only", "multi-head", "user-token"])
def test_other_methods(method, two_kinds, tiny_bert, quick, tmp_path):
    settings = {} if method == "global-mode" else {**quick, "epochs": 1}
    fit(two_kinds, output=tmp_path / "run", method=method, backbone=tiny_bert, **settings)
    able = "hyperlora, hyperlora-paper, hyperlora.attributes, intercept, annotator-embedding$"
    with pytest.raises(ConfigError, match=able):
        ha.load(tmp_path / "run").adapt(newcomers(two_kinds), tmp_path / "second")
    with pytest.raises(ConfigError, match=able):
        ha.load(tmp_path / "run").predict(["good"], "u1", intervals=True)


def test_a_wrong_word_for_known(runs, two_kinds, tmp_path):
    with pytest.raises(ConfigError, match="known must be one of error, replace, skip"):
        runs["hyperlora"].adapt(newcomers(two_kinds), tmp_path / "run", known="maybe")


@pytest.mark.parametrize("method", ["hyperlora", "intercept"])
def test_who_came_later_can_be_forgotten_too(method, runs, two_kinds, tmp_path):
    second = runs[method].adapt(newcomers(two_kinds), tmp_path / "second")
    texts = two_kinds["text"].drop_duplicates().head(4).tolist()
    before = second.predict(texts, ["new v", "u1"], intervals=True)
    third = second.forget("new u", tmp_path / "third")
    assert third.adapted == ["new v"] and "new u" not in third.vocabulary
    after = load(tmp_path / "third").predict(texts, ["new v", "u1"], intervals=True)
    pd.testing.assert_frame_equal(after, before, rtol=0, atol=0)
    for file in third.folder.path.iterdir():
        assert b"new u" not in file.read_bytes(), file.name
