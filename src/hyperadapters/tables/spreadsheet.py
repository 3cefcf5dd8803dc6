"""Tables that people will open in a spreadsheet, where a cell may be taken for a formula."""

import re

import pandas as pd

# What spreadsheets take for the beginning of a formula, whatever stands before it in the line.
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*%?\s*")


def for_spreadsheets(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before words that a spreadsheet would run as a formula.

    Texts and names come from anybody: ``=HYPERLINK(...)`` in a comment must stay a comment when
    somebody opens the file (OWASP, https://owasp.org/www-community/attacks/CSV_Injection). Numbers,
    also those that are written as words, are left as they are.

    Args:
        table: Any table; it is not changed. Names of columns are treated like cells.
    """
    out = table.rename(columns=_safe)
    for place, name in enumerate(table.columns):
        column = table.iloc[:, place]
        if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
            out.isetitem(place, column.map(_safe, na_action="ignore").rename(_safe(name)))
    return out


def _safe(value: object) -> object:
    """A cell that is no formula."""
    if not isinstance(value, str) or not _FORMULA.match(value) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"
