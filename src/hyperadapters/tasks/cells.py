"""Cells as texts: what a template and a table of labels compare."""

import math
from numbers import Integral, Real
from typing import Any


def cell_text(value: Any) -> str | None:
    """A cell as text; None where it is missing.

    Whole numbers are written without a fraction and truth values in lower case, so that ``1``,
    ``1.0`` and ``"1"``, and ``True`` and ``"True"``, are the same label. Texts
    are kept as they are.
    """
    if value is None or isinstance(value, str):
        return value
    # numpy's truth values are no `bool`.
    if type(value).__name__ in ("bool", "bool_"):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        number = float(value)
        if math.isnan(number):
            return None
        return str(int(number)) if number.is_integer() else repr(number)
    # pandas' own sign for a missing cell is of none of these types.
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)


def label_text(value: Any) -> str | None:
    """A cell of a label column as a key of a label table: stripped, numbers and truth values plain.

    ``" 1 "`` and ``"1.0"`` become ``"1"``; None where the cell is missing or empty.
    """
    text = cell_text(value)
    text = "" if text is None else text.strip()
    if text in ("True", "False", "TRUE", "FALSE"):
        return text.lower()
    whole, point, fraction = text.partition(".")
    if point and fraction and not fraction.strip("0") and whole.removeprefix("-").isdecimal():
        return whole
    return text or None


def number_of(value: Any) -> float | None:
    """A cell as a finite number; None where it is none."""
    text = cell_text(value)
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    # float() also reads "1_000" and "１"; what a model or a file writes should be plain.
    if not math.isfinite(number) or "_" in (text or "") or not (text or "").isascii():
        return None
    return number
