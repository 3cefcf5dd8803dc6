"""Metrics of each annotator by themselves, and how many annotators they could be taken of."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from hyperadapters.evaluation.counts import (
    CodedRows,
    Metric,
    confusion_sums,
    macro_f1_of,
    ratio,
    sums_of,
)

MIN_ROWS = 5
"""Rows that an annotator needs for a macro-F1 of their own, as in AART and the seed paper."""


def annotator_macro_f1(rows: CodedRows) -> Metric:
    """Mean over annotators of their own macro-F1, each over the labels that occur in their rows.

    A label occurs where it is given or predicted. Only annotators with at least 5 rows in the
    slice count, see `coverage_annotators`. Somebody who gave one label only scores 1 or at most
    1/2, which `annotator_error_rate` does not suffer from. In a bootstrap draw the same annotators
    count, less those none of whose texts was drawn.

    Range 0 to 1, higher is better. `n`: annotators. Source: AART, Mokhberian et al. 2024, as
    computed in its code.
    """
    return _over_scored_annotators("annotator_macro_f1", rows, _mean)


def annotator_macro_f1_p10(rows: CodedRows) -> Metric:
    """10th percentile over annotators of their own macro-F1: how those served worst fare.

    Over the annotators of `annotator_macro_f1`, interpolated linearly between neighbours.

    Range 0 to 1, higher is better. `n`: annotators. Source: NumPy, ``percentile(f1, 10)``.
    """
    return _over_scored_annotators("annotator_macro_f1_p10", rows, _tenth_percentile)


def annotator_error_rate(rows: CodedRows) -> Metric:
    """Mean over all annotators of the share of their rows that is predicted wrongly.

    Every annotator counts, and counts alike; one label only or few rows do no harm to it.

    Range 0 to 1, lower is better. `n`: annotators. Source: LeWiDi 2025, task B, error rate, there
    averaged over texts.
    """
    n = rows.n_annotators
    columns = np.concatenate([rows.annotator, n + rows.annotator])
    amounts = np.concatenate([1 - rows.correct, np.ones(len(rows))])
    sums = sums_of(np.tile(rows.text, 2), columns, amounts, (rows.n_texts, 2 * n))

    def finish(totals: np.ndarray) -> np.ndarray:
        return _mean(ratio(totals[:, :n], totals[:, n:]))

    return Metric("annotator_error_rate", sums, finish, n)


def coverage_annotators(rows: CodedRows) -> Metric:
    """Share of the annotators that `annotator_macro_f1` rests on: those with at least 5 rows.

    Range 0 to 1, neither end is better, no interval. `n`: annotators.
    """
    scored = int(scored_annotators(rows).sum())
    return _constant("coverage_annotators", scored, rows.n_annotators, rows.n_texts)


def coverage_rows(rows: CodedRows) -> Metric:
    """Share of the rows that belong to annotators with at least 5 rows.

    Range 0 to 1, neither end is better, no interval. `n`: rows.
    """
    covered = int(scored_annotators(rows)[rows.annotator].sum())
    return _constant("coverage_rows", covered, len(rows), rows.n_texts)


def scored_annotators(rows: CodedRows) -> Bool[np.ndarray, " annotators"]:
    """Who has at least 5 labelled rows in the slice."""
    return np.bincount(rows.annotator, minlength=rows.n_annotators) >= MIN_ROWS


def _over_scored_annotators(
    name: str, rows: CodedRows, summary: Callable[[np.ndarray], np.ndarray]
) -> Metric:
    """`summary` over the macro-F1 of the scored annotators, shape ``(draws, annotators)``."""
    scored = scored_annotators(rows)
    group = np.cumsum(scored) - 1
    kept = scored[rows.annotator]
    shape = (rows.n_texts, int(scored.sum()), len(rows.labels))
    cells = (rows.text, group[rows.annotator], rows.label, rows.predicted)
    sums = confusion_sums(*(cell[kept] for cell in cells), shape=shape)
    return Metric(name, sums, lambda totals: summary(macro_f1_of(totals, shape[2])), shape[1])


def _mean(values: Float[np.ndarray, "draws annotators"]) -> Float[np.ndarray, " draws"]:
    """Mean over the annotators that a draw holds."""
    return ratio(np.nansum(values, axis=1), np.isfinite(values).sum(axis=1))


def _tenth_percentile(
    values: Float[np.ndarray, "draws annotators"],
) -> Float[np.ndarray, " draws"]:
    """`np.nanpercentile(values, 10, axis=1)`, without its loop over draws and its warning."""
    ordered = np.sort(values, axis=1)  # NaN is put behind everything
    last = np.maximum(np.isfinite(values).sum(axis=1) - 1, 0)
    rank = 0.1 * last
    below = np.floor(rank).astype(np.int64)
    draws = np.arange(len(values))
    low, high = ordered[draws, below], ordered[draws, np.minimum(below + 1, last)]
    return low + (rank - below) * (high - low)


def _constant(name: str, part: int, whole: int, n_texts: int) -> Metric:
    value = part / whole if whole else float("nan")
    sums = sparse.csr_array((n_texts, 1), dtype=np.float64)
    return Metric(name, sums, lambda totals: np.full(len(totals), value), whole, varies=False)
