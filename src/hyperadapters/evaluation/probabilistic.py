"""Metrics of the probabilities: does the model know how sure it may be?"""

import math

import numpy as np
from jaxtyping import Float, Int

from hyperadapters.evaluation.counts import CodedRows, Metric, mean_metric, sums_of

MIN_PROBABILITY = 1e-12
"""Smaller probabilities are raised to this before a logarithm."""

MAX_LOSS = -math.log(MIN_PROBABILITY)
"""What a row costs whose true label was ruled out: 27.6 nats."""

N_BINS = 15


def nll(rows: CodedRows) -> Metric:
    """Mean negative natural logarithm of the probability of the true label.

    Probabilities are clipped at 1e-12.

    Range 0 to 27.6, lower is better. `n`: rows. Source: scikit-learn, ``log_loss``.
    """
    return mean_metric("nll", rows.unit, losses(rows), rows.n_units, MAX_LOSS)


def brier(rows: CodedRows) -> Metric:
    """Mean over rows of the squared error of the probabilities, summed over the labels.

    Range 0 to 2, lower is better. `n`: rows. Source: Brier 1950, the definition for several
    classes; with two labels it is twice that of scikit-learn's ``brier_score_loss``.
    """
    truth = np.eye(len(rows.labels))[rows.label]
    error = ((rows.probabilities - truth) ** 2).sum(axis=1)
    return mean_metric("brier", rows.unit, error, rows.n_units, 2.0)


def ece(rows: CodedRows) -> Metric:
    """Expected calibration error: how far confidence is from accuracy, in 15 bins of equal width.

    Confidence is the highest probability of the row; a bin holds the rows above its lower and up
    to its upper edge; the value is the mean over rows of ``|accuracy - confidence|`` of their bin.
    Confidence that errs up and down within a bin goes unseen, and few rows look miscalibrated.

    Range 0 to 1, lower is better. `n`: rows. Source: Guo et al. 2017, equation 3.
    """
    confidence = rows.probabilities.max(axis=1)
    bins = bins_of(confidence)
    columns = np.concatenate([bins, np.full(len(rows), N_BINS)])
    amounts = np.concatenate([rows.correct - confidence, np.ones(len(rows))])
    sums = sums_of(np.tile(rows.unit, 2), columns, amounts, (rows.n_units, N_BINS + 1))

    def finish(totals: np.ndarray) -> np.ndarray:
        return np.abs(totals[:, :N_BINS]).sum(axis=1) / totals[:, N_BINS]

    return Metric("ece", sums, finish, len(rows))


def losses(rows: CodedRows) -> Float[np.ndarray, " rows"]:
    """Negative natural logarithm of the probability of each row's true label, clipped at 1e-12."""
    true = rows.probabilities[np.arange(len(rows)), rows.label]
    return -np.log(np.clip(true, MIN_PROBABILITY, 1))


def bins_of(
    confidence: Float[np.ndarray, " rows"], n_bins: int = N_BINS
) -> Int[np.ndarray, " rows"]:
    """Which of some bins of equal width, open below and closed above, holds each confidence."""
    edges = np.linspace(0, 1, n_bins + 1)
    # Rounding may leave a top probability just above 1, beyond the last edge.
    return np.minimum(np.searchsorted(edges[1:], confidence, side="left"), n_bins - 1)
