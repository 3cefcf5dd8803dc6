"""One answer for a text that was read in several windows: the likeliest that is not empty.

A window that does not hold the answer is answered with the empty text, so the empty ones drop out
first. What is compared is the mean negative log-likelihood of an answer's own tokens; the published
code divides by the length of the longest answer of the batch, so that the choice there depends on
which windows happened to be answered together.
"""

import numpy as np
import pandas as pd

from hyperadapters.errors import DataError, Fault
from hyperadapters.tables.frames import column_of
from hyperadapters.tables.task_predictions import TASK_KEY_COLUMNS, check_task_predictions


def choose_windows(table: pd.DataFrame) -> pd.DataFrame:
    """Keep one row of every text: of the answers that are not empty, the one of lowest `nll`.

    Texts are told apart by method, seed, split, task and id. Of equal values the first row stays;
    where all answers are empty (or white space) the answer is ``""``. The choice for one text
    depends on the rows of this text alone.

    Args:
        table: TASK PREDICTIONS, a row for every window.

    Returns:
        TASK PREDICTIONS, a row for every text, in the order in which the texts occur first.

    Raises:
        DataError: The table is at fault, or `nll` is missing where answers have to be compared;
            holds the row numbers, counted from 1.
    """
    checked = check_task_predictions(table, source="predictions", windows=True)
    answer = column_of(checked, "predicted").str.strip()
    empty = (answer == "").to_numpy(bool)
    nll = column_of(checked, "nll").to_numpy(np.float64)
    text = checked.groupby(list(TASK_KEY_COLUMNS), sort=False).ngroup().to_numpy()
    n_answers = np.bincount(text, weights=~empty)
    unknown = np.flatnonzero(np.isnan(nll) & ~empty & (n_answers[text] > 1))
    if len(unknown):
        what = "column 'nll' is empty where the answers of several windows have to be compared"
        raise DataError("predictions", [Fault(what, tuple((unknown + 1).tolist()))])
    # The last key counts first; position decides between equal rows, NaN stands behind numbers.
    best = np.lexsort((np.arange(len(text)), nll, empty, text))
    chosen = best[np.flatnonzero(np.diff(text[best], prepend=-1))]
    kept = checked.iloc[chosen].reset_index(drop=True)
    kept["predicted"] = column_of(kept, "predicted").mask(empty[chosen], "")
    return kept
