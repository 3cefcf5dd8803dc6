import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

from hyperadapters.evaluation.classification import accuracy, macro_f1, mae


@pytest.fixture
def four(table, code):
    return code(
        table([("a", "x", 1, 0.9), ("a", "y", 0, 0.8), ("b", "x", 0, 0.1), ("c", "y", 0, 0.2)])
    )


def test_accuracy_is_the_share_of_hits(four):
    metric = accuracy(four)  # predicted 1 1 0 0, true 1 0 0 0: 3 of 4
    assert (metric.name, metric.value, metric.n) == ("accuracy", 0.75, 4)


def test_macro_f1_by_hand(four):
    # label 0: 2*2/(3+2) = 4/5; label 1: 2*1/(1+2) = 2/3; mean 11/15
    metric = macro_f1(four)
    assert metric.value == pytest.approx(11 / 15)
    assert metric.n == 4


def test_macro_f1_leaves_out_labels_that_do_not_occur(table, code):
    rows = code(table([("a", "x", 0, (0.8, 0.1, 0.1)), ("b", "x", 0, (0.1, 0.8, 0.1))], (0, 1, 2)))
    # label 0: 2*1/(2+1) = 2/3; label 1 (predicted once): 0; label 2 does not occur: mean 1/3
    assert macro_f1(rows).value == pytest.approx(1 / 3)


def test_mae_is_in_units_of_the_labels(table, code):
    rows = code(
        table(
            [("a", "x", -5, (0, 0, 1)), ("b", "x", 0, (1, 0, 0)), ("c", "x", 5, (0, 0, 1))],
            (-5, 0, 5),
        )
    )
    # distances |-5 - 5| = 10, |0 - -5| = 5, 0: mean 5
    metric = mae(rows)
    assert metric.value == 5
    assert metric.highest == 10


def test_agreement_with_scikit_learn(big, code):
    rows = code(big)
    assert accuracy(rows).value == pytest.approx(accuracy_score(big["label"], big["predicted"]))
    assert mae(rows).value == pytest.approx(mean_absolute_error(big["label"], big["predicted"]))
    expected = f1_score(big["label"].astype(int), big["predicted"], average="macro")
    assert macro_f1(rows).value == pytest.approx(expected)
