"""Metrics of each annotator by themselves, and how many annotators they could be taken of."""

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from hyperadapters.evaluation import over_people
from hyperadapters.evaluation.counts import (
    CodedRows,
    Metric,
    OfGroups,
    macro_f1_of_groups,
    mean_metric,
    ratio,
    sums_of,
)
from hyperadapters.evaluation.probabilistic import (
    MAX_LOSS,
    calibration_of_groups,
    losses,
    squared_errors,
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
    return _over_macro_f1("annotator_macro_f1", rows, over_people.mean)


def annotator_macro_f1_weighted(rows: CodedRows) -> Metric:
    """Mean of the annotators' own macro-F1, in which each counts as often as they have rows.

    Between `annotator_macro_f1`, in which people count alike, and `macro_f1`, in which rows do. The
    weights are the rows of the whole slice, in bootstrap draws too.

    Range 0 to 1, higher is better. `n`: annotators. Source: NumPy, ``average(f1, weights=rows)``,
    of the annotators of `annotator_macro_f1`.
    """
    n_rows = np.bincount(rows.annotator, minlength=rows.n_annotators)[scored_annotators(rows)]

    def weighted(values: over_people.Values, counts: over_people.Values) -> np.ndarray:
        return over_people.mean(values, counts * n_rows)

    return _over_macro_f1("annotator_macro_f1_weighted", rows, weighted)


def annotator_macro_f1_median(rows: CodedRows) -> Metric:
    """Median over the annotators of `annotator_macro_f1` of their own macro-F1.

    Range 0 to 1, higher is better. `n`: annotators. Source: NumPy, ``median(f1)``.
    """
    return _over_macro_f1("annotator_macro_f1_median", rows, over_people.median)


def annotator_macro_f1_p10(rows: CodedRows) -> Metric:
    """10th percentile over annotators of their own macro-F1: how those served worst fare.

    Over the annotators of `annotator_macro_f1`, interpolated linearly between neighbours.

    Range 0 to 1, higher is better. `n`: annotators. Source: NumPy, ``percentile(f1, 10)``.
    """
    return _over_macro_f1("annotator_macro_f1_p10", rows, over_people.tenth_percentile)


def annotator_macro_f1_worst_decile(rows: CodedRows) -> Metric:
    """Mean of the lowest tenth of the annotators' own macro-F1.

    The tenth of the annotators of `annotator_macro_f1`, rounded down, but at least one of them.

    Range 0 to 1, higher is better. `n`: annotators (all, not the tenth). Source: the tail mean
    (conditional value at risk, Rockafellar & Uryasev 2000) at 10 %.
    """
    name = "annotator_macro_f1_worst_decile"
    return _over_macro_f1(name, rows, over_people.worst_decile)


def annotator_macro_f1_min(rows: CodedRows) -> Metric:
    """The lowest of the annotators' own macro-F1: one person, so that chance speaks loudly.

    Range 0 to 1, higher is better. `n`: annotators. Source: worst-group performance, Sagawa et al.
    2020, each of the annotators of `annotator_macro_f1` being a group.
    """
    return _over_macro_f1("annotator_macro_f1_min", rows, over_people.least)


def annotator_error_rate(rows: CodedRows) -> Metric:
    """Mean over all annotators of the share of their rows that is predicted wrongly.

    Every annotator counts, and counts alike; one label only or few rows do no harm to it.

    Range 0 to 1, lower is better. `n`: annotators. Source: LeWiDi 2025, task B, whose mean over
    texts is `error_rate`.
    """
    return _over_all_annotators("annotator_error_rate", rows, 1 - rows.correct)


def annotator_nll(rows: CodedRows) -> Metric:
    """Mean over all annotators of their own `nll`.

    Every annotator counts alike, however many their rows.

    Range 0 to 27.6, lower is better. `n`: annotators. Source: scikit-learn, ``log_loss``, of each
    annotator.
    """
    return _over_all_annotators("annotator_nll", rows, losses(rows), MAX_LOSS)


def annotator_brier(rows: CodedRows) -> Metric:
    """Mean over all annotators of their own `brier`.

    Every annotator counts alike, however many their rows.

    Range 0 to 2, lower is better. `n`: annotators. Source: Brier 1950, of each annotator.
    """
    return _over_all_annotators("annotator_brier", rows, squared_errors(rows), 2.0)


def annotator_ece(rows: CodedRows) -> Metric:
    """Mean over the annotators of `annotator_macro_f1` of their own `ece`.

    Somebody's few rows lie in bins of one or two, whose accuracy is 0, 1/2 or 1: even true
    probabilities are far from that. So it is to compare methods on the same rows, not to compare
    with 0 or with `ece`.

    Range 0 to 1, lower is better. `n`: annotators. Source: Guo et al. 2017, equation 3, of each
    annotator.
    """
    of_each = calibration_of_groups(rows)
    return _over_scored_annotators("annotator_ece", rows, over_people.mean, of_each)


def coverage_annotators(rows: CodedRows) -> Metric:
    """Share of the annotators that `annotator_macro_f1` rests on: those with at least 5 rows.

    Range 0 to 1, neither end is better, no interval. `n`: annotators.
    """
    scored = int(scored_annotators(rows).sum())
    return _constant("coverage_annotators", scored, rows.n_annotators, rows.n_units)


def coverage_rows(rows: CodedRows) -> Metric:
    """Share of the rows that belong to annotators with at least 5 rows.

    Range 0 to 1, neither end is better, no interval. `n`: rows.
    """
    covered = int(scored_annotators(rows)[rows.annotator].sum())
    return _constant("coverage_rows", covered, len(rows), rows.n_units)


def scored_annotators(rows: CodedRows) -> Bool[np.ndarray, " annotators"]:
    """Who has at least 5 labelled rows in the slice."""
    return np.bincount(rows.annotator, minlength=rows.n_annotators) >= MIN_ROWS


def macro_f1_by_annotator(rows: CodedRows) -> Float[np.ndarray, " annotators"]:
    """The macro-F1 of every annotator, also of those with few rows."""
    everything, whole = np.ones(len(rows), bool), np.zeros(len(rows), np.int64)
    f1 = macro_f1_of_groups(rows)
    sums = f1.sums(everything, whole, rows.annotator, (1, rows.n_annotators))
    return f1.values(sums.toarray())[0]


def mean_by_annotator(
    rows: CodedRows, amount: Float[np.ndarray, " rows"]
) -> Float[np.ndarray, " annotators"]:
    """The mean of an amount over the rows of every annotator."""
    n = np.bincount(rows.annotator, minlength=rows.n_annotators)
    return np.bincount(rows.annotator, weights=amount, minlength=rows.n_annotators) / n


def _over_macro_f1(name: str, rows: CodedRows, summary: over_people.Summary) -> Metric:
    """`summary` over the macro-F1 of the scored annotators."""
    return _over_scored_annotators(name, rows, summary, macro_f1_of_groups(rows))


def _over_scored_annotators(
    name: str, rows: CodedRows, summary: over_people.Summary, each: OfGroups
) -> Metric:
    """`summary` over a metric of each of the scored annotators."""
    scored = scored_annotators(rows)
    n_scored = int(scored.sum())
    kept = scored[rows.annotator]
    group = (np.cumsum(scored) - 1)[rows.annotator]
    if rows.drawn == "annotators":
        whole = each.sums(kept, np.zeros(len(rows), np.int64), group, (1, n_scored))
        values = each.values(whole.toarray())[0]
        # What is drawn are people with their scores; the totals are how often each was drawn.
        people = np.flatnonzero(scored)
        shape = (rows.n_annotators, n_scored)
        return Metric(
            name,
            sums_of(people, np.arange(n_scored), np.ones(n_scored), shape),
            lambda totals: summary(np.broadcast_to(values, totals.shape), totals),
            n_scored,
        )
    sums = each.sums(kept, rows.text, group, (rows.n_texts, n_scored))

    def finish(totals: np.ndarray) -> np.ndarray:
        values = each.values(totals)
        return summary(values, np.isfinite(values).astype(np.float64))

    return Metric(name, sums, finish, n_scored)


def _over_all_annotators(
    name: str, rows: CodedRows, amount: Float[np.ndarray, " rows"], highest: float = 1.0
) -> Metric:
    """Mean over annotators of the mean of an amount over their rows."""
    n = rows.n_annotators
    if rows.drawn == "annotators":
        return mean_metric(name, np.arange(n), mean_by_annotator(rows, amount), n, highest)
    columns = np.concatenate([rows.annotator, n + rows.annotator])
    amounts = np.concatenate([amount, np.ones(len(rows))])
    sums = sums_of(np.tile(rows.text, 2), columns, amounts, (rows.n_texts, 2 * n))

    def finish(totals: np.ndarray) -> np.ndarray:
        means = ratio(totals[:, :n], totals[:, n:])
        return over_people.mean(means, np.isfinite(means).astype(np.float64))

    return Metric(name, sums, finish, n, highest=highest)


def _constant(name: str, part: int, whole: int, n_units: int) -> Metric:
    value = part / whole if whole else float("nan")
    sums = sparse.csr_array((n_units, 1), dtype=np.float64)
    return Metric(name, sums, lambda totals: np.full(len(totals), value), whole, varies=False)
