"""Everything that can be wrong with PREDICTIONS, each kind of fault found in one function.

They work on tables in which columns are missing, so that all faults can be reported together.
"""

from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from hyperadapters.errors import Fault

Source = Literal["known", "adapted", "attributes", "population"]

SOURCES: tuple[Source, ...] = ("known", "adapted", "attributes", "population")
PREFIX = "p_"
REQUIRED_COLUMNS = ("text_id", "annotator", "label", "predicted")
DEFAULTS: dict[str, Any] = {"split": "test", "method": "unknown", "seed": 0, "source": "known"}
KEY_COLUMNS = ("text_id", "annotator", "split", "method", "seed")
SUM_TOLERANCE = 1e-3
MAX_EXAMPLES = 5


def faults_of(table: pd.DataFrame) -> list[Fault]:
    """Every fault of a table whose column names are unique and whose defaults are filled in."""
    return [
        *column_faults(table),
        *_cell_faults(table),
        *_probability_faults(table),
        *_label_faults(table),
        *_repetition_faults(table),
    ]


def column_faults(table: pd.DataFrame) -> list[Fault]:
    """Columns that are missing, and a table without rows."""
    faults = [
        Fault(f"column {name!r} is missing") for name in REQUIRED_COLUMNS if name not in table
    ]
    found = [PREFIX + name for name in label_names(table)]
    if not found:
        faults.append(Fault("there are no probability columns p_<label>"))
    elif len(found) < 2:
        faults.append(Fault(f"at least two p_<label> columns are needed, found only {found[0]}"))
    if not len(table):
        faults.append(Fault("there are no rows"))
    return faults


def _cell_faults(table: pd.DataFrame) -> list[Fault]:
    faults = []
    for name in ("text_id", "annotator", "predicted", *DEFAULTS):
        if name in table:
            faults += _fault(f"column {name!r} is empty", _is_missing(column(table, name)))
    seeds, sources = column(table, "seed"), as_text(column(table, "source"))
    whole = numbers_of(seeds) % 1 == 0  # false for NaN
    faults += _fault("column 'seed' is not a whole number", ~whole & ~_is_missing(seeds))
    strange = ~np.isin(sources.to_numpy(object), SOURCES) & ~_is_missing(sources)
    got, wanted = _examples(sources, strange), ", ".join(SOURCES)
    return faults + _fault(f"column 'source' holds {got}, wanted one of {wanted}", strange)


def _probability_faults(table: pd.DataFrame) -> list[Fault]:
    values = probabilities_of(table)
    if not values.shape[1]:
        return []
    broken = ~np.all(np.isfinite(values), axis=1)
    negative = np.any(values < 0, axis=1) & ~broken
    sums = np.where(broken | negative, 1.0, values.sum(axis=1, where=np.isfinite(values)))
    off = np.abs(sums - 1) > SUM_TOLERANCE
    first = sums[off][0] if off.any() else 1.0
    return [
        *_fault("a probability is missing, infinite or not a number", broken),
        *_fault("a probability is negative", negative),
        *_fault(f"the probabilities sum to {first:.4g} instead of 1", off),
    ]


def _label_faults(table: pd.DataFrame) -> list[Fault]:
    names = label_names(table)
    found = ", ".join(PREFIX + name for name in names)
    faults = []
    for name in ("label", "predicted"):
        if name in table and names:
            texts = labels_as_text(column(table, name), names)
            unknown = ~np.array([text in names for text in texts], bool) & ~_is_missing(texts)
            what = f"column {name!r} holds {_examples(texts, unknown)}, which have no column "
            faults += _fault(what + f"p_<label> (found {found})", unknown)
    return faults


def _repetition_faults(table: pd.DataFrame) -> list[Fault]:
    if not set(table.columns) >= set(KEY_COLUMNS):
        return []
    keys = pd.DataFrame({name: as_text(column(table, name)) for name in KEY_COLUMNS})
    repeated = keys.duplicated().to_numpy(bool) & keys.notna().all(axis=1).to_numpy(bool)
    return _fault("the same text, annotator, split, method and seed occur before", repeated)


def label_names(frame: pd.DataFrame) -> list[str]:
    """What the names of the p_ columns say after the prefix, in the order of the columns."""
    names = [str(name) for name in frame.columns]
    return [name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)]


def column(table: pd.DataFrame, name: str) -> pd.Series:
    """The column of that name, whose uniqueness was checked before."""
    return cast(pd.Series, table[name])


def probabilities_of(
    table: pd.DataFrame, columns: Sequence[str] | None = None
) -> Float[np.ndarray, "rows labels"]:
    """The p_ columns (or `columns`) as float64; NaN where a cell is not a number."""
    columns = [PREFIX + name for name in label_names(table)] if columns is None else columns
    values = np.empty((len(table), len(columns)))
    for i, name in enumerate(columns):
        values[:, i] = numbers_of(column(table, name))
    return values


def numbers_of(values: pd.Series) -> Float[np.ndarray, " rows"]:
    """Cells as float64, NaN where a cell is not a number (but a list in JSONL, say)."""
    if values.dtype == object:
        values = values.map(lambda value: value if pd.api.types.is_scalar(value) else None)
    numbers = cast(pd.Series, pd.to_numeric(values, errors="coerce"))
    return numbers.to_numpy(np.float64, na_value=np.nan)


def as_text(values: pd.Series) -> pd.Series:
    """Cells as `str`, missing ones missing; ``1.0`` reads ``1``.

    A missing cell turns the integers of its column into floats, and they must still find theirs.
    """

    def text(value: object) -> str:
        is_float = isinstance(value, float | np.floating)
        return str(int(value)) if is_float and float(value).is_integer() else str(value)

    cells = zip(values.tolist(), _is_missing(values), strict=True)
    texts = [None if empty else text(value) for value, empty in cells]
    try:
        return pd.Series(texts, dtype="str")
    except UnicodeEncodeError:  # half a character, which no file can hold, is spelt out
        texts = [t if t is None else t.encode("utf-8", "backslashreplace").decode() for t in texts]
        return pd.Series(texts, dtype="str")


def labels_as_text(values: pd.Series, names: Sequence[str]) -> pd.Series:
    """Labels as they are spelt in `names`; ``1.0`` in a text file may mean ``1``, see `as_text`."""
    known = set(names)
    texts = as_text(values)
    return texts.map(
        lambda text: text if text in known else text.removesuffix(".0"), na_action="ignore"
    )


def _is_missing(values: pd.Series) -> Bool[np.ndarray, " rows"]:
    return values.isna().to_numpy(bool)


def _examples(texts: pd.Series, wrong: Bool[np.ndarray, " rows"]) -> list[str]:
    return sorted(set(texts.to_numpy(object)[wrong]))[:MAX_EXAMPLES]


def _fault(what: str, wrong: Bool[np.ndarray, " rows"]) -> list[Fault]:
    """The fault of the rows that are wrong, counted from 1 as a reader counts; none if none is."""
    rows = np.flatnonzero(wrong) + 1
    return [Fault(what, tuple(rows.tolist()))] if len(rows) else []
