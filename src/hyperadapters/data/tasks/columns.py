"""Columns by name or by path: ``"answers.text.0"`` is the first text of the answers of a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.tables.frames import column_of


def cells_at(frame: pd.DataFrame, path: str) -> list[Any] | None:
    """The cells of a column, or what stands at a path in them; None where there is no such column.

    A column of that very name goes first. Otherwise the part before the first dot is the column;
    what follows are keys of tables, positions in lists (from 0), or ``*`` for every element of a
    list. Where a cell has nothing at the path, the result is None.

    Args:
        frame: Rows.
        path: A column, or a path with dots.
    """
    if path in frame.columns:
        return column_of(frame, path).tolist()
    column, *steps = path.split(".")
    if not steps or column not in frame.columns:
        return None
    return [_at(cell, steps) for cell in column_of(frame, column).tolist()]


def plain(cell: Any) -> Any:
    """A cell with lists instead of arrays, also inside it."""
    if isinstance(cell, np.ndarray | list | tuple):
        return [plain(item) for item in cell]
    if isinstance(cell, Mapping):
        return {key: plain(value) for key, value in cell.items()}
    return cell


def _at(cell: Any, steps: Sequence[str]) -> Any:
    if not steps:
        return plain(cell)
    step, rest = steps[0], steps[1:]
    if isinstance(cell, Mapping):
        return _at(cell[step], rest) if step in cell else None
    if not isinstance(cell, np.ndarray | list | tuple):
        return None
    if step == "*":
        return [_at(item, rest) for item in cell]
    if not step.isdecimal():
        # A list of tables, where others store a table of lists: the same thing to us.
        return [_at(item, steps) for item in cell]
    return _at(cell[int(step)], rest) if int(step) < len(cell) else None
