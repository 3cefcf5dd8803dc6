"""Columns and rows of a DataFrame under types that a type checker can follow.

pandas gives a column, a row or a table for the same brackets; here each has its own name.
"""

from collections.abc import Hashable
from typing import cast

import pandas as pd


def column_of(frame: pd.DataFrame, name: Hashable) -> pd.Series:
    """One column of a table whose column names are unique."""
    return cast(pd.Series, frame[name])


def columns_of(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Some columns of a table, in the order of `names`."""
    return cast(pd.DataFrame, frame[names])


def rows_of(frame: pd.DataFrame, mask: pd.Series) -> pd.DataFrame:
    """The rows in which a boolean column is true."""
    return cast(pd.DataFrame, frame[mask])
