"""Metrics of the predicted label, all rows pooled."""

import numpy as np

from hyperadapters.evaluation.counts import (
    CodedRows,
    Metric,
    confusion_sums,
    macro_f1_of,
    mean_metric,
)


def accuracy(rows: CodedRows) -> Metric:
    """Share of rows whose predicted label is the true one.

    Range 0 to 1, higher is better. `n`: rows. Source: scikit-learn, ``accuracy_score``.
    """
    return mean_metric("accuracy", rows.unit, rows.correct, rows.n_units)


def macro_f1(rows: CodedRows) -> Metric:
    """Mean F1 over the labels that occur among the true labels or the predictions of the slice.

    Range 0 to 1, higher is better. `n`: rows. Source: scikit-learn,
    ``f1_score(average="macro")``.
    """
    shape = (rows.n_units, 1, len(rows.labels))
    pooled = np.zeros(len(rows), dtype=np.int64)
    sums = confusion_sums(rows.unit, pooled, rows.label, rows.predicted, shape)
    return Metric("macro_f1", sums, lambda totals: macro_f1_of(totals, shape[2])[:, 0], len(rows))


def mae(rows: CodedRows) -> Metric:
    """Mean absolute distance of the predicted from the true label, for integer labels on a scale.

    Range 0 to the span of the scale, lower is better. `n`: rows. Source: LeWiDi 2025, task B,
    there averaged over texts and divided by the number of values, see `absolute_distance`.
    """
    names = np.asarray(rows.labels.names, dtype=np.float64)
    distance = np.abs(names[rows.label] - names[rows.predicted])
    return mean_metric("mae", rows.unit, distance, rows.n_units, float(np.ptp(names)))
