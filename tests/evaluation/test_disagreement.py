import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import roc_auc_score

from hyperadapters.evaluation.disagreement import (
    contested_auroc,
    disagreement_bias,
    disagreement_pearson,
    disagreement_spearman,
)
from hyperadapters.evaluation.intervals import intervals

OF_ORDER = (disagreement_pearson, disagreement_spearman, contested_auroc)
ALL = (*OF_ORDER, disagreement_bias)


def slow_disagreement(frame):
    """Entropies of labels and of mean probabilities of every text with two ratings, by a loop."""
    columns = [name for name in frame if name.startswith("p_")]
    true, guess = [], []
    for _, group in frame[frame["label"].notna()].groupby("text_id"):
        if len(group) > 1:
            shares = group["label"].value_counts(normalize=True)
            mean = group[columns].mean()
            true.append(-sum(p * np.log(p) for p in shares if p > 0))
            guess.append(-sum(p * np.log(p) for p in mean if p > 0))
    return np.round(true, 9) + 0.0, np.round(guess, 9)


def expected(frame, counts=None):
    true, guess = slow_disagreement(frame)
    if counts is not None:
        true, guess = np.repeat(true, counts), np.repeat(guess, counts)
    return (
        pearsonr(true, guess).statistic,
        spearmanr(true, guess).statistic,
        roc_auc_score(true > 0, guess),
        np.mean(guess - true),
    )


def test_agreement_with_scipy_and_scikit_learn(big, code):
    values = [metric(code(big)) for metric in ALL]
    assert [metric.value for metric in values] == pytest.approx(expected(big))
    assert {metric.n for metric in values} == {3000}


def test_draws_are_those_of_the_texts_written_as_often_as_they_count(big, code):
    few = big[big["text_id"].isin(big["text_id"].unique()[:60])]
    counts = np.random.default_rng(1).integers(0, 4, size=60)
    rows = code(few)
    found = [metric(rows).at(counts[None].astype(float))[0] for metric in ALL]
    assert found == pytest.approx(expected(few, counts))


def test_predicted_ties_share_their_ranks(table, code):
    # Contested texts a, b; unanimous c, d; predicted alike: b, c, d.
    people = {"a": (0, 1), "b": (0, 1), "c": (1, 1), "d": (0, 0)}
    given = {"a": 0.5, "b": 0.1, "c": 0.1, "d": 0.1}
    frame = table([(t, f"x{i}", y, given[t]) for t, ys in people.items() for i, y in enumerate(ys)])
    assert [metric(code(frame)).value for metric in ALL] == pytest.approx(expected(frame))
    assert contested_auroc(code(frame)).value == pytest.approx(0.75)


@pytest.mark.parametrize(
    "rows",
    [
        [("a", "x", 0, 0.3)],  # no text has two ratings
        [("a", "x", 0, 0.3), ("a", "y", 1, 0.3)],  # one text
        [(t, who, 0, p) for t, p in (("a", 0.1), ("b", 0.4)) for who in "xy"],  # all unanimous
        [(t, who, int(who == "x"), p) for t, p in (("a", 0.1), ("b", 0.4)) for who in "xy"],
    ],
)
def test_what_cannot_be_said_is_nan(rows, table, code):
    of = OF_ORDER if len(rows) > 1 else ALL
    for metric in (function(code(table(rows))) for function in of):
        assert np.isnan(metric.value)
        assert metric.n == 0
        assert np.isnan(intervals([metric])).all()


def test_constant_predictions_correlate_with_nothing_and_find_nothing(table, code):
    rows = code(table([(t, who, int(t == who), 0.3) for t in "abx" for who in "xy"]))
    assert np.isnan(disagreement_pearson(rows).value)
    assert np.isnan(disagreement_spearman(rows).value)
    assert contested_auroc(rows).value == 0.5


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_table_agrees_with_scipy_or_is_nan(specification, assemble, code, data):
    frame = assemble(data.draw(specification))
    true, guess = slow_disagreement(frame)
    values = [metric(code(frame)).value for metric in ALL]
    if len(true) > 1 and np.ptp(true) > 0 and np.ptp(guess) > 0:
        wanted = pearsonr(true, guess).statistic, spearmanr(true, guess).statistic
        assert values[:2] == pytest.approx(wanted, abs=1e-6)
    else:
        assert np.isnan(values[:2]).all()
    both = 0 < (true > 0).sum() < len(true)
    assert values[2] == pytest.approx(roc_auc_score(true > 0, guess)) if both else True
    assert both or np.isnan(values[2])
