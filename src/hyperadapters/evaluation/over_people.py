"""Summaries over people, each of whom may count several times: means, quantiles, tails.

Every summary takes the values of people, shape ``(draws, people)``, and how often each of them
counts in each draw, of the same shape; those who do not count may be NaN. It gives one number for
every draw, NaN where nobody counts.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from hyperadapters.evaluation.counts import ratio

Values = Float[np.ndarray, "draws people"]
Summary = Callable[[Values, Values], Float[np.ndarray, " draws"]]


def mean(values: Values, counts: Values) -> Float[np.ndarray, " draws"]:
    """Mean over people."""
    return ratio((counts * _finite(values, counts)).sum(axis=1), counts.sum(axis=1))


def median(values: Values, counts: Values) -> Float[np.ndarray, " draws"]:
    """Median over people."""
    return quantile(values, counts, 0.5)


def tenth_percentile(values: Values, counts: Values) -> Float[np.ndarray, " draws"]:
    """10th percentile over people."""
    return quantile(values, counts, 0.1)


def least(values: Values, counts: Values) -> Float[np.ndarray, " draws"]:
    """The lowest value."""
    return quantile(values, counts, 0.0)


def worst_decile(values: Values, counts: Values) -> Float[np.ndarray, " draws"]:
    """Mean of the lowest tenth of the values, a tenth being rounded down but at least one."""
    ordered, counts = _ordered(values, counts)
    total = counts.sum(axis=1)
    wanted = np.maximum(np.floor(total / 10), 1)
    before = np.cumsum(counts, axis=1) - counts
    taken = np.clip(wanted[:, None] - before, 0, counts)
    return ratio((taken * ordered).sum(axis=1), np.where(total > 0, wanted, 0))


def quantile(values: Values, counts: Values, share: float) -> Float[np.ndarray, " draws"]:
    """What `np.quantile(..., share)` gives where everyone is written as often as they count."""
    ordered, counts = _ordered(values, counts)
    last = counts.sum(axis=1) - 1
    rank = share * np.maximum(last, 0)
    below = np.floor(rank)
    low = _at(ordered, counts, below)
    high = _at(ordered, counts, np.minimum(below + 1, np.maximum(last, 0)))
    return np.where(last >= 0, low + (rank - below) * (high - low), np.nan)


def _finite(values: Values, counts: Values) -> Values:
    """The values, 0 for those who do not count."""
    return np.where(counts > 0, values, 0.0)


def _ordered(values: Values, counts: Values) -> tuple[Values, Values]:
    """Values in ascending order with their counts; those who do not count come last, as 0."""
    order = np.argsort(np.where(counts > 0, values, np.inf), axis=1, kind="stable")
    values = np.take_along_axis(_finite(values, counts), order, axis=1)
    return values, np.take_along_axis(counts, order, axis=1)


def _at(ordered: Values, counts: Values, place: Float[np.ndarray, " draws"]) -> np.ndarray:
    """The value at a place, from 0, where everyone stands as often as they count."""
    column = (np.cumsum(counts, axis=1) <= place[:, None]).sum(axis=1)
    draws, width = ordered.shape
    if not width:
        return np.full(draws, np.nan)
    return ordered[np.arange(draws), np.minimum(column, width - 1)]
