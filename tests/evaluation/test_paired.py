"""Differences between methods: known by hand, and their intervals by simulation."""

import numpy as np
import pandas as pd
import pytest

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation import BETTER, evaluate, paired_differences
from hyperadapters.evaluation.evaluate import OF_SETS
from hyperadapters.evaluation.paired import COMPARED
from hyperadapters.labels import LabelSpace
from hyperadapters.reports.names import NAMES
from hyperadapters.tables import predictions_frame


def world(n_texts=40, n_people=12, skill=(0.3, 0.3), seed=0, n_labels=2):
    """Predictions of two methods; `skill` is how much each tells of the label."""
    rng = np.random.default_rng(seed)
    texts, people = np.divmod(np.arange(n_texts * n_people), n_people)
    leaning = rng.random(n_texts)[texts] + 0.3 * rng.normal(size=n_people)[people]
    label = np.clip((leaning * n_labels).astype(int), 0, n_labels - 1)
    names = LabelSpace.of(range(n_labels))
    parts = []
    for name, able in zip("ab", skill, strict=True):
        raw = rng.random((len(texts), n_labels))
        raw[np.arange(len(texts)), label] += able
        p = raw / raw.sum(axis=1, keepdims=True)
        place = {"label": label.tolist(), "split": "test", "method": name, "seed": 0}
        ids = [f"t{i:03}" for i in texts], [f"p{i:02}" for i in people]
        parts.append(predictions_frame(*ids, p, names, **place))
    return pd.concat(parts, ignore_index=True)


def test_differences_are_those_of_the_scores():
    table = world(skill=(0.5, 0.2), n_labels=3)
    found = paired_differences(table, "b").set_index("metric")
    scores = evaluate(table, intervals=False).set_index(["method", "metric"])["value"]
    assert set(found.index) == {metric.__name__ for metric in COMPARED if metric not in OF_SETS}
    for metric, row in found.iterrows():
        wanted = scores["a", metric] - scores["b", metric]
        assert row["difference"] == pytest.approx(wanted, abs=1e-12, nan_ok=True)
        if metric != "contested_auroc":  # of these texts every one is contested
            assert row["low"] <= row["difference"] <= row["high"]
    assert set(found["n_seeds"]) == {1} and set(found["method"]) == {"a"}


def test_every_metric_of_the_tables_is_compared():
    compared = {metric.__name__ for metric in COMPARED}
    assert compared == {name for name in NAMES if BETTER[name] != "neither"}


def test_a_method_does_not_differ_from_itself():
    table = world()
    same = table[table["method"] == "a"]
    both = pd.concat([same, same.assign(method="c")], ignore_index=True)
    found = paired_differences(both, "a")
    assert (found[["difference", "low", "high"]].abs() < 1e-12).all(axis=None)


def test_of_several_seeds_the_mean_counts():
    table = pd.concat(
        [world(skill=(0.5, 0.2), seed=0).assign(seed=seed) for seed in (0, 1)], ignore_index=True
    )
    once = paired_differences(table[table["seed"] == 0], "b", metrics=["nll"])
    twice = paired_differences(table, "b", metrics=["nll"])
    columns = ["difference", "low", "high"]
    pd.testing.assert_frame_equal(twice[columns], once[columns])
    assert twice["n_seeds"].tolist() == [2]


def test_pairing_makes_intervals_narrower_than_those_of_the_scores():
    table = world(skill=(0.4, 0.35))
    (row,) = paired_differences(table, "b", metrics=["accuracy"]).to_dict("records")
    scores = evaluate(table).query("metric == 'accuracy'")
    apart = (scores["high"] - scores["low"]).max()
    assert row["high"] - row["low"] < 2 * apart


@pytest.mark.parametrize(("skill", "differs"), [((0.9, 0.1), True), ((0.3, 0.3), False)])
def test_what_is_no_chance_and_what_may_be(skill, differs):
    outside = 0
    for seed in range(20):
        table = world(skill=skill, seed=seed)
        (row,) = paired_differences(table, "b", metrics=["nll"]).to_dict("records")
        outside += row["high"] < 0 or row["low"] > 0
    assert outside == 20 if differs else outside <= 4


def test_people_count_too():
    """A gain of two people in many is not sure of the next people, however many texts there are."""
    table = world(n_texts=200, n_people=8, skill=(0.3, 0.3))
    ours = table["method"] == "a"
    theirs = table[~ours].assign(method="a").reset_index(drop=True)
    lucky = theirs["annotator"].isin(["p00"])
    for name in ("p_0", "p_1"):
        right = (theirs["label"] == int(name[-1])).astype(float)
        theirs.loc[lucky, name] = 0.05 + 0.9 * right[lucky]
    theirs["predicted"] = (theirs["p_1"] > theirs["p_0"]).astype(int)
    both = pd.concat([theirs, table[~ours]], ignore_index=True)
    (row,) = paired_differences(both, "b", metrics=["nll"]).to_dict("records")
    assert row["difference"] < 0 and row["high"] > row["difference"] / 3


def test_what_is_refused():
    table = world()
    with pytest.raises(ConfigError, match="no predictions of the baseline 'x'"):
        paired_differences(table, "x")
    with pytest.raises(ConfigError, match="cannot compare by f2; known: accuracy"):
        paired_differences(table, "a", metrics=["f2"])
    with pytest.raises(DataError, match="b, seed 0: not the rows"):
        paired_differences(table.iloc[:-1], "a")
    changed = table.copy()
    changed.loc[changed.index[-1], "label"] = 1 - changed["label"].iloc[-1]
    with pytest.raises(DataError, match="labels"):
        paired_differences(changed, "a")


def test_a_metric_that_rests_on_nothing_is_nan():
    table = world(n_texts=3, n_people=2)
    alone = table[table["annotator"] == "p00"]
    found = paired_differences(alone, "a").set_index("metric")
    assert np.isnan(
        found.loc["minority_accuracy", ["difference", "low", "high"]].astype(float)
    ).all()
