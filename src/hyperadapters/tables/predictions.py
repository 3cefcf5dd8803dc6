"""PREDICTIONS: what a system says that one annotator would answer to one text.

One row is one annotator and one text: ``text_id, annotator, label`` (missing where unknown),
``predicted``, one ``p_<label>`` per label (probabilities, sum 1), ``split, method, seed, source``.
Predictions of any system can be scored, so a table from outside needs only the first four and the
probabilities; every fault is found at the door and all are reported together.
"""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float

from hyperadapters.errors import DataError, Fault
from hyperadapters.labels import Decision, LabelSpace
from hyperadapters.tables.prediction_faults import (
    DEFAULTS,
    REQUIRED_COLUMNS,
    as_text,
    column,
    column_faults,
    faults_of,
    label_names,
    labels_as_text,
    numbers_of,
    probabilities_of,
)
from hyperadapters.tables.scores import replacing

_ENDINGS = (".parquet", ".csv", ".jsonl")
_UNREADABLE = (
    pa.ArrowException,
    pd.errors.EmptyDataError,
    pd.errors.ParserError,
    pd.errors.ParserWarning,
    OSError,
)
_HINT = (
    "PREDICTIONS need the columns text_id, annotator, label, predicted "
    "and one p_<label> per label (probabilities that sum to 1)"
)
_OF_TASKS = (
    "A column 'task' and no probabilities: these are answers to tasks; in Python "
    "hyperadapters.evaluate_tasks scores them, and their run has scores.json"
)


def predictions_frame(
    text_id: Sequence[Any] | pd.Series | np.ndarray,
    annotator: Sequence[Any] | pd.Series | np.ndarray,
    probabilities: Float[np.ndarray, "rows labels"],
    labels: LabelSpace,
    *,
    label: Sequence[Any] | pd.Series | np.ndarray | None = None,
    split: str | Sequence[Any] | pd.Series | np.ndarray = "test",
    method: str = "unknown",
    seed: int = 0,
    source: str | Sequence[Any] | pd.Series | np.ndarray = "known",
    decision: Decision = "mode",
) -> pd.DataFrame:
    """PREDICTIONS from arrays of equal length; `predicted` follows from the probabilities.

    Args:
        text_id: Id of the text of every row.
        annotator: Whose answer is predicted.
        probabilities: One row per prediction, one column per label in the order of `labels`.
        labels: What can be predicted.
        label: The true answers, missing where unknown; by default all are unknown.
        split: Name of the split, one for all or one per row.
        method: Name of the method.
        seed: Seed of the run.
        source: Where the annotator's adapter came from, one for all or one per row.
        decision: How one label is chosen, see `LabelSpace.decide`.

    Raises:
        ConfigError: The median of labels without an order, or the marginal of labels that are no
            sets.
        DataError: The table would not be valid.
    """
    columns: dict[str, Any] = {
        "text_id": np.asarray(text_id, dtype=object),
        "annotator": np.asarray(annotator, dtype=object),
        "label": np.full(len(probabilities), None) if label is None else _plain(label),
        "predicted": labels.decode(labels.decide(probabilities, decision)),
        **dict(zip(labels.columns, probabilities.T.astype(np.float64), strict=True)),
        "split": split if isinstance(split, str) else np.asarray(split, dtype=object),
        "method": method,
        "seed": seed,
        "source": source if isinstance(source, str) else np.asarray(source, dtype=object),
    }
    return check_predictions(pd.DataFrame(columns), source="predictions")


def check_predictions(frame: pd.DataFrame, *, source: str = "table") -> pd.DataFrame:
    """PREDICTIONS with their columns in order, defaults filled in and probabilities summing to 1.

    Ids become `str`; labels become integers where all are; columns that PREDICTIONS do not have
    stay, behind the others. Rows keep their order and are numbered afresh.

    Args:
        frame: The table as it was read.
        source: Its name in the error message.

    Raises:
        DataError: Columns are missing, cells empty, probabilities missing, infinite, negative or
            not summing to 1 (within 0.001), labels without a p_ column, predictions repeated, or
            no rows at all; holds all faults with their row numbers, counted from 1.
    """
    repeated = frame.columns[frame.columns.duplicated()].unique().tolist()
    if repeated:
        raise DataError(source, [f"column {str(name)!r} occurs twice" for name in repeated])
    table = frame.reset_index(drop=True)
    for name, value in DEFAULTS.items():
        if name not in table.columns:
            table[name] = value
    faults = faults_of(table)
    if faults:
        raise DataError(source, faults, _hint(table))
    return _tidy(table)


def _hint(table: pd.DataFrame) -> str:
    if "task" in table and not label_names(table):
        return _OF_TASKS
    return "" if set(table) >= set(REQUIRED_COLUMNS) else _HINT


