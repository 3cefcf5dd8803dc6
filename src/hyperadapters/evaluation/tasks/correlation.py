"""Metrics of tasks whose answer is a number.

An answer that is not a number says nothing about its text. It counts as the mean of the answers
that are numbers (0 where none is), so that it adds nothing to the covariance and draws the
correlation towards 0, by the more the more such answers there are. A fixed number would not do: -1,
which the published code takes, is a low score for one task and a good guess for another.
"""

import math

import numpy as np
from jaxtyping import Float, Int

from hyperadapters.errors import ConfigError
from hyperadapters.evaluation.counts import Metric, ratio
from hyperadapters.evaluation.tasks.answers import Answers

_NO_SPREAD = 1e-13
"""Spread beside the mean below which numbers are all the same but for rounding; SciPy's value."""


def pearson(answers: Answers) -> Metric:
    """Pearson correlation of true and written numbers.

    Range -1 to 1, higher is better, 0 where all true or all written numbers are the same. For
    answers that are no numbers see the head of this module. `n`: rows. Source: SciPy, ``pearsonr``.

    Raises:
        ConfigError: The task's answers are not numbers.
        DataError: A true answer is not a number.
    """
    true, written = _numbers(answers, "pearson")

    def finish(weights: Float[np.ndarray, "draws rows"]) -> Float[np.ndarray, " draws"]:
        return _correlation(weights, true[None], written[None])

    return Metric("pearson", answers.whole(), finish, len(answers))


def spearman(answers: Answers) -> Metric:
    """Pearson correlation of the ranks of true and written numbers, equal ones sharing a rank.

    Range -1 to 1, higher is better, 0 where all true or all written numbers are the same. For
    answers that are no numbers see the head of this module. `n`: rows. Source: SciPy,
    ``spearmanr``.

    Raises:
        ConfigError: The task's answers are not numbers.
        DataError: A true answer is not a number.
    """
    places = [np.unique(numbers, return_inverse=True) for numbers in _numbers(answers, "spearman")]
    (_, true), (_, written) = places

    def finish(weights: Float[np.ndarray, "draws rows"]) -> Float[np.ndarray, " draws"]:
        return _correlation(weights, _ranks(weights, true), _ranks(weights, written))

    return Metric("spearman", answers.whole(), finish, len(answers))


def _numbers(
    answers: Answers, metric: str
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """True and written numbers, each divided by the largest in size: squares stay finite."""
    task = answers.task
    if task.kind != "regression":
        raise ConfigError(
            f"task {task.name!r}: the metric {metric!r} needs answers that are numbers (kind "
            f"'regression'), and the task is of kind {task.kind!r}"
        )
    true = np.array([_number(task.answer(text)) for text in answers.labels], np.float64)
    written = np.array([_number(task.answer(text)) for text in answers.predicted], np.float64)
    answers.refuse(np.isnan(true), "is not a number")
    true, written = _at_most_one(true), _at_most_one(written)
    found = written[~np.isnan(written)]
    neutral = found.mean() if len(found) else 0.0
    return true, np.where(np.isnan(written), neutral, written)


def _number(answer: str | float | None) -> float:
    return answer if isinstance(answer, float) and math.isfinite(answer) else math.nan


def _at_most_one(numbers: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    largest = np.abs(numbers[~np.isnan(numbers)]).max(initial=0.0)
    return numbers / largest if largest > 0 else numbers


def _ranks(
    weights: Float[np.ndarray, "draws rows"], place: Int[np.ndarray, " rows"]
) -> Float[np.ndarray, "draws rows"]:
    """Mean rank of every row where it occurs as often as its weight says.

    Args:
        weights: How often each row occurs in each draw.
        place: Of every row's number among the different numbers, ascending.
    """
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = counts.cumsum(axis=1) - (counts - 1) / 2
    return ranks[:, place]


def _correlation(
    weights: Float[np.ndarray, "draws rows"],
    one: Float[np.ndarray, "some_draws rows"],
    other: Float[np.ndarray, "some_draws rows"],
) -> Float[np.ndarray, " draws"]:
    """Pearson correlation of weighted rows; 0 where either side does not vary."""
    total = weights.sum(axis=1, keepdims=True)
    centred, spreads = [], []
    for numbers in (one, other):
        mean = (weights * numbers).sum(axis=1, keepdims=True) / total
        away = numbers - mean
        spread = np.sqrt((weights * away**2).sum(axis=1))
        flat = spread <= _NO_SPREAD * np.abs(mean[:, 0]) * np.sqrt(total[:, 0])
        centred.append(away)
        spreads.append(np.where(flat, 0.0, spread))
    covariance = (weights * centred[0] * centred[1]).sum(axis=1)
    found = np.nan_to_num(ratio(covariance, spreads[0] * spreads[1]), nan=0.0)
    return np.clip(found, -1, 1)
