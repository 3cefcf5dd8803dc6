"""TASK PREDICTIONS: what a system wrote as the answer to one text of one task.

One row is one text of a task, or one window of a text too long to be read at once: ``text_id,
task, label`` (the target text, missing where unknown), ``predicted`` (may be the empty text),
``nll`` (mean negative log-likelihood of the answer's own tokens, missing where unknown),
``references`` (a list of all accepted answers, empty where unknown), ``split, method`` (the
recipe), ``seed, source``. Parquet on disk. A table from outside needs only the first four columns
but `nll`; every fault is found at the door and all are reported together.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool

from hyperadapters.errors import DataError, Fault
from hyperadapters.tables.prediction_faults import (
    MAX_EXAMPLES,
    SOURCES,
    as_text,
    column,
    numbers_of,
)
from hyperadapters.tables.scores import replacing

TASK_PREDICTIONS_COLUMNS = (
    *("text_id", "task", "label", "predicted", "nll"),
    *("references", "split", "method", "seed", "source"),
)
TASK_KEY_COLUMNS = ("method", "seed", "split", "task", "text_id")
"""What tells the texts of a table apart; the windows of one text share all of it."""

_REQUIRED = ("text_id", "task", "label", "predicted")
_DEFAULTS: dict[str, Any] = {
    **{"nll": None, "references": None},
    **{"split": "test", "method": "unknown", "seed": 0, "source": "known"},
}
_NEVER_EMPTY = ("text_id", "task", "predicted", "split", "method", "seed", "source")
_HINT = "TASK PREDICTIONS need the columns " + ", ".join(_REQUIRED)


def check_task_predictions(
    frame: pd.DataFrame, *, source: str = "table", windows: bool = False
) -> pd.DataFrame:
    """TASK PREDICTIONS with their columns in order, types right and defaults filled in.

    Ids, labels and answers become `str`; `references` become lists of `str`, and where a row has
    none but its label is known, the label is the one accepted answer. Columns that TASK
    PREDICTIONS do not have stay, behind the others. Rows keep their order and are numbered afresh.

    Args:
        frame: The table as it was read.
        source: Its name in the error message.
        windows: Whether a text may have several rows, one for each of its windows.

    Raises:
        DataError: Columns are missing or occur twice, cells empty, numbers no numbers, references
            no lists of texts, texts repeated, or no rows at all; holds all faults with their row
            numbers, counted from 1.
    """
    repeated = frame.columns[frame.columns.duplicated()].unique().tolist()
    if repeated:
        raise DataError(source, [f"column {str(name)!r} occurs twice" for name in repeated])
    table = frame.reset_index(drop=True)
    missing = [name for name in _REQUIRED if name not in table.columns]
    for name, value in _DEFAULTS.items():
        if name not in table.columns:
            table[name] = value
    faults = [Fault(f"column {name!r} is missing") for name in missing]
    faults += [] if len(table) else [Fault("there are no rows")]
    faults += _cell_faults(table)
    faults += [] if windows else _repetition_faults(table)
    if faults:
        raise DataError(source, faults, _HINT if missing else "")
    return _tidy(table)


def read_task_predictions(path: Path, *, windows: bool = False) -> pd.DataFrame:
    """Read and check TASK PREDICTIONS from Parquet.

    Args:
        path: The file.
        windows: Whether a text may have several rows, one for each of its windows.

    Raises:
        DataError: The file is missing, empty, broken, of another kind, or its content is at fault.
    """
    path = Path(path)
    _check_ending(path)
    if not path.is_file():
        what = "is a folder; name the file in it" if path.is_dir() else "there is no such file"
        raise DataError(str(path), [what])
    if path.stat().st_size == 0:
        raise DataError(str(path), ["the file is empty"])
    try:
        frame = pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        what = f"cannot be read as parquet: {_first_line(error)}"
        raise DataError(str(path), [what]) from error
    return check_task_predictions(frame, source=str(path), windows=windows)


def write_task_predictions(
    frame: pd.DataFrame, path: Path, *, overwrite: bool = False, windows: bool = False
) -> None:
    """Check and write TASK PREDICTIONS as Parquet, beside their place first and moved when whole.

    Args:
        frame: TASK PREDICTIONS.
        path: The file; its folder is made where there is none.
        overwrite: Whether a file that is already there may be replaced.
        windows: Whether a text may have several rows, one for each of its windows.

    Raises:
        DataError: The table is at fault, or the ending is of another kind.
        RunError: The file is there already, or cannot be written.
    """
    path = Path(path)
    _check_ending(path)
    table = check_task_predictions(frame, source=str(path), windows=windows)
    with replacing(path, overwrite=overwrite) as part:
        try:
            table.to_parquet(part, index=False)
        except pa.ArrowException as error:  # a caller's own column with cells of several types
            raise DataError(str(path), [f"cannot be written: {_first_line(error)}"]) from error


def _cell_faults(table: pd.DataFrame) -> list[Fault]:
    faults = []
    for name in _NEVER_EMPTY:
        if name in table:
            faults += _fault(f"column {name!r} is empty", _is_missing(column(table, name)))
    given, seeds = column(table, "nll"), column(table, "seed")
    strange = ~np.isfinite(numbers_of(given)) & ~_is_missing(given)
    faults += _fault("column 'nll' is not a finite number", strange)
    whole = numbers_of(seeds) % 1 == 0  # false for NaN
    faults += _fault("column 'seed' is not a whole number", ~whole & ~_is_missing(seeds))
    sources = as_text(column(table, "source"))
    other = ~np.isin(sources.to_numpy(object), SOURCES) & ~_is_missing(sources)
    got = sorted(set(sources.to_numpy(object)[other]))[:MAX_EXAMPLES]
    faults += _fault(f"column 'source' holds {got}, wanted one of {', '.join(SOURCES)}", other)
    cells = column(table, "references").tolist()
    wrong = np.array([not _is_references(cell) for cell in cells], bool)
    return faults + _fault("column 'references' is not a list of texts", wrong)


def _repetition_faults(table: pd.DataFrame) -> list[Fault]:
    if not set(table.columns) >= set(TASK_KEY_COLUMNS):
        return []
    keys = pd.DataFrame({name: as_text(column(table, name)) for name in TASK_KEY_COLUMNS})
    repeated = keys.duplicated().to_numpy(bool) & keys.notna().all(axis=1).to_numpy(bool)
    what = "the same text, task, split, method and seed occur before"
    return _fault(f"{what} (choose_windows keeps one window of a text)", repeated)


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    texts = ("text_id", "task", "label", "predicted", "split", "method", "source")
    tidy: dict[str, Any] = {name: as_text(column(table, name)) for name in texts}
    tidy["nll"] = numbers_of(column(table, "nll"))
    tidy["seed"] = numbers_of(column(table, "seed")).astype(np.int64)
    cells = zip(column(table, "references").tolist(), tidy["label"].tolist(), strict=True)
    accepted = [_references(cell, label) for cell, label in cells]
    tidy["references"] = pd.Series(accepted, dtype=object)
    extra = {name: table[name] for name in table.columns if name not in tidy}
    return pd.DataFrame({**{name: tidy[name] for name in TASK_PREDICTIONS_COLUMNS}, **extra})


def _is_references(cell: Any) -> bool:
    # Parquet gives an array for a list; a cell without a list is a missing one.
    if isinstance(cell, list | tuple | np.ndarray):
        return all(isinstance(text, str) for text in cell)
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def _references(cell: Any, label: Any) -> list[str]:
    given = list(cell) if isinstance(cell, list | tuple | np.ndarray) else []
    # As in the other columns, half a character, which no file can hold, is spelt out.
    found = [text.encode("utf-8", "backslashreplace").decode() for text in given]
    return found or ([label] if isinstance(label, str) else [])


def _check_ending(path: Path) -> None:
    if path.suffix.lower() != ".parquet":
        raise DataError(str(path), [f"unknown kind of file {path.suffix!r}; wanted .parquet"])


def _is_missing(values: pd.Series) -> Bool[np.ndarray, " rows"]:
    return values.isna().to_numpy(bool)


def _fault(what: str, wrong: Bool[np.ndarray, " rows"]) -> list[Fault]:
    """The fault of the rows that are wrong, counted from 1 as a reader counts; none if none is."""
    rows = np.flatnonzero(wrong) + 1
    return [Fault(what, tuple(rows.tolist()))] if len(rows) else []


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
