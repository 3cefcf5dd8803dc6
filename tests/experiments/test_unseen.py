"""Methods on people whom none of them has seen."""

import json

import numpy as np
import pandas as pd
import pytest

import hyperadapters as ha
from hyperadapters.data import SplitBy
from hyperadapters.data.held_out import held_out
from hyperadapters.errors import ConfigError, DataError, RunError
from hyperadapters.experiments import compare_unseen, load
from hyperadapters.experiments.newcomers import Newcomers
from hyperadapters.experiments.unseen import Parts, places_of_labels
from hyperadapters.tables import read_predictions, read_scores

COUNTS, HOW = [0, 2, 8], SplitBy(fold=1, folds=4)
METHODS = ["hyperlora", "intercept", "text-only", "attributes-only"]


@pytest.fixture(scope="module")
def described(two_kinds):
    ratings = two_kinds[two_kinds["annotator"] != "newcomer"]
    return ratings.assign(kind=ratings["annotator"].str[0])


@pytest.fixture(scope="module")
def call(described, tiny_bert, quick):
    def of(output, **more):
        given = {"split": HOW, "counts": COUNTS, "backbone": tiny_bert, "attributes": "kind"}
        return compare_unseen(described, METHODS, [0, 1], output, **{**given, **quick, **more})

    return of


@pytest.fixture(scope="module")
def found(call, tmp_path_factory):
    return call(tmp_path_factory.mktemp("unseen") / "all", command="hyperadapters compare ...")


def test_nobody_of_them_is_known_and_all_are_asked_the_same(found, described):
    out = held_out(described, SplitBy("both", 1, 4))
    keys = None
    for method in METHODS:
        run = load(found.folder.cell(method, 0))
        assert not out & set(run.vocabulary.names)
        for file in sorted((run.folder.path / "k_shot").iterdir()):
            answers = read_predictions(file)
            assert set(answers["annotator"]) <= out and set(answers["split"]) == {"test"}
            these = list(zip(answers["text_id"], answers["annotator"], strict=True))
            assert keys is None or these == keys
            keys = these
    known = described[~described["annotator"].isin(out)]
    learned = set(known.loc[known["split"] != "test", "text_id"])
    assert not learned & {text for text, _ in keys}
    assert found.n_people == len({who for _, who in keys})


def test_scores_and_sources(found):
    scores = found.scores
    assert list(dict.fromkeys(scores["method"])) == [
        *("hyperlora", "hyperlora, suggested", "intercept", "intercept, suggested"),
        *("text-only", "attributes-only"),
    ]
    assert list(dict.fromkeys(scores["slice"])) == ["k=0", "k=2", "k=8"]
    nll = scores[scores["metric"] == "nll"].set_index(["method", "seed", "slice"])["value"]
    for method in ("hyperlora", "intercept"):
        # With nothing known there is nothing to choose, and everybody is the population.
        assert nll[method, 0, "k=0"] == nll[f"{method}, suggested", 0, "k=0"]
        assert nll[method, 0, "k=8"] != nll[method, 0, "k=0"]
    for method in ("text-only", "attributes-only"):
        assert nll[method, 1, "k=8"] == nll[method, 1, "k=0"]
    folder = found.folder.cell("hyperlora", 0) / "k_shot"
    sources = {f.name: set(read_predictions(f)["source"]) for f in folder.iterdir()}
    assert sources == {
        **{"k-0.parquet": {"population"}},
        **{f"{c}-{k}.parquet": {"adapted"} for c in ("random", "suggested") for k in (2, 8)},
    }
    covered = scores[scores["metric"] == "rate_coverage"]
    assert set(covered["method"]) == {m for m in scores["method"] if m.split(",")[0] in METHODS[:2]}
    assert covered["value"].between(0, 1).all() and set(covered["n"]) == {found.n_people}
    rates = pd.read_parquet(folder.with_name("k_shot_rates") / "random-8.parquet")
    assert (rates["low"] <= rates["high"]).all()
    np.testing.assert_allclose(rates.groupby("annotator")["observed"].sum(), 1)
    told = read_predictions(found.folder.cell("attributes-only", 0) / "k_shot" / "k-0.parquet")
    assert set(told["source"]) == {"attributes"}


def test_files(found):
    folder = found.folder.path
    told = json.loads((folder / "unseen.json").read_text())
    assert told["counts"] == COUNTS and told["n_people"] == found.n_people
    text = (folder / "k_shot.md").read_text()
    assert "| hyperlora, suggested |" in text and "hyperadapters compare ..." in text
    parts = [read_scores(path) for path in sorted(folder.glob("*/*/k_shot.json"))]
    assert len(parts) == 8 and sum(map(len, parts)) == len(found.scores)
    assert not list(folder.glob("**/adapted"))


def test_a_report_shows_the_curve(found):
    from pathlib import Path

    from hyperadapters.reports.folders import open_folder
    from hyperadapters.reports.sections.few_labels import few_labels
    from hyperadapters.reports.source import Source

    section = few_labels(Source(open_folder(Path(found.folder.path))))
    assert not section.missing


