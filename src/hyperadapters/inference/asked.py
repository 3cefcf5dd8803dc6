"""Texts as users hand them over, made a table."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from hyperadapters.errors import DataError
from hyperadapters.tables.frames import column_of

Texts = Sequence[str] | Sequence[Sequence[str]] | pd.DataFrame
"""Texts, pairs of texts, or a table with a column `text`, for pairs also `text_pair`."""


def as_table(texts: Texts, *, pairs: bool) -> pd.DataFrame:
    """The texts as a table with a column `text`, for pairs also `text_pair`.

    Args:
        texts: See `Texts`; a single text may stand for itself.
        pairs: Whether pairs of texts are wanted, rather than single ones.

    Raises:
        DataError: There is no text, one is empty or no string, or there are pairs where single
            texts are wanted or the other way round.
    """
    table = texts if isinstance(texts, pd.DataFrame) else _table_of(texts)
    if "text" not in table:
        raise DataError("texts", ["there is no column 'text'"])
    if not len(table):
        raise DataError("texts", ["there is no text"])
    if pairs and "text_pair" not in table:
        what = "the run was trained on pairs of texts, and these are single texts"
        hint = "Give both: (first, second), or the columns text and text_pair (--text A --text B)."
        raise DataError("texts", [what], hint)
    if not pairs and "text_pair" in table:
        what = "the run was trained on single texts, and these are pairs"
        raise DataError("texts", [what], "Leave the column text_pair out.")
    for name in ("text", "text_pair") if pairs else ("text",):
        _check_texts(column_of(table, name).tolist(), "second text" if name != "text" else "text")
    return table


def _table_of(texts: Sequence[Any]) -> pd.DataFrame:
    given = [texts] if isinstance(texts, str) else list(texts)
    is_pair = [isinstance(text, tuple | list) for text in given]
    if not any(is_pair):
        return pd.DataFrame({"text": pd.Series(given, dtype=object)})
    for number, text in enumerate(given, start=1):
        if not isinstance(text, tuple | list) or len(text) != 2:
            what = f"text {number} is no pair (first, second), and others are"
            raise DataError("texts", [what])
    return pd.DataFrame(given, columns=pd.Index(["text", "text_pair"]), dtype=object)


def _check_texts(values: list[Any], what: str) -> None:
    for number, text in enumerate(values, start=1):
        if not isinstance(text, str) or not text.strip():
            raise DataError("texts", [f"{what} {number} is empty or not a string"])
