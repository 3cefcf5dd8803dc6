"""Files as they lie on disk: CSV, TSV, JSON lines and Parquet, with the place of every row.

Nothing is guessed and nothing repaired here: a file that is not what its ending says is an error
that names the row or byte. What the columns mean is the business of `readers`.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.errors import DataError, Fault
from hyperadapters.tables.faults import RowOrigin

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


@dataclass(frozen=True)
class RawTable:
    """A table as it was read.

    Attributes:
        frame: Cells as the file has them (dtype object); missing cells are None or NaN.
        origin: Where each row stands.
        is_standard: Whether the columns bear our own names whatever the user's options say, as
            in a format that fixes its names.
    """

    frame: pd.DataFrame
    origin: RowOrigin
    is_standard: bool = False


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        DataError: There is no such file, it is a folder, is empty or cannot be read.
    """
    if path.is_dir():
        raise DataError(str(path), ["is a folder; name a file in it"])
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(str(path), ["there is no such file"]) from None
    except OSError as error:
        raise DataError(str(path), [f"cannot be read: {error.strerror or error}"]) from None
    if not content.strip():
        raise DataError(str(path), ["the file is empty"])
    return content


def read_text(path: Path) -> str:
    """The content of a UTF-8 text file, with or without byte order mark; newlines are kept.

    Raises:
        DataError: The file cannot be read or is not UTF-8; names the byte and the line.
    """
    content = read_bytes(path)
    hint = "Save the file as UTF-8 (in a spreadsheet: 'CSV UTF-8') and try again."
    if content.startswith(_WIDE_MARKS):
        raise DataError(str(path), ["is UTF-16 (or UTF-32) text; UTF-8 was expected"], hint)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The error counts from behind the mark.
        start = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        line = content.count(b"\n", 0, start) + 1
        what = f"is not UTF-8: byte {start} (0x{content[start]:02x}, line {line}) cannot be decoded"
        raise DataError(str(path), [what], hint) from None
    if "\x00" in text:
        what = "holds zero bytes: it is UTF-16 without its mark, or no text file at all"
        raise DataError(str(path), [what], hint)
    if not text.strip():
        raise DataError(str(path), ["the file is empty"])
    return text


def read_delimited(path: Path, delimiter: str) -> RawTable:
    """A CSV or TSV file; the header is row 1, as in a spreadsheet.

    An empty cell is missing; every other cell is the text that stands there, `NA` and `null` too.

    Raises:
        DataError: Not readable as such a file; rows with more or fewer fields than the header.
    """
    rows = list(_records(path, delimiter))
    header = [name.strip() or f"column_{i}" for i, name in enumerate(rows[0][1], start=1)]
    body = rows[1:]
    ragged = tuple(number for number, cells in body if len(cells) != len(header))
    if ragged:
        what = f"the number of fields is not that of the header ({len(header)})"
        hint = "Fields that hold a separator, a quote or a new line must stand in double quotes."
        raise DataError(str(path), [Fault(what, ragged)], hint)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(str(path), [f"column '{name}' occurs twice" for name in twice])
    cells = [[cell or None for cell in cells] for _, cells in body]
    frame = pd.DataFrame(cells, columns=pd.Index(header), dtype=object)
    return RawTable(frame, RowOrigin.of(str(path), [number for number, _ in body]))


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Row number and cells of every row that is not blank, the header first."""
    lines = io.StringIO(read_text(path), newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if cells:
                yield number, cells
    except csv.Error as error:
        what = f"cannot be read as {delimiter!r}-separated text: {error}"
        hint = "A quote in the row may be open, or not doubled inside a quoted field."
        raise DataError(str(path), [Fault(what, (number + 1,))], hint) from None


def read_json_lines(path: Path) -> RawTable:
    """A file with one JSON object a line; rows are lines, counted from 1.

    Raises:
        DataError: Lines that are not JSON, or not objects; names every one.
    """
    records: list[dict[str, Any]] = []
    numbers: list[int] = []
    bad: dict[str, list[int]] = {}
    # Not splitlines(): JSON strings may hold other line separators as they are.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        record = _parse_line(line)
        if isinstance(record, str):
            bad.setdefault(record, []).append(number)
        else:
            records.append(record)
            numbers.append(number)
    if bad:
        faults = [Fault(what, tuple(rows)) for what, rows in bad.items()]
        raise DataError(str(path), faults, "Every line must be one JSON object.")
    columns = list(dict.fromkeys(key for record in records for key in record))
    cells = [[record.get(column) for column in columns] for record in records]
    frame = pd.DataFrame(cells, columns=pd.Index(columns), dtype=object)
    return RawTable(frame, RowOrigin.of(str(path), numbers))


def _parse_line(line: str) -> dict[str, Any] | str:
    """The object in a line, or what is wrong with it."""
    try:
        record = json.loads(line)
        # An escaped half character would only break later, in some file that we write.
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "the line holds half a character (a lone surrogate)"
    except (ValueError, RecursionError):
        return "the line is not JSON"
    return record if isinstance(record, dict) else "the line is JSON, but not an object"


def read_parquet(path: Path) -> RawTable:
    """A Parquet file; rows count from 1. A pandas index that was stored without name is dropped.

    Raises:
        DataError: Not a Parquet file, or a broken one.
    """
    import pyarrow as pa  # only Parquet files need it
    import pyarrow.parquet as pq

    content = read_bytes(path)
    try:
        table = pq.read_table(pa.BufferReader(content))
        twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
        if twice:
            raise DataError(str(path), [f"column '{name}' occurs twice" for name in twice])
        # As objects, so that whole numbers beside missing cells do not turn into fractions.
        frame = table.to_pandas(ignore_metadata=True, integer_object_nulls=True)
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise DataError(str(path), [f"cannot be read as Parquet: {first}"]) from None
    index = [name for name in frame.columns if re.fullmatch(r"__index_level_\d+__", str(name))]
    frame = frame.drop(columns=index).astype(object)
    return RawTable(frame, RowOrigin.of(str(path), range(1, len(frame) + 1)))


def plain_attribute(column: pd.Series) -> pd.Series:
    """An attribute column in the type that its cells share, alike for every file format.

    Returns:
        Numbers if every cell is a number or the text of one, else strings if every cell is a
        string, else the cells as they are.
    """
    values = [None if pd.api.types.is_scalar(v) and pd.isna(v) else v for v in column.tolist()]
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, str) for value in given):
        if all(_INTEGER.fullmatch(value) for value in given):
            values = [None if value is None else int(value) for value in values]
        elif all(_DECIMAL.fullmatch(value) for value in given):
            values = [None if value is None else float(value) for value in values]
        else:
            return pd.Series(values, index=column.index, name=column.name, dtype="str")
    elif not all(_is_number(value) for value in given):
        return pd.Series(values, index=column.index, name=column.name, dtype=object)
    dtype = None if given else float
    return pd.Series(values, index=column.index, name=column.name, dtype=dtype)


def _is_number(value: Any) -> bool:
    numbers = int | float | np.integer | np.floating
    return isinstance(value, numbers) and not isinstance(value, bool)
