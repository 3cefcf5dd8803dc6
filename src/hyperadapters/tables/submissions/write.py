"""PREDICTIONS → the file that a shared task or a framework expects."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.labels import LabelSpace
from hyperadapters.tables.aggregates import aggregates_of, moments_of
from hyperadapters.tables.frames import column_of
from hyperadapters.tables.predictions import check_predictions, label_space_of
from hyperadapters.tables.scores import replacing
from hyperadapters.tables.submissions import sets
from hyperadapters.tables.submissions.formats import as_labels, check_format, official_ids

DIGITS = 10
"""Decimals of a probability."""


def write_submission(
    predictions: pd.DataFrame,
    path: Path,
    format: str,
    *,
    split: str = "test",
    method: str | None = None,
    seed: int | None = None,
    labels: Sequence[str | int] | None = None,
    overwrite: bool = False,
) -> int:
    """Write the predictions of one method and seed as `FORMATS` says.

    Texts stand in the order of their first rows, and the annotators of a text in the order of its
    rows: the order of the shared task's file if that is what was predicted. The probabilities of a
    text are the mean over its annotators; its majority is the label predicted most often, of equals
    that of the higher mean probability. Where labels are sets, files of 2025 have a list for every
    single label, as those of VariErrNLI.

    Args:
        predictions: PREDICTIONS.
        path: The file; its folder is made where there is none.
        format: Name of the format.
        split: The split to write.
        method: The method; may be left out where there is only one.
        seed: The seed; may be left out where there is only one.
        labels: The labels of the task in the order of the file: the single ones of sets, or, for a
            file without lists of lists, all labels as they stand. By default those of the table in
            ascending order. Labels that the table does not know have probability 0.
        overwrite: Whether a file that is already there may be replaced.

    Returns:
        Number of texts in the file.

    Raises:
        DataError: The table is at fault, or has no such rows.
        ConfigError: Unknown format; several methods or seeds; labels that do not fit.
        RunError: The file is there already, or cannot be written.
    """
    check_format(format)
    table = check_predictions(predictions, source="predictions")
    rows = _chosen(table, {"split": split, "method": method, "seed": seed})
    space = label_space_of(table)
    whole = labels is not None and set(map(str, space.names)) <= set(map(str, labels))
    of_sets = format in ("lewidi-soft", "lewidi-perspectivist") and not whole
    single = space.parts if of_sets and space.parts else space.names
    names = as_labels(labels or single, single)
    if unknown := [name for name in single if name not in names]:
        raise ConfigError(f"the predictions have the label {unknown[0]!r}, which labels lacks")
    text = _WRITERS[format](rows, space, names)
    with replacing(Path(path), overwrite=overwrite) as part:
        part.write_text(text, encoding="utf-8", newline="")
    return int(column_of(rows, "text_id").nunique())


def _chosen(table: pd.DataFrame, wanted: dict[str, str | int | None]) -> pd.DataFrame:
    """The rows of one split, method and seed."""
    for name, value in wanted.items():
        there = sorted(set(column_of(table, name)))
        if value is None and len(there) > 1:
            raise ConfigError(f"the predictions have several {name}s, {there}; choose one")
        if value is not None:
            table = table.loc[column_of(table, name) == value]
            if table.empty:
                what = f"there are no rows of {name} {value!r}; there are {there}"
                raise DataError("predictions", [what])
    return table.reset_index(drop=True)


def _soft(rows: pd.DataFrame, labels: LabelSpace, names: Sequence[str | int]) -> str:
    ids, aggregates = _by_text(rows, labels)
    if _are_sets(labels, names):
        shares = aggregates[list(labels.columns)].to_numpy(np.float64) @ _members(labels, names)
        cells = [sets.soft_cells(row, DIGITS) for row in np.clip(shares, 0, 1)]
    else:
        cells = [json.dumps(row) for row in _probabilities(aggregates, labels, names).tolist()]
    return _lines(zip(ids, cells, strict=True))


def _perspectivist(rows: pd.DataFrame, labels: LabelSpace, names: Sequence[str | int]) -> str:
    ids = official_ids(column_of(rows, "text_id"), column_of(rows, "split"))
    given = column_of(rows, "predicted").groupby(ids, sort=False)
    if _are_sets(labels, names):
        held = _members(labels, names)
        cells = [
            (name, sets.perspectivist_cells(held[labels.encode(part)])) for name, part in given
        ]
    else:
        cells = [(name, json.dumps(part.tolist())) for name, part in given]
    return _lines([str(name), cell] for name, cell in cells)


def _edition_2023(rows: pd.DataFrame, labels: LabelSpace, names: Sequence[str | int]) -> str:
    if len(names) != 2:
        raise ConfigError(f"lewidi-2023 is for two labels, got {list(names)}")
    _, aggregates = _by_text(rows, labels)
    values = _probabilities(aggregates, labels, names).tolist()
    majority = column_of(aggregates, "predicted").tolist()
    return _lines([str(hard), *map(repr, p)] for hard, p in zip(majority, values, strict=True))


def _perseval(rows: pd.DataFrame, labels: LabelSpace, names: Sequence[str | int]) -> str:
    names_of = {"user_id": "annotator", "text_id": "text_id", "label": "predicted"}
    chosen = pd.DataFrame({theirs: column_of(rows, ours) for theirs, ours in names_of.items()})
    return chosen.to_csv(index=False, lineterminator="\n")


_WRITERS: dict[str, Callable[[pd.DataFrame, LabelSpace, Sequence[str | int]], str]] = {
    "lewidi-soft": _soft,
    "lewidi-perspectivist": _perspectivist,
    "lewidi-2023": _edition_2023,
    "perseval": _perseval,
}


def _by_text(rows: pd.DataFrame, labels: LabelSpace) -> tuple[list[str], pd.DataFrame]:
    """Ids as the task has them and aggregates, one row per text."""
    aggregates = aggregates_of(moments_of(rows, labels), labels)
    first = rows.drop_duplicates("text_id")
    ids = official_ids(column_of(first, "text_id"), column_of(first, "split"))
    return ids.tolist(), aggregates


def _probabilities(
    aggregates: pd.DataFrame, labels: LabelSpace, names: Sequence[str | int]
) -> Float[np.ndarray, "texts labels"]:
    """Mean probabilities in the order of `names`; 0 for labels that were not known."""
    values = np.zeros((len(aggregates), len(names)))
    for name, column in zip(labels.names, labels.columns, strict=True):
        values[:, names.index(name)] = column_of(aggregates, column).to_numpy(np.float64)
    return np.round(values, DIGITS)


def _are_sets(labels: LabelSpace, names: Sequence[str | int]) -> bool:
    """Whether the file is of the single labels of sets, not of labels as they stand."""
    return bool(labels.parts) and not set(labels.names) <= set(names)


def _members(labels: LabelSpace, names: Sequence[str | int]) -> Bool[np.ndarray, "labels names"]:
    """Which of the single labels each label holds."""
    held = {part: labels.members[:, i] for i, part in enumerate(labels.parts)}
    return np.stack([held.get(str(name), np.zeros(len(labels), bool)) for name in names], axis=1)


def _lines(cells: Iterable[Sequence[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in cells)