def test_it_goes_on_where_it_was_stopped(found, call, monkeypatch):
    gone = found.folder.cell("hyperlora", 0) / "k_shot" / "suggested-8.parquet"
    before = read_predictions(gone)
    gone.unlink()
    asked, real = [], Newcomers.find
    monkeypatch.setattr(
        Newcomers,
        "find",
        lambda self, known: asked.append(int(known.sum())) or real(self, known),
    )
    again = call(found.folder.path, resume=True, command="hyperadapters compare ...")
    assert asked == [8 * found.n_people]
    pd.testing.assert_frame_equal(read_predictions(gone), before, rtol=1e-5)
    pd.testing.assert_frame_equal(again.scores, found.scores, rtol=1e-4, atol=1e-4)
    with pytest.raises(RunError, match="made with another counts"):
        call(found.folder.path, resume=True, counts=[0, 2])
    with pytest.raises(RunError, match="exists"):
        call(found.folder.path)


def test_what_is_not_named_again_stays(found, described, tiny_bert, quick):
    """Also though the method that is named is told no attributes, for another one was."""
    given = {"split": HOW, "counts": COUNTS, "backbone": tiny_bert, "attributes": "kind", **quick}
    folder = found.folder.path
    again = compare_unseen(described, ["text-only"], [1], folder, resume=True, **given)
    columns = ["method", "seed", "slice", "metric"]
    cells = [set(of.scores[columns].itertuples(index=False)) for of in (again, found)]
    assert cells[0] == cells[1]


@pytest.mark.parametrize("method", ["hyperlora", "intercept"])
def test_answers_are_those_of_adapt(found, described, method, tmp_path):
    cell = found.folder.cell(method, 0)
    run, parts = load(cell), Parts.of(described, SplitBy("both", 1, 4), 8)
    place = places_of_labels(run, parts.pool, "random", 8)
    known = parts.pool[place < 2].drop(columns="split")
    second = run.adapt(known, tmp_path / "second")
    for kept, made in (("k_shot", second.predict), ("k_shot_rates", second.rates)):
        path = cell / kept / "random-2.parquet"
        read = read_predictions if kept == "k_shot" else pd.read_parquet
        other = made(parts.asked, "rows") if kept == "k_shot" else made(parts.asked)
        pd.testing.assert_frame_equal(read(path), other, check_dtype=False, rtol=0, atol=1e-3)


def test_which_labels_are_known(found, described):
    run = load(found.folder.cell("hyperlora", 1))
    pool = Parts.of(described, SplitBy("both", 1, 4), 8).pool

    def labels_in_order(run, pool, choice, most):
        place = places_of_labels(run, pool, choice, most)
        return pool.assign(place=place)[place < most]

    for choice in ("random", "suggested"):
        ordered = labels_in_order(run, pool, choice, 8)
        places = ordered.groupby("annotator")["place"].apply(sorted)
        assert all(place == list(range(8)) for place in places)
        few = labels_in_order(run, pool, choice, 2)
        both = few.merge(ordered, on=["text_id", "annotator"], suffixes=("", "_of_more"))
        assert len(both) == len(few) and (both["place"] == both["place_of_more"]).all()
    # Who has fewer gives all of them.
    most = int(pool["annotator"].value_counts().min()) + 3
    for choice in ("random", "suggested"):
        ordered = labels_in_order(run, pool, choice, most)
        wanted = pool["annotator"].value_counts().clip(upper=most)
        assert ordered["annotator"].value_counts().to_dict() == wanted.to_dict()
    flipped = pool.assign(label=np.where(pool["label"] == "fine", "toxic", "fine"))
    pd.testing.assert_series_equal(
        *(labels_in_order(run, p, "suggested", 8)["place"] for p in (pool, flipped))
    )
    # The first one suggested is what `suggest` says of a stranger.
    who = pool["annotator"].iloc[0]
    mine = pool[pool["annotator"] == who]
    first = labels_in_order(run, mine.reset_index(drop=True), "suggested", 3)
    texts = first.sort_values("place")["text"].tolist()
    assert run.suggest("a stranger", mine.drop(columns="split"), 3)["text"].tolist() == texts


def test_mistakes(described, tmp_path):
    out = tmp_path / "x"
    with pytest.raises(DataError, match="has 99 ratings of texts of train; the most that one has"):
        compare_unseen(described, ["intercept"], [0], out, counts=[0, 99], split=HOW)
    for counts in ([], [0], [-1, 2]):
        with pytest.raises(ConfigError, match="counts must be"):
            compare_unseen(described, ["intercept"], [0], out, counts=counts)
    with pytest.raises(ConfigError, match="least must be at least 1"):
        compare_unseen(described, ["intercept"], [0], out, least=0)
    with pytest.raises(ConfigError, match="chosen by some of random, suggested"):
        compare_unseen(described, ["intercept"], [0], out, choices=["best"])
    assert not out.exists() and ha.compare_unseen is compare_unseen
