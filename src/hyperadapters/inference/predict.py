"""Probabilities of every row, joined to the row by its position."""

import numpy as np
import pandas as pd

from hyperadapters.baselines import AnnotatorMode, GlobalMode
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.tables import predictions_frame
from hyperadapters.tables.frames import column_of

Fitted = AnnotatorClassifier | GlobalMode | AnnotatorMode
"""Whatever a method leaves behind after fitting."""


def predict(fitted: Fitted, rows: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """PREDICTIONS of a fitted method.

    Rows by annotators whom the training data does not know are answered from the population and
    marked ``source = population``, by every method, so that scores by source hold the same rows.

    Args:
        fitted: The fitted method.
        rows: Columns `text_id, text, annotator`, perhaps `text_pair`, `label`, `split`.
        seed: Seed of the run, for the column of that name.

    Raises:
        DataError: A label is not among those of the method, or a pair occurs twice.
    """
    if not isinstance(fitted, AnnotatorClassifier):
        return fitted.predict(rows, seed=seed)
    examples = fitted.examples(rows)
    with fitted.states_of(examples):
        probabilities = fitted.probabilities(examples)
    return predictions_frame(
        column_of(rows, "text_id"),
        column_of(rows, "annotator"),
        probabilities,
        fitted.labels,
        label=column_of(rows, "label") if "label" in rows else None,
        split=column_of(rows, "split") if "split" in rows else "test",
        method=fitted.method.name,
        seed=seed,
        source=np.where(examples.annotators >= 0, "known", "population"),
    )
