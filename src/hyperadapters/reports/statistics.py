"""Small sums that several sections need."""

import numpy as np
import pandas as pd

from hyperadapters.tables.frames import column_of


def mean_of(table: pd.DataFrame, name: str) -> float:
    """Mean of a column without its gaps; NaN where it has nothing else."""
    values = column_of(table, name).dropna()
    return float(values.mean()) if len(values) else float("nan")


def rank_correlation(table: pd.DataFrame, first: str, second: str) -> str:
    """Spearman's correlation of two columns, in words where one of them never differs."""
    ranks = [column_of(table, name).rank().to_numpy(np.float64) for name in (first, second)]
    if min(float(values.std()) for values in ranks) == 0:
        return "undefined, for one of them never differs"
    return f"{float(np.corrcoef(ranks[0], ranks[1])[0, 1]):.2f}"
