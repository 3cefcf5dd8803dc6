"""Several labels by one annotator for one text, taken as one label.

Someone who says that a hypothesis may be neutral or a contradiction has given one answer, a set of
labels. A set is a label of its own here, ``contradiction+neutral``, so that one text and one
annotator remain one row (the label powerset of Tsoumakas & Katakis 2007,
https://doi.org/10.4018/jdwm.2007070101).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from hyperadapters.labels import SEPARATOR
from hyperadapters.tables.cells import is_missing
from hyperadapters.tables.faults import FaultList, RowOrigin
from hyperadapters.tables.frames import column_of

SHOWN = ("text_id", "text", "text_pair", "annotator", "split")


def joined(labels: Iterable[str]) -> str:
    """The label that stands for several: each once, in the order of the alphabet.

    Raises:
        ValueError: A label holds the `SEPARATOR` itself, so that it could not be told from a set.
    """
    several = sorted(set(labels))
    wrong = [label for label in several if SEPARATOR in label]
    if wrong and len(several) > 1:
        raise ValueError(f"label {wrong[0]!r} holds {SEPARATOR!r}, which joins several labels")
    return SEPARATOR.join(several)


def join_labels(frame: pd.DataFrame, origin: RowOrigin) -> tuple[pd.DataFrame, RowOrigin]:
    """One row for each annotator and text, where the labels in several rows differ.

    Rows with a label that is missing, or that stands there twice, are left for whoever checks the
    table: they are a mistake, not an answer. The other columns are those of the first row.

    Args:
        frame: A table under our column names, not checked yet.
        origin: Where its rows stand.

    Returns:
        The table, its rows in the order of the first of each, and where they stand.

    Raises:
        DataError: A label that would be joined holds the `SEPARATOR`.
    """
    names = [name for name in SHOWN if name in frame]
    if "label" not in frame or not {"text_id", "annotator"} <= set(names):
        return frame, origin
    frame = frame.reset_index(drop=True)
    labels = column_of(frame, "label").tolist()
    keep = np.ones(len(frame), bool)
    faults = FaultList(origin)
    answers = list(labels)
    for rows in frame.groupby(names, sort=False, dropna=False).indices.values():
        given = [labels[row] for row in rows]
        words = [str(label).strip() for label in given]
        if len(rows) == 1 or any(map(is_missing, given)) or len(set(words)) < len(words):
            continue
        first, *others = sorted(rows)
        try:
            answers[first] = joined(words)
        except ValueError as error:
            faults.add(str(error), np.asarray(rows))
            continue
        keep[others] = False
    faults.raise_any("Rename it.")
    told = frame.assign(label=pd.Series(answers, index=frame.index, dtype=object))
    return told.loc[keep].reset_index(drop=True), origin.take(np.flatnonzero(keep))
