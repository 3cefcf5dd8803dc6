import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import f1_score

from hyperadapters.evaluation.counts import (
    Metric,
    confusion_sums,
    macro_f1_of,
    mean_metric,
    ratio,
)


def test_texts_are_numbered_in_sorted_order_and_rows_without_label_left_out(table, code):
    rows = code(table([("b", "x", 1, 0.9), ("a", "y", None, 0.2), ("a", "x", 0, 0.3)]))
    assert rows.text.tolist() == [1, 0]
    assert rows.annotator.tolist() == [0, 0]
    assert rows.label.tolist() == [1, 0]
    assert rows.predicted.tolist() == [1, 0]
    assert (len(rows), rows.n_texts, rows.n_annotators) == (2, 2, 1)


def test_votes_and_summed_probabilities(table, code):
    rows = code(table([("a", "x", 1, 0.9), ("a", "y", 0, 0.8), ("b", "x", 0, 0.25)]))
    assert rows.votes(rows.label).tolist() == [[1, 1], [1, 0]]
    assert rows.votes(rows.predicted).tolist() == [[0, 2], [1, 0]]
    assert np.allclose(rows.summed_probabilities(), [[0.1 + 0.2, 1.7], [0.75, 0.25]])


def test_confusion_of_two_groups():
    text, group = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    label, predicted = np.array([0, 1, 1, 1]), np.array([0, 1, 0, 1])
    sums = confusion_sums(text, group, label, predicted, (2, 2, 2))
    totals = np.ones((1, 2)) @ sums
    # group 0: hits (1, 0), true (1, 1), predicted (2, 0); group 1: hits, true, predicted (0, 2)
    assert totals.reshape(2, 3, 2).tolist() == [
        [[1, 0], [1, 1], [2, 0]],
        [[0, 2], [0, 2], [0, 2]],
    ]
    # group 0: F1 of label 0 is 2*1/(1+2) = 2/3, of label 1 is 0: mean 1/3; group 1: label 1 only
    assert macro_f1_of(totals, 2)[0] == pytest.approx([1 / 3, 1])


def test_macro_f1_agrees_with_scikit_learn_for_every_weighting():
    generator = np.random.default_rng(1)
    text, group = generator.integers(20, size=200), np.zeros(200, np.int64)
    label, predicted = generator.integers(5, size=(2, 200))
    weights = generator.integers(3, size=(4, 20)).astype(np.float64)
    sums = confusion_sums(text, group, label, predicted, (20, 1, 5))
    found = macro_f1_of(weights @ sums, 5)[:, 0]
    for value, weight in zip(found, weights, strict=True):
        times = weight[text].astype(int)
        expected = f1_score(np.repeat(label, times), np.repeat(predicted, times), average="macro")
        assert value == pytest.approx(expected)


def test_a_group_without_rows_has_no_f1():
    assert np.isnan(macro_f1_of(np.zeros((1, 6)), 2)).all()


def test_ratio_of_nothing_is_nan_without_a_warning():
    found = ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    assert found[0] == 0.5
    assert np.isnan(found[1])


def test_mean_weights_texts_by_their_rows():
    metric = mean_metric("mean", np.array([0, 0, 1]), np.array([1.0, 0.0, 1.0]), 2)
    assert metric.value == pytest.approx(2 / 3)
    # text 0 twice: (2*1 + 0) / (2*2) = 1/2; text 1 twice: 2/2
    assert metric.at(np.array([[2.0, 0.0], [0.0, 2.0]])).tolist() == [0.5, 1.0]


def test_a_metric_that_rests_on_nothing_is_nan():
    metric = Metric("none", sparse.csr_array((3, 2)), lambda totals: totals[:, 0], 0)
    assert np.isnan(metric.value)
