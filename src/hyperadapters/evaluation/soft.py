"""Metrics of the distribution of labels over the people who labelled a text."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from hyperadapters.evaluation.counts import CodedRows, Metric, mean_over_texts
from hyperadapters.evaluation.probabilistic import MIN_PROBABILITY

ADDED = 1e-9
"""What LeWiDi 2023 adds to clipped probabilities before the logarithm."""


def soft_manhattan(rows: CodedRows) -> Metric:
    """Mean over texts of ``sum(|p - t|)`` over the labels.

    `t` is the share of each label among the people who labelled the text; `p` is the mean of the
    probabilities that were predicted for those same people (not of their predicted labels).

    Range 0 to 2 (not halved), lower is better. `n`: texts. Source: LeWiDi 2025, task A.
    """
    truth, guess = distributions(rows)
    return mean_over_texts("soft_manhattan", rows, np.abs(guess - truth).sum(axis=1), 2.0)


def soft_wasserstein(rows: CodedRows) -> Metric:
    """Mean over texts of the least work that turns `p` into `t`: probability times distance.

    `t` and `p` as in `soft_manhattan`, for integer labels on a scale. The distance of two labels is
    that of their values; it is not divided by the length of the scale.

    Range 0 to the span of the scale, lower is better. `n`: texts. Source: LeWiDi 2025, task A, for
    CSC and Paraphrase, there with POT's ``emd2``; SciPy's ``wasserstein_distance`` is the same.
    """
    truth, guess = distributions(rows)
    names = np.asarray(rows.labels.names, dtype=np.float64)
    order = np.argsort(names)
    # In one dimension: what must cross each gap is the difference of the cumulated shares.
    crossing = np.abs(np.cumsum((guess - truth)[:, order], axis=1)[:, :-1])
    work = crossing @ np.diff(names[order])
    return mean_over_texts("soft_wasserstein", rows, work, float(np.ptp(names)))


def soft_marginal_manhattan(rows: CodedRows) -> Metric:
    """Mean over texts and single labels of ``2 |p - t|``, for answers that are sets of labels.

    `t` is the share of people whose set holds the label, `p` the mean of the probabilities of the
    sets that hold it; the distance of the two distributions of given and not given is twice their
    difference.

    Range 0 to 2, lower is better. `n`: texts. Source: LeWiDi 2025, task A, for VariErrNLI.
    """
    truth, guess = distributions(rows)
    apart = np.abs((guess - truth) @ rows.labels.members.astype(np.float64))
    return mean_over_texts("soft_marginal_manhattan", rows, 2 * apart.mean(axis=1), 2.0)


def soft_jensen_shannon(rows: CodedRows) -> Metric:
    """Mean over texts of the Jensen-Shannon divergence of `p` and `t`, logarithm to base 2.

    `t` and `p` as in `soft_manhattan`. The divergence, not its square root, the distance.

    Range 0 to 1, lower is better. `n`: texts. Source: Lin 1991; for soft labels Uma et al. 2021.
    SciPy's ``jensenshannon(base=2)`` is the square root.
    """
    truth, guess = distributions(rows)
    middle = (truth + guess) / 2
    divergence = entropy(middle) - (entropy(truth) + entropy(guess)) / 2
    # Equal distributions may differ by rounding.
    bits = np.clip(divergence / np.log(2), 0, 1)
    return mean_over_texts("soft_jensen_shannon", rows, bits)


def soft_cross_entropy(rows: CodedRows) -> Metric:
    """Mean over texts of ``-sum(t * log(clip(p, 1e-12, 1 - 1e-12) + 1e-9))``, natural logarithm.

    `t` and `p` as in `soft_manhattan`; summed over the labels. The best possible value is the mean
    entropy of `t` (less 1e-9 at most), not 0. A label that was ruled out costs 20.7 nats.

    Range -1e-09 to 20.7, lower is better. `n`: texts. Source: LeWiDi 2023 (SemEval-2023 task
    11), ``cross_entropy`` of its starting kit.
    """
    truth, guess = distributions(rows)
    clipped = np.clip(guess, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    loss = -(truth * np.log(clipped + ADDED)).sum(axis=1)
    metric = mean_over_texts("soft_cross_entropy", rows, loss, -math.log(MIN_PROBABILITY + ADDED))
    return replace(metric, lowest=-math.log(1 - MIN_PROBABILITY + ADDED))


def distributions(
    rows: CodedRows,
) -> tuple[Float[np.ndarray, "texts labels"], Float[np.ndarray, "texts labels"]]:
    """Shares of the given labels, and means of the predicted probabilities."""
    votes = rows.votes(rows.label)
    people = votes.sum(axis=1, keepdims=True)
    return votes / people, rows.summed_probabilities() / people


def entropy(shares: Float[np.ndarray, "texts labels"]) -> Float[np.ndarray, " texts"]:
    """``-sum(p * log(p))`` of every row, natural logarithm; a share of 0 adds nothing."""
    logarithms = np.log(np.where(shares > 0, shares, 1.0))
    return -(shares * logarithms).sum(axis=1) + 0.0  # no -0.0
