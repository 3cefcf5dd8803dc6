"""Rows of a task as they come from files or the hub, with their official splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hyperadapters.data.formats import RawTable, read_delimited, read_json_lines, read_parquet
from hyperadapters.data.tasks.columns import cells_at
from hyperadapters.errors import DataError
from hyperadapters.tables.cells import clean_splits
from hyperadapters.tables.faults import FaultList, RowOrigin
from hyperadapters.tasks.cells import cell_text
from hyperadapters.tasks.names import advice, listed

_READERS = {
    ".csv": lambda path: read_delimited(path, ","),
    ".tsv": lambda path: read_delimited(path, "\t"),
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
}


@dataclass(frozen=True)
class RawRows:
    """Rows of one task.

    Attributes:
        frame: Cells as they came.
        origin: Where each row stands.
        columns: Our column -> column or path in `frame`; others bear our names.
        split: Official split of every row (train, dev, test), shape ``(rows,)``; None: none given.
        ids: A name for every row, unique.
    """

    frame: pd.DataFrame
    origin: RowOrigin
    columns: Mapping[str, str]
    split: np.ndarray | None
    ids: np.ndarray

    @property
    def source(self) -> str:
        """The files, for messages."""
        return ", ".join(self.origin.sources)

    def cells(self, name: str) -> list | None:
        """The cells of one of our columns; None where there is no such column."""
        return cells_at(self.frame, self.columns.get(name, name))

    def rows(self, kept: np.ndarray) -> "RawRows":
        """Some of the rows, given as booleans or positions."""
        rows = np.flatnonzero(kept) if kept.dtype == bool else kept
        origin = RowOrigin(
            self.origin.sources,
            self.origin.wheres,
            self.origin.source_index[rows],
            tuple(self.origin.names[row] for row in rows),
        )
        split = None if self.split is None else self.split[rows]
        frame = self.frame.iloc[rows].reset_index(drop=True)
        return RawRows(frame, origin, self.columns, split, self.ids[rows])

    def missing(self, name: str) -> str:
        """What to say when one of our columns is not there."""
        wanted = self.columns.get(name, name)
        there = [str(column) for column in self.frame.columns]
        meant = advice(wanted, there)
        suggestion = meant + " " if meant.startswith("did") else ""
        return (
            f"no column '{wanted}'; {suggestion}the columns are {listed(there)}; a column of"
            f" another name is told with `columns: {{{name}: ...}}`"
        )


def read_files(paths: Sequence[Path], columns: Mapping[str, str]) -> RawRows:
    """Rows of files, one below the other.

    Args:
        paths: CSV, TSV, JSON lines or Parquet files.
        columns: Our column -> the files' column or path.

    Raises:
        DataError: A file cannot be read, or a split is none.
    """
    tables = [_read(path) for path in paths]
    frames = [table.frame for table in tables]
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    origin = RowOrigin.join([table.origin for table in tables])
    if frame.empty:
        raise DataError(", ".join(origin.sources), ["there are no rows"])
    return with_splits(frame, origin, columns)


def with_splits(frame: pd.DataFrame, origin: RowOrigin, columns: Mapping[str, str]) -> RawRows:
    """Rows with their official splits and ids.

    An id is the row's `text_id`, else its `id` if no two rows have the same, else its split and
    its number in it.

    Raises:
        DataError: A split is none of train, dev (validation) and test; two rows have one `text_id`.
    """
    faults = FaultList(origin)
    cells = cells_at(frame, columns.get("split", "split"))
    split = None
    if cells is not None:
        cleaned = clean_splits(pd.Series(cells, dtype=object, name="split"), faults)
        split = None if cleaned is None else cleaned.to_numpy(object)
    faults.raise_any("The splits are train, dev (or validation) and test.")
    ids = _ids(frame, columns, split, faults)
    faults.raise_any()
    return RawRows(frame, origin, columns, split, ids)


def matching(rows: RawRows, where: Mapping[str, Sequence[str]], task: str) -> RawRows:
    """The rows whose cells are among the wanted ones, in every column that is named.

    Raises:
        DataError: There is no such column, or no row has one of the cells.
    """
    kept = np.ones(len(rows.frame), bool)
    for column, wanted in where.items():
        cells = rows.cells(column)
        if cells is None:
            raise DataError(rows.source, [f"task {task}: where: {rows.missing(column)}"])
        texts = np.array([cell_text(cell) or "" for cell in cells], object)
        there = list(dict.fromkeys(texts.tolist()))
        absent = [value for value in wanted if value not in there]
        if absent:
            what = f"task {task}: where: no row has '{absent[0]}' in column '{column}'"
            raise DataError(rows.source, [f"{what}; {advice(absent[0], there)}"])
        kept &= np.isin(texts, list(wanted))
    if not kept.any():
        raise DataError(rows.source, [f"task {task}: where: no row fits all columns together"])
    return rows if kept.all() else rows.rows(kept)


def _read(path: Path) -> RawTable:
    reader = _READERS.get(path.suffix.lower())
    if reader is None and not path.is_dir():
        known = ", ".join(_READERS)
        raise DataError(str(path), [f"the ending '{path.suffix}' is not one of {known}"])
    return (reader or read_parquet)(path)


def _ids(
    frame: pd.DataFrame, columns: Mapping[str, str], split: np.ndarray | None, faults: FaultList
) -> np.ndarray:
    for name in ("text_id", "id"):
        cells = cells_at(frame, columns.get(name, name))
        if cells is None:
            continue
        texts = [(cell_text(cell) or "").strip() for cell in cells]
        repeated = pd.Series(texts).duplicated(keep=False).to_numpy(bool)
        empty = np.array([not text for text in texts], bool)
        if not repeated.any() and not empty.any():
            return np.array(texts, object)
        if name == "text_id":
            faults.add("column 'text_id' is empty", empty)
            faults.add("column 'text_id' is the same in two rows", repeated & ~empty)
    names = split if split is not None else np.full(len(frame), "row", object)
    numbers = pd.Series(names).groupby(names).cumcount()
    return np.array([f"{name}-{n}" for name, n in zip(names, numbers, strict=True)], object)