def label_space_of(frame: pd.DataFrame) -> LabelSpace:
    """The labels that the ``p_<label>`` columns name, sorted, whatever the order of the columns.

    They are integers where all of them read as integers.

    Raises:
        DataError: Fewer than two p_ columns.
    """
    names = label_names(frame)
    if len(names) < 2:
        raise DataError("predictions", column_faults(frame), _HINT)
    integers = all(_is_integer(name) for name in names)
    return LabelSpace.of([int(name) for name in names] if integers else names)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check PREDICTIONS from Parquet, CSV or JSONL, by the ending of the file.

    Raises:
        DataError: The file is missing, empty, broken, of another kind, not UTF-8, or its content
            is at fault.
    """
    path = Path(path)
    ending = check_ending(path)
    if not path.is_file():
        what = "is a folder; name the file in it" if path.is_dir() else "there is no such file"
        raise DataError(str(path), [what])
    if path.stat().st_size == 0:
        raise DataError(str(path), ["the file is empty"])
    readers = {".parquet": pd.read_parquet, ".csv": _read_csv, ".jsonl": _read_jsonl}
    try:
        frame = readers[ending](path)
    except UnicodeDecodeError as error:
        raise DataError(str(path), ["is not UTF-8 text; save it as UTF-8"]) from error
    except _UNREADABLE as error:
        kind = ending.removeprefix(".")
        raise DataError(str(path), [f"cannot be read as {kind}: {_first_line(error)}"]) from error
    return check_predictions(frame, source=str(path))


def write_predictions(frame: pd.DataFrame, path: Path, *, overwrite: bool = False) -> None:
    """Check and write PREDICTIONS as Parquet, CSV or JSONL, by the ending of the file.

    The file is written beside its place and moved there when whole.

    Args:
        frame: PREDICTIONS.
        path: The file; its folder is made where there is none.
        overwrite: Whether a file that is already there may be replaced.

    Raises:
        DataError: The table is at fault, or the ending is of another kind.
        RunError: The file is there already, or cannot be written.
    """
    path = Path(path)
    ending = check_ending(path)
    table = check_predictions(frame, source=str(path))
    with replacing(path, overwrite=overwrite) as part:
        if ending == ".parquet":
            _write_parquet(table, part, path)
        elif ending == ".csv":
            table.to_csv(part, index=False, encoding="utf-8", lineterminator="\n")
        else:
            # 15 digits: pandas' default of 10 would make probabilities differ after a round trip.
            table.to_json(
                part, orient="records", lines=True, force_ascii=False, double_precision=15
            )


def _write_parquet(table: pd.DataFrame, part: Path, path: Path) -> None:
    try:
        table.to_parquet(part, index=False)
    except pa.ArrowException as error:  # a column of the caller's own with cells of several types
        raise DataError(str(path), [f"cannot be written: {_first_line(error)}"]) from error


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    labels = label_space_of(table)
    values = probabilities_of(table, labels.columns)
    values = values / values.sum(axis=1, keepdims=True)
    texts = ("text_id", "annotator", "split", "method", "source")
    tidy: dict[str, Any] = {name: as_text(column(table, name)) for name in texts}
    tidy |= {name: _as_labels(column(table, name), labels) for name in ("label", "predicted")}
    if labels.is_integer:  # never missing, so the plain type does
        tidy["predicted"] = tidy["predicted"].astype("int64")
    tidy |= dict(zip(labels.columns, values.T, strict=True))
    tidy["seed"] = numbers_of(column(table, "seed")).astype(np.int64)
    order = [*REQUIRED_COLUMNS, *labels.columns, *DEFAULTS]
    extra = {name: table[name] for name in table.columns if name not in order}
    return pd.DataFrame({**{name: tidy[name] for name in order}, **extra})


def _is_integer(name: str) -> bool:
    """Whether `name` is an integer in its usual spelling (``01`` and ``+1`` are other labels)."""
    return name.removeprefix("-").isdecimal() and str(int(name)) == name


def _as_labels(values: pd.Series, labels: LabelSpace) -> pd.Series:
    texts = labels_as_text(values, [str(name) for name in labels.names])
    if not labels.is_integer:
        return texts.astype("str")  # also where all are missing
    return pd.Series([pd.NA if pd.isna(text) else int(text) for text in texts], dtype="Int64")


def _plain(values: Sequence[Any] | pd.Series | np.ndarray) -> pd.Series:
    return pd.Series(values).reset_index(drop=True)


def check_ending(path: Path) -> str:
    """The ending of a file of PREDICTIONS, in lower case.

    Raises:
        DataError: It is none that can be read and written.
    """
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        what = f"unknown kind of file {ending!r}; wanted one of {', '.join(_ENDINGS)}"
        raise DataError(str(path), [what])
    return ending


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _read_csv(path: Path) -> pd.DataFrame:
    # Everything is read as text and only an empty cell is missing: ids such as "007" keep their
    # zeros, and people and labels called "NA" or "None" stay what they are.
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig",
            index_col=False,
        )


def _read_jsonl(path: Path) -> pd.DataFrame:
    records, broken = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict):
            records.append(record)
        else:
            broken.append(number)
    if broken:
        fault = Fault("a line is not a JSON object", tuple(broken), where="line")
        raise DataError(str(path), [fault])
    return pd.DataFrame(records, dtype=object)
