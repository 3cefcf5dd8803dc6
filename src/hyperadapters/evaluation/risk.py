"""How wrong predictions are if only the surest of them are kept."""

import numpy as np
import pandas as pd

from hyperadapters.evaluation.places import places_of


def risk_coverage(predictions: pd.DataFrame) -> pd.DataFrame:
    """Error rate of the surest rows, by how many are kept: the points of a risk-coverage curve.

    Rows are kept from the highest probability of the predicted label downwards; rows that are
    equally sure are kept together. Geifman & El-Yaniv 2017.

    Args:
        predictions: PREDICTIONS; rows without a label are left out.

    Returns:
        For every method, seed and split one row for each level of confidence, the highest first:
        ``method, seed, split, threshold`` (rows at least as sure are kept), ``coverage`` (their
        share) and ``risk`` (share of them that is predicted wrongly).

    Raises:
        DataError: The table is at fault, or no row has a label.
    """
    parts = []
    for place in places_of(predictions):
        chosen = place.rows.probabilities[np.arange(len(place.rows)), place.rows.predicted]
        levels, level = np.unique(-chosen, return_inverse=True)
        kept = np.cumsum(np.bincount(level))
        wrong = np.cumsum(np.bincount(level, weights=1 - place.rows.correct))
        cells = {"threshold": -levels, "coverage": kept / len(chosen), "risk": wrong / kept}
        parts.append(pd.DataFrame({**place.key, **cells}))
    return pd.concat(parts, ignore_index=True)
