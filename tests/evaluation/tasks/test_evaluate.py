import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation.tasks import TASK_METRICS, check_metrics, evaluate_tasks
from hyperadapters.evaluation.tasks.evaluate import UNAVERAGED
from hyperadapters.tables import check_scores
from hyperadapters.tasks import METRICS, TASKS


def values_of(scores):
    return scores.set_index(["slice", "metric"])["value"].to_dict()


@pytest.fixture(scope="session")
def tasks(task):
    """One task of every kind, with all metrics that go with it."""
    return {
        "sense": task("accuracy f1 matthews", "classification", "sense"),
        "grade": task("pearson spearman", "regression", "grade"),
        "span": task("exact_match token_f1", "qa", "span"),
        "sum": task("rouge1 rouge2 rougeL rougeLsum bleu length", "text", "sum"),
    }


@pytest.fixture(scope="session")
def predictions(frame):
    generator = np.random.default_rng(0)

    def rows(pool, n=40):
        true = generator.choice(pool, n).tolist()
        kept = generator.random(n) < 0.6
        return list(
            zip(np.where(kept, true, generator.choice(pool, n)).tolist(), true, strict=True)
        )

    texts = ["a cat sat on a mat", "it ran off. it was red.", "no dog, no cat, no bird", "so it is"]
    return pd.concat(
        [
            frame(rows(["no", "yes"]), "sense"),
            frame(rows(["0.5", "2", "3.4", "5"]), "grade"),
            frame([(got, [true, "the " + true]) for got, true in rows(texts)], "span"),
            frame([(got, [true]) for got, true in rows(texts)], "sum"),
        ],
        ignore_index=True,
    )


def test_every_declared_metric_is_here_and_no_other():
    assert set(TASK_METRICS) == set(METRICS)


def test_every_task_of_the_catalogue_can_be_scored():
    check_metrics(TASKS.values())


def test_scores_by_hand(frame, task):
    tasks = {
        "t": task("accuracy f1", "classification"),
        "u": task("rouge1 rouge2 length", name="u"),
    }
    both = [
        frame([("yes", "yes"), ("no", "yes"), ("no", "no"), ("no", "no")], "t", method="m", seed=3),
        frame([("a cat", "a cat"), ("a", "b")], "u", method="m", seed=3),
    ]
    scores = evaluate_tasks(pd.concat(both), tasks)
    assert list(scores.columns) == list(check_scores(scores).columns)
    found = scores[["slice", "metric", "value", "n"]].itertuples(index=False, name=None)
    f1, rouge = 2 / 3, 1 / 2
    assert [(*key, pytest.approx(value), n) for *key, value, n in found] == [
        ("t", "accuracy", 3 / 4, 4),
        ("t", "f1", f1, 4),
        ("u", "rouge1", rouge, 2),
        ("u", "rouge2", rouge, 2),
        ("u", "length", 1.5, 2),
        # Tasks weigh the same, and length is no score.
        ("all", "average", ((3 / 4 + f1) / 2 + rouge) / 2, 2),
    ]
    assert scores["method"].eq("m").all()
    assert scores["seed"].eq(3).all()
    assert scores["split"].eq("test").all()


def test_the_average_is_not_that_of_all_numbers(tasks, predictions):
    scores = evaluate_tasks(predictions, tasks, intervals=False)
    singles = scores[(scores["slice"] != "all") & (scores["metric"] != "length")]
    of_tasks = singles.groupby("slice")["value"].mean()
    average = values_of(scores)["all", "average"]
    assert average == pytest.approx(of_tasks.mean())
    assert average != pytest.approx(singles["value"].mean(), abs=1e-3)


def test_tasks_that_were_not_trained_have_an_average_of_their_own(tasks, predictions):
    scores = evaluate_tasks(predictions, tasks, evaluation_only=["span", "sum"])
    some = predictions[predictions["task"].isin(["sense", "grade"])]
    trained = evaluate_tasks(some, tasks)
    rest = evaluate_tasks(predictions.drop(some.index), tasks)
    found = scores[scores["slice"] == "all"].set_index("metric")
    numbers = ["value", "low", "high", "n"]
    for metric, alone in (("average", trained), ("average_evaluation_only", rest)):
        wanted = alone[alone["slice"] == "all"].set_index("metric").loc["average", numbers]
        assert found.loc[metric, numbers].tolist() == pytest.approx(wanted.tolist())


