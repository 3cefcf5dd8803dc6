import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hyperadapters.errors import ConfigError, DataError

METRICS = ("pearson", "spearman")


def rows_of(written, true):
    return [(str(x), str(y)) for x, y in zip(written, true, strict=True)]


def test_pearson_by_hand(score):
    # away from the means: (-1, 0, 1) and (-1, 1, 0): covariance 1, variances 2 and 2
    assert score("pearson", rows_of([1, 2, 3], [1, 3, 2]), "regression") == pytest.approx(0.5)


def test_spearman_by_hand(score):
    # ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: covariance 4.5, variances 4.5 and 5
    found = score("spearman", rows_of([0, 5, 5, 99], [1, 3, 2, 4]), "regression")
    assert found == pytest.approx(4.5 / math.sqrt(4.5 * 5))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("pair", [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0.1, 0.1, 0.1]), ([2], [2])])
def test_constants_give_0(score, metric, pair):
    assert score(metric, rows_of(*pair), "regression") == 0


numbers = st.floats(-5, 5).map(lambda number: round(number, 1))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=30))
def test_as_scipy_says(score, pairs):
    written, true = (np.array(side) for side in zip(*pairs, strict=True))
    rows = rows_of(written, true)
    for metric, reference in zip(METRICS, (stats.pearsonr, stats.spearmanr), strict=True):
        flat = np.ptp(written) == 0 or np.ptp(true) == 0
        wanted = 0 if flat else reference(written, true).statistic
        assert score(metric, rows, "regression") == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("nonsense", ["", "much", "nan", "inf", "3.4 stars", "1_0"])
def test_what_is_no_number_counts_as_the_mean_of_those_that_are(score, nonsense):
    true = [1.0, 4.0, 2.0, 3.0, 0.5]
    for metric in METRICS:
        amended = score(metric, rows_of([2, 3, 1, 3, 2.25], true), "regression")
        found = score(metric, rows_of([2, 3, 1, 3, nonsense], true), "regression")
        assert found == pytest.approx(amended)


@pytest.mark.parametrize("metric", METRICS)
def test_nonsense_draws_the_correlation_towards_0(score, metric):
    true = np.arange(10)
    found = [
        score(metric, rows_of([*true[:n].tolist(), *["?"] * (10 - n)], true), "regression")
        for n in (10, 8, 5, 2, 1, 0)
    ]
    assert found[0] == pytest.approx(1)
    assert found == sorted(found, reverse=True)
    assert found[-2:] == [0, 0]


def test_nonsense_adds_nothing_to_the_covariance(score):
    true, written = np.array([1.0, 4.0, 2.0, 0.5]), np.array([1.0, 3.0, 5.0])
    away = written - written.mean()
    spread = math.sqrt((away**2).sum() * ((true - true.mean()) ** 2).sum())
    found = score("pearson", rows_of([*written, "?"], true), "regression")
    assert found == pytest.approx((away * true[:3]).sum() / spread)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("huge", ["1e300", "-1e308", "1e-320"])
def test_numbers_of_any_size(score, metric, huge):
    value = score(metric, [*rows_of([1, 2, 3], [1, 2, 3]), (huge, "4")], "regression")
    assert -1 <= value <= 1
    assert score(metric, rows_of([huge] * 2, [1, 2]), "regression") == 0


@pytest.mark.parametrize("metric", METRICS)
def test_numbers_are_needed(score, metric):
    with pytest.raises(ConfigError, match=f"'{metric}' needs answers that are numbers"):
        score(metric, [("1", "1")], "classification")


@pytest.mark.parametrize("metric", METRICS)
def test_a_true_answer_that_is_no_number_is_an_error(score, metric):
    what = r"task 't': the true answer 'two' is not a number \(text x00001\)"
    with pytest.raises(DataError, match=what):
        score(metric, [("1", "1"), ("2", "two")], "regression")
