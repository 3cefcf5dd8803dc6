import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, log_loss

from hyperadapters.evaluation.annotators import (
    annotator_brier,
    annotator_ece,
    annotator_error_rate,
    annotator_macro_f1,
    annotator_macro_f1_median,
    annotator_macro_f1_min,
    annotator_macro_f1_p10,
    annotator_macro_f1_weighted,
    annotator_macro_f1_worst_decile,
    annotator_nll,
    coverage_annotators,
    coverage_rows,
)
from hyperadapters.evaluation.probabilistic import brier, ece

OF_F1 = (
    annotator_macro_f1,
    annotator_macro_f1_weighted,
    annotator_macro_f1_median,
    annotator_macro_f1_p10,
    annotator_macro_f1_worst_decile,
    annotator_macro_f1_min,
)


@pytest.fixture
def three(table, code):
    """x: five rows, one of them wrong; y: five rows of one label, all right; z: four rows."""
    x = [(f"t{i}", "x", int(i > 2), 0.9 if i == 4 else 0.1) for i in range(5)]
    y = [(f"t{i}", "y", 0, 0.2) for i in range(5)]
    z = [(f"t{i}", "z", 1, 0.2) for i in range(4)]
    return code(table(x + y + z))


def test_annotator_macro_f1_by_hand(three):
    # x: true 00011, predicted 00001; label 0: 2*3/(3+4) = 6/7; label 1: 2*1/(2+1) = 2/3;
    # mean 16/21. y: label 0 only: 1. z has four rows and does not count.
    metric = annotator_macro_f1(three)
    assert metric.value == pytest.approx((16 / 21 + 1) / 2)
    assert metric.n == 2


def test_tenth_percentile_lies_a_tenth_of_the_way_up(three):
    # between 16/21 and 1, 0.1 of the way: 16/21 + 0.1 * 5/21
    metric = annotator_macro_f1_p10(three)
    assert metric.value == pytest.approx(16.5 / 21)
    assert metric.n == 2


def test_error_rate_counts_everybody_alike(three):
    # x: 1/5, y: 0, z: 4/4: mean 1.2/3
    metric = annotator_error_rate(three)
    assert metric.value == pytest.approx(0.4)
    assert metric.n == 3


def test_middle_and_lowest_by_hand(three):
    assert annotator_macro_f1_median(three).value == pytest.approx((16 / 21 + 1) / 2)
    assert annotator_macro_f1_worst_decile(three).value == pytest.approx(16 / 21)
    assert annotator_macro_f1_min(three).value == pytest.approx(16 / 21)
    # x: true 00011 with .1, .1, .1, .1, .9 for 1; y: -ln .8; z: -ln .2
    x = -(4 * np.log(0.9) + np.log(0.1)) / 5
    assert annotator_nll(three).value == pytest.approx((x - np.log(0.8) - np.log(0.2)) / 3)
    assert annotator_nll(three).n == 3


def test_coverage(three):
    assert coverage_annotators(three).value == pytest.approx(2 / 3)
    assert coverage_annotators(three).n == 3
    assert coverage_rows(three).value == pytest.approx(10 / 14)
    assert coverage_rows(three).n == 14


def test_an_annotator_missing_from_a_draw_does_not_count_in_it(table, code):
    rows = code(
        table(
            [(f"t{i}", "x", 0, 0.1) for i in range(5)] + [(f"u{i}", "y", 0, 0.9) for i in range(5)]
        )
    )
    only_x = np.array([[2.0] * 5 + [0.0] * 5])
    assert annotator_macro_f1(rows).value == 0.5
    assert annotator_macro_f1(rows).at(only_x).tolist() == [1.0]
    assert annotator_macro_f1_p10(rows).at(only_x).tolist() == [1.0]
    assert annotator_error_rate(rows).at(only_x).tolist() == [0.0]


def test_nobody_with_five_rows_is_nan(table, code):
    rows = code(table([("a", "x", 0, 0.1)]))
    for function in OF_F1:
        metric = function(rows)
        assert np.isnan(metric.value)
        assert metric.n == 0
    assert coverage_annotators(rows).value == 0
    assert coverage_rows(rows).value == 0


def test_agreement_with_scikit_learn_and_numpy(big, code):
    rows = code(big)
    f1 = [
        f1_score(group["label"].astype(int), group["predicted"], average="macro")
        for _, group in big.groupby("annotator")
        if len(group) >= 5
    ]
    assert annotator_macro_f1(rows).value == pytest.approx(np.mean(f1))
    assert annotator_macro_f1_p10(rows).value == pytest.approx(np.percentile(f1, 10))
    assert annotator_macro_f1_median(rows).value == pytest.approx(np.median(f1))
    assert annotator_macro_f1_min(rows).value == pytest.approx(min(f1))
    n = [len(group) for _, group in big.groupby("annotator") if len(group) >= 5]
    weighted = annotator_macro_f1_weighted(rows).value
    assert weighted == pytest.approx(np.average(f1, weights=n))
    assert len(set(n)) == 1 or weighted != pytest.approx(np.mean(f1), abs=1e-9)
    lowest = sorted(f1)[: len(f1) // 10]
    assert annotator_macro_f1_worst_decile(rows).value == pytest.approx(np.mean(lowest))
    losses = [
        log_loss(g["label"].astype(int), g[["p_0", "p_1", "p_2"]], labels=[0, 1, 2])
        for _, g in big.groupby("annotator")
    ]
    assert annotator_nll(rows).value == pytest.approx(np.mean(losses))
    wrong = big["label"].astype(int) != big["predicted"]
    expected = wrong.groupby(big["annotator"]).mean().mean()
    assert annotator_error_rate(rows).value == pytest.approx(expected)


def test_calibration_of_each_person_is_that_of_their_rows_alone(big, code):
    rows = code(big)
    people = [part for _, part in big.groupby("annotator")]
    alone = [brier(code(part)).value for part in people]
    assert annotator_brier(rows).value == pytest.approx(np.mean(alone))
    assert annotator_brier(rows).n == len(people)
    alone = [ece(code(part)).value for part in people if len(part) >= 5]
    assert np.ptp(alone) > 0
    for drawn in ("texts", "annotators"):
        assert annotator_ece(code(big, drawn=drawn)).value == pytest.approx(np.mean(alone))
    assert annotator_ece(rows).n == len(alone)


def test_a_person_drawn_twice_counts_twice(big, code):
    """Drawing annotators gives what the table gives in which their rows stand under new names."""
    few = big[big["annotator"].isin(big["annotator"].unique()[:12])]
    rows = code(few, drawn="annotators")
    counts = np.random.default_rng(3).integers(0, 3, size=rows.n_annotators)
    people = sorted(few["annotator"].unique())
    copies = pd.concat(
        few[few["annotator"] == name].assign(annotator=f"{name}-{i}")
        for name, count in zip(people, counts, strict=True)
        for i in range(count)
    )
    # Copies of a person rate the same text alike, which is what texts are drawn for.
    for function in (*OF_F1, annotator_ece, annotator_error_rate, annotator_nll, annotator_brier):
        drawn = function(rows).at(counts[None].astype(float))
        assert drawn[0] == pytest.approx(function(code(copies)).value), function.__name__
