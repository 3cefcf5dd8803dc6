import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from hyperadapters.evaluation.probabilistic import brier, ece, nll


def test_nll_is_the_mean_natural_logarithm(table, code):
    rows = code(table([("a", "x", 1, 0.8), ("b", "x", 0, 0.75)]))
    metric = nll(rows)  # -(ln 0.8 + ln 0.25) / 2
    assert metric.value == pytest.approx(-(math.log(0.8) + math.log(0.25)) / 2)
    assert metric.n == 2


def test_nll_of_the_impossible_is_clipped(table, code):
    metric = nll(code(table([("a", "x", 1, 0.0)])))
    assert metric.value == pytest.approx(12 * math.log(10))
    assert metric.highest == pytest.approx(metric.value)


def test_brier_sums_over_labels(table, code):
    rows = code(table([("a", "x", 1, (0.2, 0.5, 0.3)), ("b", "x", 0, (1, 0, 0))], (0, 1, 2)))
    # (0.04 + 0.25 + 0.09 + 0) / 2
    assert brier(rows).value == pytest.approx(0.19)


def test_brier_of_certain_error_is_two(table, code):
    assert brier(code(table([("a", "x", 1, 0.0)]))).value == 2


def test_ece_by_hand(table, code):
    rows = [("a", "x", 1, 0.92), ("b", "x", 0, 0.92), ("c", "x", 1, 0.62), ("d", "x", 1, 0.64)]
    # bin (13/15, 14/15]: confidence 0.92, accuracy 1/2, 2 rows;
    # bin (9/15, 10/15]: confidence 0.63, accuracy 1, 2 rows: (2*0.42 + 2*0.37) / 4
    metric = ece(code(table(rows)))
    assert metric.value == pytest.approx(0.395)
    assert metric.n == 4


def test_ece_bins_hold_their_upper_edge(table, code):
    # 0.6 = 9/15 is in the bin below 0.61: |1 - 0.6| and |0 - 0.61| do not cancel
    rows = code(table([("a", "x", 1, 0.6), ("b", "x", 0, 0.61)]))
    assert ece(rows).value == pytest.approx((0.4 + 0.61) / 2)


def test_ece_agrees_with_the_loop_over_bins(big, code):
    rows = code(big)
    confidence, total = rows.probabilities.max(axis=1), 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            gap = rows.correct[inside].mean() - confidence[inside].mean()
            total += inside.mean() * abs(gap)
    assert ece(rows).value == pytest.approx(total)


def test_agreement_with_scikit_learn(big, table, code):
    values = big[["p_0", "p_1", "p_2"]].to_numpy()
    assert nll(code(big)).value == pytest.approx(log_loss(big["label"].astype(int), values))
    label, p = np.array([0, 1, 1, 0]), np.array([0.1, 0.4, 0.9, 0.6])
    rows = table([(f"t{i}", "x", int(label[i]), float(p[i])) for i in range(4)])
    assert brier(code(rows)).value == pytest.approx(2 * brier_score_loss(label, p))
