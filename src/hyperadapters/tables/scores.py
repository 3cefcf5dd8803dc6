"""SCORES: one row per method, seed, split, slice and metric; a JSON list of records on disk.

Also the one way in which this package puts a table on disk: written beside its place first and
moved there when whole, so that no reader ever meets half a file.
"""

import json
import math
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from hyperadapters.errors import DataError, Fault, RunError
from hyperadapters.tables.frames import columns_of

SCORES_COLUMNS = ("method", "seed", "split", "slice", "metric", "value", "low", "high", "n")
_TEXT_COLUMNS = ("method", "split", "slice", "metric")
_NUMBER_COLUMNS = ("value", "low", "high")
_WHOLE_COLUMNS = ("seed", "n")


def write_scores(
    frame: pd.DataFrame, path: Path, *, overwrite: bool = False, further: Sequence[str] = ()
) -> None:
    """Write SCORES as a JSON list of records, one record per line; NaN becomes `null`.

    Args:
        frame: SCORES; other columns are not written.
        path: The file; its folder is made where there is none.
        overwrite: Whether a file that is already there may be replaced.
        further: Other columns that are written all the same, in the records that have a value;
            `read_scores` passes them over.

    Raises:
        DataError: A column is missing or a number is infinite.
        RunError: The file is there already, or cannot be written.
    """
    table = check_scores(frame, source=str(path))
    more = columns_of(frame, list(further)).to_dict("records") if further else [{}] * len(table)
    records = [
        _record(row) | {str(name): value for name, value in besides.items() if not pd.isna(value)}
        for row, besides in zip(table.to_dict("records"), more, strict=True)
    ]
    lines = ",\n".join(json.dumps(record, allow_nan=False) for record in records)
    with replacing(path, overwrite=overwrite) as part:
        part.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read_scores(path: Path) -> pd.DataFrame:
    """Read SCORES; `null` becomes NaN.

    Raises:
        DataError: The file is missing, is not JSON, or does not hold SCORES.
    """
    source = str(path)
    try:
        records = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(source, ["there is no such file"]) from None
    except (OSError, ValueError) as error:
        raise DataError(source, [f"cannot be read as JSON: {error}"]) from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError(source, ["does not hold a list of records"])
    frame = pd.DataFrame(records, columns=None if records else list(SCORES_COLUMNS))
    return check_scores(frame, source=source)


def check_scores(frame: pd.DataFrame, *, source: str = "table") -> pd.DataFrame:
    """SCORES with their columns in order and their types right.

    Raises:
        DataError: Columns are missing, or a cell is not what its column holds.
    """
    missing = [name for name in SCORES_COLUMNS if name not in frame.columns]
    if missing:
        raise DataError(source, [f"column {name!r} is missing" for name in missing])
    table = pd.DataFrame({name: list(frame[name]) for name in SCORES_COLUMNS})
    faults: list[Fault] = []
    for name in _NUMBER_COLUMNS + _WHOLE_COLUMNS:
        given = cast(pd.Series, table[name])
        numbers = cast(pd.Series, pd.to_numeric(given, errors="coerce"))
        values = numbers.to_numpy(np.float64, na_value=np.nan)
        wrong = np.isinf(values) | np.isnan(values) & given.notna().to_numpy(bool)
        if name in _WHOLE_COLUMNS:
            wrong |= values % 1 != 0  # true for NaN
        if wrong.any():
            kind = "a whole number" if name in _WHOLE_COLUMNS else "a finite number"
            rows = tuple((np.flatnonzero(wrong) + 1).tolist())
            faults.append(Fault(f"column {name!r} is not {kind}", rows))
        table[name] = values
    if faults:
        raise DataError(source, faults)
    text, whole = dict.fromkeys(_TEXT_COLUMNS, "str"), dict.fromkeys(_WHOLE_COLUMNS, "int64")
    return table.astype({**text, **whole})


@contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A file beside `path` to write to; it takes the place of `path` when the block ends well.

    Raises:
        RunError: `path` is there already and may not be replaced, or cannot be written.
    """
    path = Path(path)
    refuse_to_overwrite(path, overwrite=overwrite)
    # Same folder, so that the move never crosses file systems; same ending, so that writers that
    # go by the ending see the right one.
    part = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if part.is_file():  # only where the block failed
            part.unlink()


def refuse_to_overwrite(path: Path, *, overwrite: bool = False) -> None:
    """Raise `RunError` where `path` is a folder, or a file that may not be replaced."""
    if path.is_dir():
        raise RunError(f"{path}: is a folder; name a file")
    if path.exists() and not overwrite:
        raise RunError(f"{path}: is there already; name another file or remove it first")


def _record(row: dict[Any, Any]) -> dict[str, Any]:
    """The row with `None` for NaN, which JSON does not know."""
    return {
        str(name): None if isinstance(value, float) and math.isnan(value) else value
        for name, value in row.items()
    }