def test_rows_without_references_are_left_out(frame, task):
    tasks = {"t": task("accuracy")}
    rows = [("a", "a"), ("b", "a"), ("c", None), ("d", [])]
    scores = evaluate_tasks(frame(rows), tasks)
    assert scores["value"].tolist() == [0.5, 0.5]
    assert scores["n"].tolist() == [2, 1]
    known = evaluate_tasks(frame(rows[:2]), tasks)
    pd.testing.assert_frame_equal(scores, known)


def test_a_task_without_references_rests_on_nothing(frame, task):
    tasks = {"t": task("accuracy bleu"), "u": task("accuracy", name="u")}
    both = pd.concat([frame([("a", None)], "t"), frame([("a", "a"), ("b", "a")], "u")])
    scores = evaluate_tasks(both, tasks).set_index(["slice", "metric"])
    assert scores.loc["t", "value"].isna().all()
    assert scores.loc["t", "n"].tolist() == [0, 0]
    assert scores.loc[("all", "average"), "value"] == 0.5
    assert scores.loc[("all", "average"), "n"] == 1


def test_an_empty_accepted_answer_counts(frame, task):
    scores = evaluate_tasks(frame([("", [""]), ("cat", [""])]), {"t": task("exact_match", "qa")})
    assert scores["value"].tolist() == [0.5, 0.5]
    assert scores["n"].tolist() == [2, 1]


def test_no_reference_at_all_is_an_error(frame, task):
    with pytest.raises(DataError, match="predictions: no row has a label or references, so there"):
        evaluate_tasks(frame([("a", None)]), {"t": task("accuracy")})


def test_methods_seeds_and_splits_are_scored_apart(frame, task):
    tasks = {"t": task("accuracy")}
    parts = [
        frame([("a", "a")], method="n", seed=0, split="test"),
        frame([("b", "a")], method="m", seed=0, split="test"),
        frame([("a", "a")], method="m", seed=1, split="test"),
        frame([("b", "a")], method="m", seed=1, split="dev"),
    ]
    scores = evaluate_tasks(pd.concat(parts), tasks)
    rows = scores[scores["metric"] == "accuracy"][["method", "seed", "split", "value"]]
    assert list(rows.itertuples(index=False, name=None)) == [
        ("m", 0, "test", 0),
        ("m", 1, "dev", 0),
        ("m", 1, "test", 1),
        ("n", 0, "test", 1),
    ]


def test_length_alone_makes_no_average(frame, task):
    scores = evaluate_tasks(frame([("a b", "a")]), {"t": task("length")})
    assert scores["metric"].tolist() == ["length", "average"]
    assert scores["value"].tolist() == pytest.approx([2, math.nan], nan_ok=True)
    assert scores["n"].tolist() == [1, 0]


def test_intervals_hold_the_values_and_can_be_left_out(tasks, predictions):
    scores = evaluate_tasks(predictions, tasks)
    assert (scores["low"] < scores["value"]).all()
    assert (scores["value"] < scores["high"]).all()
    pd.testing.assert_frame_equal(scores, evaluate_tasks(predictions, tasks))
    assert not scores["low"].equals(evaluate_tasks(predictions, tasks, seed=1)["low"])
    plain = evaluate_tasks(predictions, tasks, intervals=False)
    assert plain[["low", "high"]].isna().all().all()
    assert plain["value"].equals(scores["value"])


def test_an_average_is_surer_than_its_tasks(tasks, predictions):
    scores = evaluate_tasks(predictions, tasks)
    width = (scores["high"] - scores["low"])[scores["metric"] != "length"]
    alone = width[scores["slice"] != "all"].groupby(scores["slice"]).mean()
    average = width[scores["metric"] == "average"].item()
    # Four independent means of about the same width: about half of it.
    assert average == pytest.approx(alone.mean() / 2, rel=0.2)


def test_one_row_has_no_interval(frame, task):
    scores = evaluate_tasks(frame([("a", "a")]), {"t": task("accuracy rouge1")})
    assert scores[["low", "high"]].isna().all().all()


def test_other_tasks_change_nothing(tasks, predictions):
    scores = evaluate_tasks(predictions, tasks)
    alone = evaluate_tasks(predictions[predictions["task"] == "grade"], tasks)
    same = scores[scores["slice"] == "grade"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone[alone["slice"] == "grade"].reset_index(drop=True), same)


