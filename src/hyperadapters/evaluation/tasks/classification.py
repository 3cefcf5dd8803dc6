"""Metrics of tasks whose answer is one of a few label words."""

import numpy as np
from jaxtyping import Float

from hyperadapters.errors import ConfigError
from hyperadapters.evaluation.counts import Metric, ratio, sums_of
from hyperadapters.evaluation.tasks.answers import Answers


def accuracy(answers: Answers) -> Metric:
    """Share of rows whose answer is the true one, to the letter but for white space at its ends.

    Range 0 to 1, higher is better. What is no label word is wrong. `n`: rows. Source:
    scikit-learn, ``accuracy_score``.
    """
    pairs = zip(answers.predicted, answers.labels, strict=True)
    return answers.mean("accuracy", [float(got.strip() == true.strip()) for got, true in pairs])


def f1(answers: Answers) -> Metric:
    """F1 of the second of two label words, the positive one; 0 where it never occurs.

    Range 0 to 1, higher is better. What is no label word counts as the wrong one of the two, so
    that it never pays. `n`: rows. Source: scikit-learn, ``f1_score`` of the answers so amended.

    Raises:
        ConfigError: The task has not exactly two label words.
        DataError: A true answer is no label word.
    """
    words = answers.label_words("f1")
    if len(words) != 2:
        raise ConfigError(
            f"task {answers.task.name!r}: the metric 'f1' is that of two classes, and the task "
            f"has {len(words)} label words: {', '.join(words)}"
        )
    true, written = answers.classes("f1")
    positive = np.where(written < 0, 1 - true, written)
    # F1 = 2 hits / (true + predicted positives)
    hits, occurrences = true * positive, true + positive
    row = np.arange(len(answers))
    amounts = np.concatenate([2 * hits, occurrences]).astype(np.float64)
    sums = sums_of(np.tile(row, 2), np.repeat([0, 1], len(row)), amounts, (len(row), 2))
    return Metric("f1", sums, lambda totals: _or_zero(totals[:, 0], totals[:, 1]), len(row))


def matthews(answers: Answers) -> Metric:
    """Matthews correlation of true and written label words; any number of labels.

    Range -1 to 1, higher is better, 0 where all true or all written answers are the same. What is
    no label word is a class of its own, so that answers that are none are worth nothing, not less
    than nothing. `n`: rows. Source: scikit-learn, ``matthews_corrcoef``; Gorodkin (2004),
    doi:10.1016/j.compbiolchem.2004.09.006, equation 8.

    Raises:
        ConfigError: The task has no labels.
        DataError: A true answer is no label word.
    """
    n_classes = len(answers.label_words("matthews")) + 1
    true, written = answers.classes("matthews")
    written = np.where(written < 0, n_classes - 1, written)
    row, ones = np.arange(len(answers)), np.ones(3 * len(answers))
    # One hit or miss, then the true classes, then the written ones.
    ones[: len(row)] = true == written
    columns = np.concatenate([np.zeros_like(true), 1 + true, 1 + n_classes + written])
    sums = sums_of(np.tile(row, 3), columns, ones, (len(row), 1 + 2 * n_classes))

    def finish(totals: Float[np.ndarray, "draws sums"]) -> Float[np.ndarray, " draws"]:
        hits, true_of, written_of = totals[:, 0], *np.split(totals[:, 1:], 2, axis=1)
        rows = true_of.sum(axis=1)
        covariance = hits * rows - (true_of * written_of).sum(axis=1)
        variances = [rows**2 - (of**2).sum(axis=1) for of in (true_of, written_of)]
        return _or_zero(covariance, np.sqrt(variances[0] * variances[1]))

    return Metric("matthews", sums, finish, len(row))


def _or_zero(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.nan_to_num(ratio(above, below), nan=0.0)
