"""Metrics of the probabilities: does the model know how sure it may be?"""

import math

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from hyperadapters.evaluation.counts import CodedRows, Metric, OfGroups, mean_metric, ratio, sums_of

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
    return mean_metric("brier", rows.unit, squared_errors(rows), rows.n_units, 2.0)


def ece(rows: CodedRows) -> Metric:
    """Expected calibration error: how far confidence is from accuracy, in 15 bins of equal width.

    Confidence is the highest probability of the row; a bin holds the rows above its lower and up
    to its upper edge; the value is the mean over rows of ``|accuracy - confidence|`` of their bin.
    Confidence that errs up and down within a bin goes unseen, and few rows look miscalibrated.

    Range 0 to 1, lower is better. `n`: rows. Source: Guo et al. 2017, equation 3.
    """
    each = calibration_of_groups(rows)
    everything, one = np.ones(len(rows), bool), np.zeros(len(rows), np.int64)
    sums = each.sums(everything, rows.unit, one, (rows.n_units, 1))
    return Metric("ece", sums, lambda totals: each.values(totals)[:, 0], len(rows))


def calibration_of_groups(rows: CodedRows) -> OfGroups:
    """The expected calibration error of groups of rows, see `ece`."""
    confidence = rows.probabilities.max(axis=1)
    bins, gap, width = bins_of(confidence), rows.correct - confidence, N_BINS + 1

    def sums(
        kept: np.ndarray, unit: np.ndarray, group: np.ndarray, shape: tuple[int, int]
    ) -> sparse.csr_array:
        # A sum of gaps for each bin of a group, then how many rows it has.
        columns = [group[kept] * width + bins[kept], group[kept] * width + N_BINS]
        amounts = [gap[kept], np.ones(int(kept.sum()))]
        units = np.tile(unit[kept], 2)
        whole = (shape[0], shape[1] * width)
        return sums_of(units, np.concatenate(columns), np.concatenate(amounts), whole)

    def values(totals: np.ndarray) -> np.ndarray:
        cells = totals.reshape(len(totals), -1, width)
        return ratio(np.abs(cells[:, :, :N_BINS]).sum(axis=2), cells[:, :, N_BINS])

    return OfGroups(sums, values)


def squared_errors(rows: CodedRows) -> Float[np.ndarray, " rows"]:
    """Squared error of each row's probabilities, summed over the labels."""
    truth = np.eye(len(rows.labels))[rows.label]
    return ((rows.probabilities - truth) ** 2).sum(axis=1)


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