def test_unknown_tasks_are_named_with_those_that_were_meant(tasks, predictions):
    frame = predictions.assign(task=["sens", "nothing", *predictions["task"][2:]])
    what = (
        r"predictions: unknown task 'sens'; did you mean 'sense'\? \(row 1\); unknown task "
        r"'nothing'; known: sense, grade, span, sum \(row 2\)"
    )
    with pytest.raises(DataError, match=what):
        evaluate_tasks(frame, tasks)
    with pytest.raises(ConfigError, match="evaluation_only: unknown task 'spam'; did you mean 'sp"):
        evaluate_tasks(predictions, tasks, evaluation_only=["spam"])


def test_no_task_is_called_as_the_slice_of_all(frame, task):
    with pytest.raises(ConfigError, match="a task cannot be called 'all'"):
        evaluate_tasks(frame([("a", "a")], "all"), {"all": task("accuracy", name="all")})


def test_missing_columns_and_repeated_texts(tasks, predictions):
    with pytest.raises(DataError, match="predictions: column 'predicted' is missing"):
        evaluate_tasks(predictions.drop(columns="predicted"), tasks)
    twice = pd.concat([predictions, predictions.iloc[[0]]])
    with pytest.raises(DataError, match=r"occur before \(choose_windows keeps .*\(row 161\)"):
        evaluate_tasks(twice, tasks)


def test_metrics_that_do_not_go_with_a_task_are_found_before_answers_are(task):
    check_metrics([task("accuracy bleu rougeLsum length")])
    for metric, kind in (("f1", "text"), ("pearson", "classification"), ("matthews", "qa")):
        with pytest.raises(ConfigError, match=f"the metric '{metric}' needs"):
            check_metrics([task(f"accuracy {metric}", kind)])


def test_the_tasks_of_a_table_alone_are_checked(frame, task):
    tasks = {"t": task("accuracy"), "u": task("pearson", name="u")}
    assert len(evaluate_tasks(frame([("a", "a")]), tasks)) == 2


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_the_order_of_rows_does_not_matter(tasks, predictions, data):
    order = data.draw(st.permutations(range(len(predictions))))
    shuffled = evaluate_tasks(predictions.iloc[order], tasks)
    pd.testing.assert_frame_equal(shuffled, evaluate_tasks(predictions, tasks))


answers = st.sampled_from(["no", "yes", "", "1", "2.5", "no way. yes, it is so", "the yes"])


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(answers, st.sampled_from(["no", "yes"])), min_size=1, max_size=12),
    st.lists(st.tuples(answers, st.sampled_from(["1", "3.4", "0"])), max_size=12),
    st.lists(st.tuples(answers, st.lists(answers, max_size=3)), max_size=12),
)
def test_values_lie_in_their_ranges(tasks, frame, words, numbers, texts):
    parts = [frame(words, "sense"), *([frame(numbers, "grade")] if numbers else [])]
    parts += [frame(texts, name) for name in ("span", "sum") if texts]
    for row in evaluate_tasks(pd.concat(parts), tasks).to_dict("records"):
        if row["n"] == 0:
            assert math.isnan(row["value"])
            continue
        lowest = -1 if row["metric"] in ("matthews", "pearson", "spearman", "average") else 0
        assert lowest <= row["value"]
        assert row["metric"] in UNAVERAGED or row["value"] <= 1
        if not math.isnan(row["low"]):
            assert lowest <= row["low"] <= row["value"] <= row["high"]


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_perfect_answers_score_1(tasks, predictions, data):
    kept = data.draw(st.lists(st.sampled_from(range(160)), min_size=1, unique=True))
    # Two classes and two numbers, without which there is no correlation; four words for BLEU.
    frame = predictions[predictions.index.isin(kept) | (predictions.index % 40 < 20)]
    frame = frame[frame["references"].map(lambda cell: not cell or cell[0] != "so it is")]
    first = frame["references"].map(lambda cell: cell[0] if cell else None)
    scores = evaluate_tasks(frame.assign(predicted=frame["label"].fillna(first)), tasks)
    values = scores[~scores["metric"].isin(UNAVERAGED)]["value"]
    assert values.tolist() == pytest.approx([1] * len(values))
