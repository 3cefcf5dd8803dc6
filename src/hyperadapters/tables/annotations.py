"""The ANNOTATIONS table: one row is one annotator's label for one text.

A plain pandas DataFrame with columns `text_id, text, annotator, label`, perhaps `split` (train, dev
or test) and `text_pair` (the second text of a pair), and any number of attribute columns.
`text_id, text, text_pair, annotator, split` are strings; `label` is all int64 or all strings.
"""

import numpy as np
import pandas as pd

from hyperadapters.tables.cells import clean_ids, clean_labels, clean_splits, clean_texts
from hyperadapters.tables.faults import FaultList, RowOrigin, missing_column
from hyperadapters.tables.frames import column_of, columns_of, rows_of
from hyperadapters.tables.texts import leaking_rows, text_keys

OPTIONS = {"text_id": "--item", "text": "--text", "annotator": "--annotator", "label": "--label"}
STANDARD_COLUMNS = ("text_id", "text", "text_pair", "annotator", "label", "split")


def check_annotations(
    frame: pd.DataFrame,
    *,
    source: str = "table",
    first_row: int = 1,
    allow_leaks: bool = False,
    min_labels: int = 2,
) -> pd.DataFrame:
    """A checked copy of a table of annotations.

    Args:
        frame: A table with at least the columns `text_id, text, annotator, label`.
        source: What errors call the table.
        first_row: The number of the first row, as the user counts rows.
        allow_leaks: Whether the same text may stand in several splits.
        min_labels: How many different labels there must be: 2 to learn from; 1 where the labels are
            those of a run that exists; 0 where column `label` may be absent.

    Returns:
        ANNOTATIONS with index 0, 1, ...; standard columns first, attribute columns as they were.
        Without column `split` if there is none, or nothing in it.

    Raises:
        DataError: The table cannot be used; lists every fault with its rows.
    """
    rows = range(first_row, first_row + len(frame))
    origin = RowOrigin.of(source, rows)
    return check_rows(frame, origin, allow_leaks=allow_leaks, min_labels=min_labels)


def check_rows(
    frame: pd.DataFrame,
    origin: RowOrigin,
    *,
    allow_leaks: bool = False,
    min_labels: int = 2,
    needs_annotator: bool = True,
) -> pd.DataFrame:
    """`check_annotations` for rows that come from anywhere, e.g. from several files."""
    faults = FaultList(origin)
    optional = {"label"} if min_labels == 0 else set()
    optional |= set() if needs_annotator else {"annotator"}
    _check_columns(frame, optional, faults)
    table = frame.reset_index(drop=True)
    _clean(table, faults)
    _check_label_count(table, min_labels, faults)
    _check_texts(table, faults)
    _check_duplicates(table, faults)
    if not allow_leaks:
        _check_leaks(table, faults)
    faults.raise_any()
    order = [column for column in STANDARD_COLUMNS if column in table]
    attributes = [column for column in table if column not in STANDARD_COLUMNS]
    return columns_of(table, order + attributes)


def _check_columns(frame: pd.DataFrame, optional: set[str], faults: FaultList) -> None:
    """Notes missing columns; raises at once where there is nothing else to look at."""
    for column, option in OPTIONS.items():
        if column not in frame and column not in optional:
            faults.add(str(missing_column(column, column, option, frame.columns)))
    twice = frame.columns[frame.columns.duplicated()].unique().tolist()
    for column in twice:
        faults.add(f"column '{column}' occurs twice")
    if frame.empty:
        faults.add("there are no rows, at most a header")
    if twice or frame.empty:
        faults.raise_any()


def _clean(table: pd.DataFrame, faults: FaultList) -> None:
    """Replaces the standard columns by their clean forms, in place."""
    cleaners = {
        "text_id": clean_ids,
        "text": clean_texts,
        "text_pair": clean_texts,
        "annotator": clean_ids,
        "label": clean_labels,
    }
    for column, clean in cleaners.items():
        if column in table:
            table[column] = clean(column_of(table, column), faults)
    if "split" in table:
        splits = clean_splits(table.pop("split"), faults)
        if splits is not None:
            table["split"] = splits


def _check_label_count(table: pd.DataFrame, min_labels: int, faults: FaultList) -> None:
    if "label" not in table:
        return
    # Where a label was at fault, one cannot tell how many there would be.
    different = table["label"].unique()
    if not table["label"].hasnans and len(different) < min_labels:
        faults.add(
            f"there is only the label {different[0]}; {min_labels} different labels are needed"
        )


def _usable(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame | None:
    """The rows in which every one of the columns has a value; None if a column is not there."""
    if not set(columns) <= set(table):
        return None
    pair = ["text_pair"] if "text" in columns and "text_pair" in table else []
    return columns_of(table, columns + pair).dropna()


def _check_texts(table: pd.DataFrame, faults: FaultList) -> None:
    rows = _usable(table, ["text_id", "text"])
    if rows is None:
        return
    different = rows.drop_duplicates()
    clashing = rows_of(different, different.duplicated("text_id", keep=False))
    faults.add(
        "different texts under one text_id; ids must tell texts apart",
        _grouped(clashing, column_of(clashing, "text_id")),
    )


def _check_duplicates(table: pd.DataFrame, faults: FaultList) -> None:
    rows = _usable(table, ["text_id", "annotator"])
    if rows is None:
        return
    twice = rows_of(rows, rows.duplicated(keep=False))
    key = column_of(twice, "text_id") + "\x1f" + column_of(twice, "annotator")
    faults.add(
        "the same annotator has several labels for the same text;"
        " keep one, or take different ones as one label with --join-labels",
        _grouped(twice, key),
    )


def _check_leaks(table: pd.DataFrame, faults: FaultList) -> None:
    rows = _usable(table, ["text", "split"])
    if rows is None:
        return
    leaks = rows_of(rows, leaking_rows(rows))
    # One row of every text and split is enough to find them.
    shown = leaks.drop_duplicates()
    faults.add(
        "the same text stands in more than one split, so that scores would flatter;"
        " move it, or go on with --allow-leaks",
        _grouped(shown, text_keys(shown)),
    )


def _grouped(rows: pd.DataFrame, key: pd.Series) -> np.ndarray:
    """Positions of the rows, those with the same key beside each other."""
    if rows.empty:
        return np.empty(0, np.int64)
    first = rows.index.to_series().groupby(key.to_numpy()).transform("min")
    return rows.index.to_numpy()[np.lexsort((rows.index.to_numpy(), first.to_numpy()))]
