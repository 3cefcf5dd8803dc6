"""PREDICTIONS taken apart: the labelled rows of each method, seed and split."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from hyperadapters.errors import DataError
from hyperadapters.evaluation.counts import CodedRows, Drawn
from hyperadapters.tables.frames import column_of
from hyperadapters.tables.predictions import check_predictions, label_space_of

KEYS = ("method", "seed", "split")


@dataclass(frozen=True)
class Place:
    """The labelled rows of one method, seed and split.

    Attributes:
        key: ``method``, ``seed`` and ``split``.
        rows: The rows as integers.
        annotators: Name of the annotator of each index.
    """

    key: dict[str, Any]
    rows: CodedRows
    annotators: np.ndarray


def places_of(predictions: pd.DataFrame, drawn: Drawn = "texts") -> Iterator[Place]:
    """Every method, seed and split of which rows have a label, in that order.

    Args:
        predictions: PREDICTIONS.
        drawn: See `CodedRows`.

    Raises:
        DataError: The table is at fault, or no row has a label.
    """
    table = check_predictions(predictions, source="predictions")
    labels = label_space_of(table)
    table = table.loc[column_of(table, "label").notna()]
    if table.empty:
        raise DataError("predictions", ["no row has a label, so there is nothing to score"])
    for key, part in table.groupby(list(KEYS), sort=True):
        names = np.unique(column_of(part, "annotator").to_numpy(object))
        place: dict[str, Any] = dict(zip(KEYS, cast(tuple[Any, ...], key), strict=True))
        yield Place(place, CodedRows.of(part, labels, drawn), names)
