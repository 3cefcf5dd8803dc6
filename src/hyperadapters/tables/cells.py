"""Cells made plain, one column at a time: texts, ids, labels, split names.

Every function takes a column as it was read (any type), notes in a `FaultList` the rows that cannot
be used, and returns the column in the type that ANNOTATIONS promises. Where rows are at fault
the returned cells mean nothing; the caller raises before anyone sees them.
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.tables.faults import FaultList

SPLITS = ("train", "dev", "test")
SPLIT_SYNONYMS = {"validation": "dev", "val": "dev", "valid": "dev"}

# Zero-width characters and the byte order mark: nobody sees them, so they never tell ids apart.
_INVISIBLE = r"[\s\u200b\u200c\u200d\u2060\ufeff]+"
_EDGES = re.compile(rf"\A{_INVISIBLE}|{_INVISIBLE}\Z")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_WHOLE_ID = re.compile(r"-?\d+\.0", re.ASCII)
_DIGITS = re.compile(r"-?\d+", re.ASCII)


def strip_invisible(text: str) -> str:
    """The text without white space and zero-width characters at its ends."""
    return _EDGES.sub("", text)


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN, NaT, or only invisible characters."""
    if isinstance(value, str):
        return not strip_invisible(value)
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def clean_texts(column: pd.Series, faults: FaultList) -> pd.Series:
    """Texts, kept as they are; empty ones and cells that are no text are faults."""
    values = column.tolist()
    missing = np.array(_each(is_missing, values), bool)
    wrong = np.array([not isinstance(value, str) for value in values], bool) & ~missing
    faults.add(f"column '{column.name}' is empty", missing)
    faults.add(f"column '{column.name}' holds something that is not text", wrong)
    values = [None if bad else v for v, bad in zip(values, missing | wrong, strict=True)]
    return _strings(values, column.name, faults)


def clean_ids(column: pd.Series, faults: FaultList) -> pd.Series:
    """Ids as strings without invisible edges; 17, 17.0 and "17" are the same id."""
    values = column.tolist()
    missing = np.array(_each(is_missing, values), bool)
    ids = [None if gone else v for v, gone in zip(_each(_id, values), missing, strict=True)]
    wrong = np.array([value is None for value in ids], bool) & ~missing
    faults.add(f"column '{column.name}' is empty", missing)
    faults.add(f"column '{column.name}' holds something that is no name or number", wrong)
    # "17.0" is a number that passed through a float column, unless the ids are like "1.0", "1.1".
    given = [value for value in ids if value is not None]
    if all(_WHOLE_ID.fullmatch(value) or _DIGITS.fullmatch(value) for value in given):
        ids = [value if value is None else value.removesuffix(".0") for value in ids]
    return _strings(ids, column.name, faults)


def clean_splits(column: pd.Series, faults: FaultList) -> pd.Series | None:
    """Split names in lower case, `dev` for its synonyms; None if no row has a split."""
    values = column.tolist()
    missing = np.array(_each(is_missing, values), bool)
    if missing.all():
        return None
    names = [
        None if gone else name
        for name, gone in zip(_each(_split_name, values), missing, strict=True)
    ]
    unknown = np.array([name is not None and name not in SPLITS for name in names], bool)
    faults.add("column 'split' is empty here, but not in other rows", missing)
    got = ", ".join(sorted({f"'{values[row]}'" for row in np.flatnonzero(unknown)})[:3])
    faults.add(f"split {got} is not one of train, dev, test", unknown)
    return _strings(names, "split", faults)


def clean_labels(column: pd.Series, faults: FaultList) -> pd.Series:
    """Labels, all int64 or all strings.

    Numbers written as text become integers, booleans 0 and 1. Missing labels, fractions, NaN and
    infinity, and a mixture of numbers and words are faults.
    """
    labels = _each(_label, column.tolist())
    words = {label.lower() for label in labels if isinstance(label, str)}
    if words and words <= {"true", "false"}:
        labels = [int(v.lower() == "true") if isinstance(v, str) else v for v in labels]
    for problem in _LabelProblem:
        faults.add(problem.value, np.array([label is problem for label in labels], bool))
    numbers = np.array([isinstance(label, int) for label in labels], bool)
    named = np.array([isinstance(label, str) for label in labels], bool)
    if numbers.any() and named.any():
        number, name = labels[int(numbers.argmax())], labels[int(named.argmax())]
        fewer = numbers if numbers.sum() < named.sum() else named
        faults.add(f"labels mix numbers and words, e.g. {number} and '{name}'", fewer)
    if numbers.all():
        return pd.Series(labels, index=column.index, dtype="int64", name="label")
    if numbers.any():
        return pd.Series(labels, index=column.index, dtype=object, name="label").where(numbers)
    kept = [label if isinstance(label, str) else None for label in labels]
    return _strings(kept, "label", faults)


class _LabelProblem(Enum):
    """Stands in the place of a label that cannot be used."""

    MISSING = "column 'label' is empty"
    FRACTION = "label is a fractional number; labels are whole numbers or words: round or bin it"
    INFINITE = "label is not a finite number"
    TOO_LARGE = "label is a whole number of more than 64 bits"
    NEITHER = "label is neither a number nor a word"


def _label(value: Any) -> Any:
    if is_missing(value):
        return _LabelProblem.MISSING
    if isinstance(value, str):
        return _label_of_text(strip_invisible(value))
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return _fitting(int(value))
    return (
        _label_of_real(float(value)) if isinstance(value, Real | Decimal) else _LabelProblem.NEITHER
    )


def _label_of_text(text: str) -> Any:
    if _DIGITS.fullmatch(text):
        return _fitting(int(text)) if len(text) < 30 else _LabelProblem.TOO_LARGE
    if _NUMBER.fullmatch(text):
        return _label_of_real(float(text))
    return _LabelProblem.INFINITE if _NOT_FINITE.fullmatch(text) else text


def _label_of_real(number: float) -> Any:
    if not math.isfinite(number):
        return _LabelProblem.INFINITE
    return _fitting(int(number)) if number.is_integer() else _LabelProblem.FRACTION


def _fitting(number: int) -> Any:
    return number if -(2**63) <= number < 2**63 else _LabelProblem.TOO_LARGE


def _split_name(value: Any) -> str:
    name = strip_invisible(str(value)).lower()
    return SPLIT_SYNONYMS.get(name, name)


def _id(value: Any) -> str | None:
    if isinstance(value, str):
        return strip_invisible(value)
    if isinstance(value, int | np.integer | np.bool_):
        return str(value)
    if not isinstance(value, Real | Decimal) or not math.isfinite(value):
        return None
    return str(math.floor(value)) if value == math.floor(value) else str(value)


def _strings(values: list[str | None], name: Any, faults: FaultList) -> pd.Series:
    """A string column; half characters (lone surrogates), which no file can hold, are faults."""
    broken = ~np.array(_each(_encodable, values), bool)
    faults.add(f"column '{name}' holds half a character (a lone surrogate)", broken)
    values = [None if bad else value for value, bad in zip(values, broken, strict=True)]
    return pd.Series(values, dtype="str", name=name)


def _encodable(text: str | None) -> bool:
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        return False
    return True


def _each(function: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    """The function of every value, worked out once for equal ones: ratings repeat themselves."""
    known: dict[Any, Any] = {}
    results = []
    for value in values:
        # Of other types, different values may be equal (1, 1.0, True) or have no hash.
        if type(value) not in (str, int):
            results.append(function(value))
            continue
        if value not in known:
            known[value] = function(value)
        results.append(known[value])
    return results
