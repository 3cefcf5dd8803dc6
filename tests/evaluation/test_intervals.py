import numpy as np
import pytest

from hyperadapters.evaluation import intervals as intervals_function
from hyperadapters.evaluation.annotators import annotator_macro_f1, coverage_rows
from hyperadapters.evaluation.classification import accuracy
from hyperadapters.evaluation.counts import mean_metric
from hyperadapters.evaluation.intervals import bootstrap_weights, intervals
from hyperadapters.evaluation.majority import minority_accuracy
from hyperadapters.evaluation.probabilistic import ece
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import predictions_frame


def normal_mean(n_texts=400):
    values = np.random.default_rng(5).random(n_texts)
    return mean_metric("mean", np.arange(n_texts), values, n_texts), values


def test_the_interval_of_a_mean_is_close_to_theory():
    metric, values = normal_mean()
    [(low, high)] = intervals([metric], draws=2000)
    error = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(metric.value - error, rel=0.01)
    assert high == pytest.approx(metric.value + error, rel=0.01)


def test_the_interval_covers_the_truth_about_95_times_in_100():
    generator, covered = np.random.default_rng(0), 0
    for _ in range(200):
        metric = mean_metric("mean", np.arange(100), generator.random(100), 100)
        [(low, high)] = intervals([metric])
        covered += low <= 0.5 <= high
    assert 180 <= covered <= 198


def test_equal_seeds_give_equal_intervals_and_others_do_not():
    metric, _ = normal_mean()
    assert intervals([metric], seed=1) == intervals([metric], seed=1)
    assert intervals([metric], seed=1) != intervals([metric], seed=2)


def test_ratings_of_a_text_are_drawn_together():
    # Ten rows for each text, all alike: as many rows as 1000 texts, as little to know as from 100.
    values = np.random.default_rng(5).random(100)
    alone = mean_metric("mean", np.arange(100), values, 100)
    tenfold = mean_metric("mean", np.repeat(np.arange(100), 10), np.repeat(values, 10), 100)
    assert intervals([tenfold])[0] == pytest.approx(intervals([alone])[0])


def test_draws_in_turns_are_as_many_as_at_once():
    for at_once in (1, 3, 7, 100):
        blocks = list(bootstrap_weights(6, 7, 0, at_once))
        weights = np.concatenate(blocks)
        assert max(len(block) for block in blocks) <= at_once
        assert weights.shape == (7, 6)
        assert (weights.sum(axis=1) == 6).all()


def test_no_interval_for_coverage_single_texts_and_undefined_metrics(table, code):
    rows = code(table([("a", "x", 0, 0.1), ("b", "x", 0, 0.1)]))
    for ends in intervals([coverage_rows(rows), minority_accuracy(rows)]):
        assert np.isnan(ends).all()
    single = code(table([("a", "x", 0, 0.1), ("a", "y", 0, 0.1)]))
    assert np.isnan(intervals([accuracy(single)])).all()
    assert intervals([]) == []


def test_draws_without_a_row_that_counts_are_left_out(table, code):
    rows = [("a", "x", 0, 0.1), ("a", "y", 0, 0.1), ("a", "z", 1, 0.9), ("b", "x", 0, 0.1)]
    assert intervals([minority_accuracy(code(table(rows)))]) == [(1.0, 1.0)]


def test_biased_metrics_get_intervals_around_their_values(code):
    # Rare labels that are never predicted, and calibrated probabilities: people lose labels in a
    # draw, and its bins are noisier, so that most or all draws lie above the values.
    generator = np.random.default_rng(0)
    values = np.array([0.6, 0.2, 0.1, 0.1]) + generator.choice(15, 2000)[:, None] * np.array(
        [0.0225, -0.0075, -0.0075, -0.0075]
    )
    values = np.where(values < 0, 0, values)
    values /= values.sum(axis=1, keepdims=True)
    label = (values.cumsum(axis=1) < generator.random((2000, 1))).sum(axis=1)
    space, people = LabelSpace.of(range(4)), np.arange(2000) % 200
    rows = code(predictions_frame(np.arange(2000), people, values, space, label=label))
    for metric in (annotator_macro_f1(rows), ece(rows)):
        plain = np.concatenate([metric.at(w) for w in bootstrap_weights(2000, 200, 0, 200)])
        start, middle, end = np.percentile(plain, [2.5, 50, 97.5])
        assert (start if metric.name == "annotator_macro_f1" else middle) > metric.value
        [(low, high)] = intervals([metric])
        assert 0 <= low < metric.value < high <= 1
        assert high - low == pytest.approx(end - start, rel=0.3)


def test_the_public_name():
    assert intervals_function is intervals
