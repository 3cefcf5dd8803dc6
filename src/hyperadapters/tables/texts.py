"""When two texts are the same text, and which texts stand in more than one split."""

from typing import cast

import pandas as pd

from hyperadapters.tables.frames import column_of, rows_of


def normalise_text(text: str, text_pair: str | None = None) -> str:
    """The form in which texts are compared: case folded, runs of white space made one space.

    Args:
        text: A text, or the first of a pair.
        text_pair: The second text of a pair.

    Returns:
        The normalised text; for pairs both, kept apart by a character that neither can hold
        (the unit separator counts as white space, so normalising removes it).
    """
    parts = (text,) if text_pair is None else (text, text_pair)
    return "\x1f".join(" ".join(part.split()).casefold() for part in parts)


def text_keys(frame: pd.DataFrame) -> pd.Series:
    """Normalised text of every row of ANNOTATIONS (columns `text`, perhaps `text_pair`).

    Returns:
        Strings on the index of `frame`; equal exactly where two rows show the same text.
    """
    pairs = frame["text_pair"] if "text_pair" in frame else [None] * len(frame)
    # Ratings repeat texts many times: normalise every text once.
    known: dict[tuple[str, str | None], str] = {}
    keys = []
    for shown in zip(frame["text"], pairs, strict=True):
        if shown not in known:
            known[shown] = normalise_text(*shown)
        keys.append(known[shown])
    return pd.Series(keys, index=frame.index, dtype="str", name="text_key")


def leaking_rows(frame: pd.DataFrame) -> pd.Series:
    """Whether the text of a row also stands in another split, whatever its id there.

    Returns:
        Booleans on the index of `frame`; all false without a column `split`.
    """
    if "split" not in frame:
        return pd.Series(False, index=frame.index)
    n_splits = column_of(frame, "split").groupby(text_keys(frame)).transform("nunique")
    return cast(pd.Series, n_splits) > 1


def find_leaks(frame: pd.DataFrame) -> list[str]:
    """Ids of the texts that stand in more than one split, in order of appearance.

    Args:
        frame: Checked ANNOTATIONS (columns `text_id, text`, perhaps `text_pair`, `split`).

    Returns:
        Each `text_id` once. Two ids of one text are both listed.
    """
    return column_of(rows_of(frame, leaking_rows(frame)), "text_id").unique().tolist()
