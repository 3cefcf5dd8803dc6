import numpy as np
import pytest
from sklearn.metrics import f1_score

from hyperadapters.evaluation.majority import (
    hard_micro_f1,
    majority_macro_f1,
    majority_of,
    minority_accuracy,
)


def test_minority_rows_are_those_that_leave_an_untied_majority(table, code):
    rows = [
        ("a", "x", 0, 0.1), ("a", "y", 0, 0.1), ("a", "z", 1, 0.9),  # z leaves, and is hit
        ("b", "x", 1, 0.9), ("b", "y", 1, 0.9), ("b", "z", 0, 0.9),  # z leaves, and is missed
        ("c", "x", 1, 0.1), ("c", "y", 0, 0.1),  # tied: no rows
        ("d", "x", 1, 0.1),  # single rating: no rows
    ]  # fmt: skip
    metric = minority_accuracy(code(table(rows)))
    assert (metric.value, metric.n) == (0.5, 2)


def test_no_minority_is_nan(table, code):
    metric = minority_accuracy(code(table([("a", "x", 0, 0.1), ("a", "y", 0, 0.1)])))
    assert np.isnan(metric.value)
    assert metric.n == 0


def test_majority_macro_f1_by_hand(table, code):
    rows = [
        ("a", "x", 0, 0.1), ("a", "y", 0, 0.9), ("a", "z", 1, 0.1),  # true 0, predicted 0
        ("b", "x", 1, 0.1), ("b", "y", 1, 0.1), ("b", "z", 0, 0.9),  # true 1, predicted 0
        ("c", "x", 1, 0.9),  # true 1, predicted 1
        ("d", "x", 1, 0.9), ("d", "y", 0, 0.9),  # true labels tie: left out
    ]  # fmt: skip
    # label 0: 2*1/(1+2) = 2/3; label 1: 2*1/(2+1) = 2/3
    metric = majority_macro_f1(code(table(rows)))
    assert metric.value == pytest.approx(2 / 3)
    assert metric.n == 3


@pytest.mark.parametrize(("second", "value"), [(0.6, 0.0), (0.95, 1.0)])
def test_a_tie_of_predictions_goes_to_the_summed_probability(table, code, second, value):
    # predicted 0 (p 0.8) and 1 (p `second`): sums of label 1 are 0.2 + 0.6 < 1 or 0.2 + 0.95 > 1
    rows = code(table([("a", "x", 1, 0.2), ("a", "y", 1, second)]))
    assert majority_macro_f1(rows).value == value


def test_a_tie_of_probability_too_goes_to_the_first_label_in_any_order_of_rows(table, code):
    rows = [("a", "x", 0, 0.3), ("a", "y", 0, 0.7), ("a", "z", 0, 0.1), ("a", "w", 0, 0.9)]
    assert majority_macro_f1(code(table(rows))).value == 1
    assert majority_macro_f1(code(table(rows[::-1]))).value == 1


def test_hard_micro_f1_is_the_share_of_majorities_found(table, code):
    rows = [
        ("a", "x", 0, 0.1), ("a", "y", 0, 0.9), ("a", "z", 1, 0.1),  # true 0, predicted 0
        ("b", "x", 1, 0.1),  # true 1, predicted 0
        ("c", "x", 1, 0.9), ("c", "y", 0, 0.9),  # tied: left out
    ]  # fmt: skip
    metric = hard_micro_f1(code(table(rows)))
    assert (metric.value, metric.n) == (0.5, 2)
    tie = hard_micro_f1(code(table(rows[-2:])))
    assert np.isnan(tie.value) and tie.n == 0


def test_majorities_agree_with_scikit_learn(big, code):
    truth, guess = [], []
    for _, group in big.groupby("text_id"):
        counts = group["label"].value_counts()
        if (counts == counts.max()).sum() == 1:
            votes = group["predicted"].value_counts().reindex(range(3), fill_value=0)
            belief = [group[f"p_{label}"].sum() for label in range(3)]
            best = [label for label in range(3) if votes[label] == votes.max()]
            truth.append(int(counts.idxmax()))
            guess.append(max(best, key=lambda label: belief[label]))
    rows = code(big)
    assert hard_micro_f1(rows).value == pytest.approx(f1_score(truth, guess, average="micro"))
    assert majority_macro_f1(rows).value == pytest.approx(f1_score(truth, guess, average="macro"))


def test_majority_of_counts():
    label, tied = majority_of(np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 2.0]]))
    assert label.tolist() == [0, 1]
    assert tied.tolist() == [False, True]
