"""Tables behind the scores: one row for each bin of confidence, one for each annotator."""

import numpy as np
import pandas as pd

from hyperadapters.errors import ConfigError
from hyperadapters.evaluation.annotators import macro_f1_by_annotator, mean_by_annotator
from hyperadapters.evaluation.counts import CodedRows, ratio
from hyperadapters.evaluation.places import KEYS, places_of
from hyperadapters.evaluation.probabilistic import N_BINS, bins_of, losses


def reliability(predictions: pd.DataFrame, n_bins: int = N_BINS) -> pd.DataFrame:
    """How often predictions are right, by how sure they are: the points of a reliability diagram.

    Bins and confidence are those of `ece`, which is the mean over rows of
    ``|accuracy - confidence|``.

    Args:
        predictions: PREDICTIONS; rows without a label are left out.
        n_bins: Number of bins of equal width between 0 and 1.

    Returns:
        For every method, seed and split one row a bin: ``method, seed, split, bin`` (from 0),
        its edges ``above`` and ``up_to``, ``n`` (rows), and their mean ``confidence`` and
        ``accuracy``, NaN where a bin is empty.

    Raises:
        DataError: The table is at fault, or no row has a label.
        ConfigError: There is no bin.
    """
    if n_bins < 1:
        raise ConfigError(f"a reliability table needs at least 1 bin, got {n_bins}")
    edges = np.linspace(0, 1, n_bins + 1)
    parts = []
    for place in places_of(predictions):
        confidence = place.rows.probabilities.max(axis=1)
        bins = bins_of(confidence, n_bins)
        n = np.bincount(bins, minlength=n_bins)
        sums = {
            name: np.bincount(bins, weights=amount, minlength=n_bins)
            for name, amount in (("confidence", confidence), ("accuracy", place.rows.correct))
        }
        cells = {
            "bin": np.arange(n_bins),
            "above": edges[:-1],
            "up_to": edges[1:],
            "n": n,
            **{name: ratio(total, n) for name, total in sums.items()},
        }
        parts.append(pd.DataFrame({**place.key, **cells}))
    return pd.concat(parts, ignore_index=True)


def annotator_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """How well each annotator is predicted, and how often they give each label.

    Args:
        predictions: PREDICTIONS; rows without a label are left out.

    Returns:
        One row for every method, seed, split and annotator: ``method, seed, split, annotator, n``
        (rows), ``accuracy, macro_f1`` (over the labels in their rows) and ``nll``, and for every
        label its ``true_rate_<label>``, ``predicted_rate_<label>`` and ``mean_p_<label>``: the
        shares of the rows with that label given and predicted, and its mean probability.

    Raises:
        DataError: The table is at fault, or no row has a label.
    """
    parts = []
    for place in places_of(predictions):
        cells = {"annotator": place.annotators, **_scores(place.rows)}
        parts.append(pd.DataFrame({**place.key, **cells}))
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values([*KEYS, "annotator"], ignore_index=True)


def _scores(rows: CodedRows) -> dict[str, np.ndarray]:
    cells = {
        "n": np.bincount(rows.annotator, minlength=rows.n_annotators),
        "accuracy": mean_by_annotator(rows, rows.correct),
        "macro_f1": macro_f1_by_annotator(rows),
        "nll": mean_by_annotator(rows, losses(rows)),
    }
    for i, name in enumerate(rows.labels.names):
        given, predicted = (rows.label == i).astype(float), (rows.predicted == i).astype(float)
        cells[f"true_rate_{name}"] = mean_by_annotator(rows, given)
        cells[f"predicted_rate_{name}"] = mean_by_annotator(rows, predicted)
        cells[f"mean_p_{name}"] = mean_by_annotator(rows, rows.probabilities[:, i])
    return cells
