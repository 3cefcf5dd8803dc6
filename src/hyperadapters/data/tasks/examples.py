"""EXAMPLES: one row per example of any task; the table that everything after reading works on."""

from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.tables.cells import SPLITS
from hyperadapters.tables.faults import FaultList, RowOrigin
from hyperadapters.tables.frames import column_of
from hyperadapters.tasks.names import advice

EXAMPLE_COLUMNS = (
    "text_id",
    "task",
    "source",
    "target",
    "references",
    "split",
    "question",
    "context",
    "starts",
)
_TEXTS = ("text_id", "task", "source", "split")
_OPTIONAL = ("question", "context", "starts")


def examples_frame(columns: dict[str, Any]) -> pd.DataFrame:
    """EXAMPLES of columns; those of questions are None where they are not given."""
    n_rows = len(columns["text_id"])
    table = {name: columns.get(name, [None] * n_rows) for name in EXAMPLE_COLUMNS}
    frame = pd.DataFrame({name: _objects(cells) for name, cells in table.items()})
    return frame.astype(dict.fromkeys(_TEXTS, "str"))


def check_examples(frame: pd.DataFrame, *, source: str = "table") -> pd.DataFrame:
    """EXAMPLES with their columns in order and their types right.

    Args:
        frame: `text_id, task, source, target, references, split`, for questions also
            `question, context, starts`.
        source: What to call the table in messages.

    Returns:
        A table with all columns of `EXAMPLE_COLUMNS`: texts as strings, an unknown target as None,
        references and starts as lists.

    Raises:
        DataError: Columns are missing, a cell is not what its column holds, an id occurs twice in
            a task, or a question and its places do not fit together.
    """
    faults = FaultList(RowOrigin.of(source, range(1, len(frame) + 1)))
    for name in EXAMPLE_COLUMNS:
        if name not in frame.columns and name not in _OPTIONAL:
            near = advice(name, [str(column) for column in frame.columns])
            faults.add(f"column '{name}' is missing; {near}")
    faults.raise_any()
    n_rows = len(frame)
    table = {
        name: column_of(frame, name).tolist() if name in frame else [None] * n_rows
        for name in EXAMPLE_COLUMNS
    }
    for name in _TEXTS:
        wrong = [not isinstance(cell, str) for cell in table[name]]
        faults.add(f"column '{name}' must hold text", np.array(wrong, bool))
    for name in ("target", "question", "context"):
        table[name] = [None if _is_missing(cell) else cell for cell in table[name]]
        wrong = [not isinstance(cell, str | None) for cell in table[name]]
        faults.add(f"column '{name}' must hold text or nothing", np.array(wrong, bool))
    for name in ("references", "starts"):
        table[name] = [_list(cell) for cell in table[name]]
    faults.raise_any()
    _check_rows(table, faults)
    faults.raise_any()
    checked = examples_frame(table)
    checked.attrs = dict(frame.attrs)
    return checked


def _check_rows(table: dict[str, list[Any]], faults: FaultList) -> None:
    splits = [name not in SPLITS for name in table["split"]]
    faults.add("column 'split' must hold train, dev or test", np.array(splits, bool))
    keys = pd.DataFrame({"task": table["task"], "text_id": table["text_id"]})
    twice = keys.duplicated(keep=False).to_numpy(bool)
    faults.add("column 'text_id' is the same in two rows of a task", twice)
    unlisted = [not _all_of(cell, str) for cell in table["references"]]
    faults.add("column 'references' must hold a list of texts", np.array(unlisted, bool))
    asked = [context is not None for context in table["context"]]
    rows = list(zip(table["source"], table["context"], strict=True))
    loose = [there and not src.endswith(c) for there, (src, c) in zip(asked, rows, strict=True)]
    faults.add("column 'source' must end with the context of the question", np.array(loose, bool))
    unknown = [q is None for q in table["question"]]
    halves = np.array(unknown, bool) & np.array(asked, bool)
    faults.add("column 'question' is empty, but there is a context", halves)
    places = zip(table["starts"], table["references"], asked, strict=True)
    uneven = [
        there and not (_all_of(starts, int) and len(starts) == len(references or []))
        for starts, references, there in places
    ]
    faults.add(
        "column 'starts' must hold one whole number for every reference", np.array(uneven, bool)
    )


def _all_of(cell: Any, kind: type) -> bool:
    return isinstance(cell, list) and all(isinstance(item, kind) for item in cell)


def _list(cell: Any) -> Any:
    if isinstance(cell, list | tuple | np.ndarray):
        return [item.item() if isinstance(item, np.generic) else item for item in cell]
    return None if _is_missing(cell) else cell


def _is_missing(cell: Any) -> bool:
    return cell is None or bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def _objects(cells: Any) -> pd.Series:
    """Cells as they are: pandas would turn None into NaN, and lists of one length into a table."""
    column = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        column[row] = cell
    return pd.Series(column, dtype=object)
