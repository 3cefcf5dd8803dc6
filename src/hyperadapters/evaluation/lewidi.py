"""Metrics of single people as the shared task LeWiDi 2025 averages them (its task B).

First over the people of a text, then over texts: every text counts alike, however many people
labelled it. A mean over rows or over annotators differs wherever their numbers do.
"""

import numpy as np
from jaxtyping import Float

from hyperadapters.evaluation.counts import CodedRows, Metric, mean_over_texts


def error_rate(rows: CodedRows) -> Metric:
    """Mean over texts of the share of its people who are predicted wrongly.

    Range 0 to 1, lower is better. `n`: texts. Source: LeWiDi 2025, task B, error rate of MP.
    """
    return mean_over_texts("error_rate", rows, _means(rows, 1 - rows.correct))


def hamming_loss(rows: CodedRows) -> Metric:
    """Mean over texts and their people of the share of the single labels that are wrong.

    For answers that are sets of labels: wrong is a label that was given and not predicted, or
    predicted and not given, of all `parts` of the label space.

    Range 0 to 1, lower is better. `n`: texts. Source: LeWiDi 2025, task B, multi-label error rate
    of VariErrNLI; scikit-learn's ``hamming_loss`` where all texts have as many people.
    """
    members = rows.labels.members
    wrong = (members[rows.label] != members[rows.predicted]).mean(axis=1)
    return mean_over_texts("hamming_loss", rows, _means(rows, wrong))


def absolute_distance(rows: CodedRows) -> Metric:
    """Mean over texts and their people of ``|predicted - true|``, in scale lengths.

    The length of the scale is the number of integers from the lowest to the highest label: 6 for
    CSC (1 to 6) and 11 for Paraphrase (-5 to 5). This is what the organisers' code divides by, and
    what reproduces their published baseline; their formula names the range, one less. Labels that
    never occur count: the place for 0 in CSC's soft labels makes 7 values of its 6.

    Range 0 to below 1, lower is better. `n`: texts. Source: LeWiDi 2025, task B, average normalised
    absolute distance (ANAD).
    """
    names = np.asarray(rows.labels.names, dtype=np.float64)
    span = float(np.ptp(names))
    distance = np.abs(names[rows.label] - names[rows.predicted]) / (span + 1)
    return mean_over_texts("absolute_distance", rows, _means(rows, distance), span / (span + 1))


def _means(rows: CodedRows, amount: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " texts"]:
    """The mean of an amount over the rows of every text."""
    total = np.bincount(rows.text, weights=amount, minlength=rows.n_texts)
    return total / np.bincount(rows.text, minlength=rows.n_texts)
