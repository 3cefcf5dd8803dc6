"""`evaluate`: from PREDICTIONS to SCORES (named apart from tests/cli/test_evaluate.py)."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation import BETTER, METRICS, evaluate
from hyperadapters.labels import LabelSpace
from hyperadapters.tables.scores import SCORES_COLUMNS

PROMISED = [
    "accuracy", "macro_f1", "annotator_macro_f1", "annotator_macro_f1_p10", "nll", "brier", "ece",
    "soft_manhattan", "soft_cross_entropy", "minority_accuracy", "majority_macro_f1",
    "coverage_annotators", "coverage_rows",
]  # fmt: skip
BEST = {"higher": 1.0, "lower": 0.0}
HIGHEST = {
    "nll": 27.7, "annotator_nll": 27.7, "soft_cross_entropy": 20.8,
    "brier": 2.0, "annotator_brier": 2.0,
    "soft_manhattan": 2.0, "mae": 3.0, "soft_wasserstein": 3.0, "disagreement_bias": np.log(4),
}  # fmt: skip
LOWEST = {
    "disagreement_pearson": -1.0, "disagreement_spearman": -1.0, "soft_cross_entropy": -1e-9,
    "disagreement_bias": -np.log(4),
}  # fmt: skip


def values_of(scores, name="all"):
    return scores[scores["slice"] == name].set_index("metric")["value"]


def same(a, b):
    pd.testing.assert_frame_equal(a, b, check_exact=False, atol=1e-9, rtol=1e-9)


def test_columns_and_promised_metrics(table):
    scores = evaluate(table([("a", "x", 0, 0.1), ("b", "x", 1, 0.9)], method="m", seed=3))
    assert tuple(scores.columns) == SCORES_COLUMNS
    assert set(PROMISED) <= set(scores["metric"])
    assert "mae" not in set(scores["metric"])
    assert (scores["method"] == "m").all()
    assert (scores["seed"] == 3).all()
    assert (scores["split"] == "test").all()
    assert scores["slice"].unique().tolist() == ["all"]


def test_distances_only_on_a_scale(table):
    rows = [("a", "x", 0, (1, 0, 0)), ("b", "x", 2, (0, 1, 0))]
    values = values_of(evaluate(table(rows, (0, 1, 2))))
    assert values["mae"] == values["soft_wasserstein"] == 0.5
    assert values["absolute_distance"] == pytest.approx(0.5 / 3)
    nominal = LabelSpace((0, 1, 2), "nominal")
    found = values_of(evaluate(table(rows, (0, 1, 2)), labels=nominal))
    assert {"mae", "soft_wasserstein", "absolute_distance"}.isdisjoint(found.index)


def test_every_metric_has_a_direction_and_says_so():
    assert list(BETTER) == [metric.__name__ for metric in METRICS]
    words = {"higher": "higher is better", "lower": "lower is better", "neither": "neither end is"}
    for metric, better in METRICS.items():
        assert words[better] in metric.__doc__
        least = LOWEST.get(metric.__name__, 0)
        own = "-`log`" if metric.__name__ == "disagreement_bias" else f"{least:g}"
        assert f"Range {own} to" in metric.__doc__


def test_methods_seeds_and_splits_are_scored_apart(table):
    rows = [("a", "x", 0, 0.1), ("b", "x", 1, 0.9)]
    frame = pd.concat(
        [table(rows, method=m, seed=s, split=p) for m in "ba" for s in (1, 0) for p in ("t", "d")]
    )
    scores = evaluate(frame, intervals=False)
    places = scores[["method", "seed", "split"]].drop_duplicates()
    assert places.apply(tuple, axis=1).tolist() == [
        (m, s, p) for m in "ab" for s in (0, 1) for p in ("d", "t")
    ]


def test_sources_are_slices_where_several_occur(table):
    rows = [("a", "x", 0, 0.1), ("a", "y", 1, 0.1), ("b", "x", 1, 0.9), ("b", "z", None, 0.9)]
    frame = table(rows, source=["known", "population", "known", "adapted"])
    scores = evaluate(frame)
    assert scores["slice"].unique().tolist() == ["all", "known", "population"]  # z has no label
    accuracy = scores[scores["metric"] == "accuracy"].set_index("slice")
    assert accuracy["value"].to_dict() == {"all": 2 / 3, "known": 1.0, "population": 0.0}
    assert accuracy["n"].to_dict() == {"all": 3, "known": 2, "population": 1}


def test_rows_without_a_label_change_nothing(table):
    rows = [("a", "x", 0, 0.1), ("b", "x", 1, 0.9), ("b", "y", 1, 0.4)]
    more = [*rows, ("c", "x", None, 0.3), ("b", "z", None, 0.7)]
    same(evaluate(table(rows)), evaluate(table(more)))


def test_no_label_at_all_is_an_error(table):
    with pytest.raises(DataError, match="predictions: no row has a label, so there is nothing to"):
        evaluate(table([("a", "x", None, 0.3)]))


def test_a_split_without_labels_has_scores_that_rest_on_nothing(table):
    rows = [("a", "x", 0, 0.1)]
    frame = pd.concat([table(rows), table([("a", "x", None, 0.1)], split="new")])
    scores = evaluate(frame)
    new = scores[scores["split"] == "new"]
    assert new["value"].isna().all()
    assert (new["n"] == 0).all()


def test_labels_must_be_those_of_the_columns(table):
    with pytest.raises(DataError, match="the probability columns are p_0, p_1, wanted p_no, p_yes"):
        evaluate(table([("a", "x", 0, 0.1)]), labels=LabelSpace(("no", "yes")))


def test_faults_of_the_table_are_reported(table):
    frame = table([("a", "x", 0, 0.1)]).drop(columns="annotator")
    with pytest.raises(DataError, match="predictions: column 'annotator' is missing"):
        evaluate(frame)


def test_intervals_hold_the_values_and_can_be_left_out(big):
    scores = evaluate(big)
    inside = scores.dropna(subset="low")
    assert set(PROMISED) - set(inside["metric"]) == {"coverage_annotators", "coverage_rows"}
    assert (inside["low"] <= inside["value"]).all()
    assert (inside["value"] <= inside["high"]).all()
    several = inside[inside["metric"] != "annotator_macro_f1_min"]  # the lowest jumps
    assert (several["high"] - several["low"] < 0.1).all()
    same(scores, evaluate(big))
    assert not scores["low"].equals(evaluate(big, seed=1)["low"])
    plain = evaluate(big, intervals=False)
    assert plain[["low", "high"]].isna().all().all()
    assert plain["value"].equals(scores["value"])


def test_annotators_are_drawn_on_request(big):
    texts = evaluate(big).set_index("metric")
    people = evaluate(big, resample="annotators").set_index("metric")
    same(texts[["value", "n"]], people[["value", "n"]])
    without = set(people.index[people["low"].isna()])
    assert without == {
        "coverage_annotators", "coverage_rows", "error_rate", "absolute_distance",
        "soft_manhattan", "soft_cross_entropy", "soft_jensen_shannon", "soft_wasserstein",
        "majority_macro_f1", "hard_micro_f1", "disagreement_pearson", "disagreement_spearman",
        "contested_auroc", "disagreement_bias",
    }  # fmt: skip
    inside = people.dropna(subset="low")
    assert (inside["low"] <= inside["value"]).all() and (inside["value"] <= inside["high"]).all()
    assert people.loc["nll", "low"] != texts.loc["nll", "low"]


def test_the_interval_over_annotators_is_that_of_a_mean_over_people(big):
    scores = evaluate(big, resample="annotators").set_index("metric")
    wrong = (big["label"].astype(int) != big["predicted"]).groupby(big["annotator"]).mean()
    error = 1.96 * wrong.std(ddof=0) / np.sqrt(len(wrong))
    row = scores.loc["annotator_error_rate"]
    assert row["high"] - row["low"] == pytest.approx(2 * error, rel=0.2)


def test_what_is_drawn_must_be_known(table):
    with pytest.raises(ConfigError, match="cannot resample 'rows'; wanted texts or annotators"):
        evaluate(table([("a", "x", 0, 0.1)]), resample="rows")


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_values_lie_in_their_ranges(specification, assemble, data):
    scores = evaluate(assemble(data.draw(specification)))
    for _, row in scores.iterrows():
        if row["n"] == 0:
            assert math.isnan(row["value"])
            continue
        lowest = LOWEST.get(row["metric"], 0)
        assert lowest <= row["value"] <= HIGHEST.get(row["metric"], 1.0) + 1e-9
        if not math.isnan(row["low"]):
            assert lowest <= row["low"] <= row["value"] <= row["high"]
            assert row["high"] <= HIGHEST.get(row["metric"], 1.0) + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_perfect_predictions_give_the_best_values(specification, assemble, data):
    frame = assemble(data.draw(specification))
    frame = frame[frame["label"].notna()].reset_index(drop=True)
    for name in frame.filter(like="p_").columns:
        frame[name] = (frame["label"].astype(str) == name.removeprefix("p_")).astype(float)
    frame["predicted"] = frame["label"]
    values = values_of(evaluate(frame, intervals=False)).drop(
        ["coverage_annotators", "coverage_rows"]
    )
    # What each person says is predicted for certain, so that texts are disputed as they are.
    bias = values.pop("disagreement_bias")
    assert math.isnan(bias) or abs(bias) < 1e-8
    # The cross-entropy of shared labels with themselves is their entropy, 0 only without dispute.
    shares = frame.groupby("text_id")["label"].value_counts(normalize=True)
    entropy = -(shares * np.log(shares)).groupby("text_id").sum().mean()
    assert values.pop("soft_cross_entropy") == pytest.approx(entropy, abs=1e-8)
    for metric, value in values.dropna().items():
        assert value == pytest.approx(BEST[BETTER[metric]], abs=1e-9), metric


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_order_of_rows_does_not_matter(specification, assemble, data):
    frame = assemble(data.draw(specification))
    shuffled = frame.iloc[data.draw(st.permutations(range(len(frame))))]
    same(evaluate(frame), evaluate(shuffled))


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_names_of_annotators_do_not_matter(specification, assemble, data):
    frame = assemble(data.draw(specification))
    names = data.draw(st.permutations([f"a{i}" for i in range(6)]))
    renamed = frame.assign(
        annotator=frame["annotator"].map({f"a{i}": f"p{name}" for i, name in enumerate(names)})
    )
    same(evaluate(frame), evaluate(renamed))


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_the_order_of_columns_does_not_matter(specification, assemble, data):
    frame = assemble(data.draw(specification))
    columns = data.draw(st.permutations(list(frame.columns)))
    same(evaluate(frame, intervals=False), evaluate(frame[columns], intervals=False))
