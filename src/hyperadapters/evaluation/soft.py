"""Metrics of the distribution of labels over the people who labelled a text."""

import numpy as np
from jaxtyping import Float

from hyperadapters.evaluation.counts import CodedRows, Metric, mean_metric
from hyperadapters.evaluation.probabilistic import MAX_LOSS, MIN_PROBABILITY


def soft_manhattan(rows: CodedRows) -> Metric:
    """Mean over texts of ``sum(|p - t|)`` over the labels.

    `t` is the share of each label among the people who labelled the text; `p` is the mean of the
    probabilities that were predicted for those same people (not of their predicted labels).

    Range 0 to 2 (not halved), lower is better. `n`: texts. Source: LeWiDi 2025, task A.
    """
    truth, guess = _distributions(rows)
    distance = np.abs(guess - truth).sum(axis=1)
    return mean_metric("soft_manhattan", np.arange(rows.n_texts), distance, rows.n_texts, 2.0)


def soft_cross_entropy(rows: CodedRows) -> Metric:
    """Mean over texts of ``-sum(t * log(p))`` over the labels, natural logarithm.

    `t` and `p` as in `soft_manhattan`; `p` is clipped at 1e-12. The best possible value is the
    mean entropy of `t`, not 0.

    Range 0 to 27.6, lower is better. `n`: texts. Source: LeWiDi 2023 (SemEval-2023 task 11).
    """
    truth, guess = _distributions(rows)
    loss = -(truth * np.log(np.clip(guess, MIN_PROBABILITY, 1))).sum(axis=1)
    texts = np.arange(rows.n_texts)
    return mean_metric("soft_cross_entropy", texts, loss, rows.n_texts, MAX_LOSS)


def _distributions(
    rows: CodedRows,
) -> tuple[Float[np.ndarray, "texts labels"], Float[np.ndarray, "texts labels"]]:
    """Shares of the given labels, and means of the predicted probabilities."""
    votes = rows.votes(rows.label)
    people = votes.sum(axis=1, keepdims=True)
    return votes / people, rows.summed_probabilities() / people
