"""A file of predictions as others make them, beside the ratings it is about → PREDICTIONS."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from hyperadapters.errors import DataError, Fault
from hyperadapters.labels import LabelSpace
from hyperadapters.tables.frames import column_of, columns_of, rows_of
from hyperadapters.tables.prediction_faults import MAX_EXAMPLES
from hyperadapters.tables.predictions import check_predictions, predictions_frame
from hyperadapters.tables.submissions import sets
from hyperadapters.tables.submissions.formats import check_format, official_ids
from hyperadapters.tables.submissions.known import TaskLabels

SUM_TOLERANCE = 0.02
"""How far probabilities may be from 1 in a file in which they were rounded."""

_HINT = "Name only the ratings of the split that was predicted, in the order of the task's file."
_LABELS_HINT = "Name all labels of the task with --labels where some do not occur in the ratings."
_PERSEVAL = {
    "annotator": ("user_id", "user"),
    "text_id": ("text_id", "instance_id"),
    "label": ("label", "predictions"),
}


def read_submission(
    path: Path,
    format: str,
    truth: pd.DataFrame,
    *,
    labels: Sequence[str | int] | None = None,
    method: str | None = None,
) -> pd.DataFrame:
    """PREDICTIONS of a file and of the ratings that its predictions are about.

    A file with one distribution for a text says the same of everyone who rated it. One with labels
    is as sure of them as can be (probability 1), so that metrics of probabilities mean nothing;
    distributions over the people of a text (`soft_manhattan` and others) are those of its labels.

    A label that is none of the task's is refused, for it would make another scale of the task's:
    the labels are those that are named and those of the ratings; where none are named and these are
    three or more integers, also the integers between the lowest and the highest.

    Args:
        path: The file.
        format: Name of the format, see `FORMATS`.
        truth: ANNOTATIONS: who labelled which text, and how. Ratings of splits of which the file
            holds nothing are left out.
        labels: The labels of the task in the order of the file; by default those of the ratings in
            ascending order. Words beside the integers of the ratings are answers that are always
            wrong, such as those of a language model that are no label; all labels are text then.
        method: Name of the method; by default that of the file without its ending.

    Returns:
        One row for every rating that was predicted; seed 0, source ``known``.

    Raises:
        DataError: The file cannot be read, does not fit the ratings, or has a label that is none of
            the task's.
        ConfigError: Unknown format, or labels that do not fit.
    """
    check_format(format)
    path = Path(path)
    given = sorted(set(column_of(truth, "label").dropna()))
    task = TaskLabels.of(labels, given)
    said = _READERS[format](_File.of(path), _Truth.of(truth), task)
    names = said.names or task.names
    every = {*names, *said.labels, *given}
    integers = all(isinstance(name, int) for name in every)
    space = LabelSpace.of(sorted(every) if integers else sorted(map(str, every)))
    frame = predictions_frame(
        column_of(said.ratings, "text_id"),
        column_of(said.ratings, "annotator"),
        _widened(said, names, space),
        space,
        label=column_of(said.ratings, "label").tolist(),
        split=column_of(said.ratings, "split"),
        method=method or path.stem,
    )
    if len(said.labels):
        frame["predicted"] = space.decode(space.encode(pd.Series(said.labels)))
    return check_predictions(frame, source=str(path))


@dataclass(frozen=True)
class _File:
    """The lines of a file that hold something.

    Attributes:
        source: Its name in errors.
        lines: The lines.
        numbers: Their numbers, from 1.
    """

    source: str
    lines: list[str]
    numbers: list[int]

    @classmethod
    def of(cls, path: Path) -> "_File":
        source = str(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise DataError(source, ["there is no such file"]) from None
        except UnicodeDecodeError:
            raise DataError(source, ["is not UTF-8 text; save it as UTF-8"]) from None
        except OSError as error:
            raise DataError(source, [f"cannot be read: {error.strerror or error}"]) from None
        kept = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
        if not kept:
            raise DataError(source, ["the file is empty"])
        return cls(source, [line.rstrip("\r") for _, line in kept], [n for n, _ in kept])

    def refuse(self, what: str, wrong: Sequence[bool], hint: str = _HINT) -> None:
        """Raise `DataError` that names the lines that are wrong, if any is."""
        bad = tuple(n for n, is_wrong in zip(self.numbers, wrong, strict=True) if is_wrong)
        if bad:
            raise DataError(self.source, [Fault(what, bad, "line")], hint)

    def labels(self, cells: Sequence[Sequence[Any]], task: TaskLabels) -> list[list[str | int]]:
        """The labels of every line as the task has them.

        Raises:
            DataError: Some are none of the task's.
        """
        found = [[task.find(one) for one in row] for row in cells]
        pairs = (pair for row in zip(cells, found, strict=True) for pair in zip(*row, strict=True))
        strange = sorted({str(said) for said, label in pairs if label is None})[:MAX_EXAMPLES]
        what = f"labels {strange} are not among those of the task ({task.shown})"
        self.refuse(what, [None in row for row in found], _LABELS_HINT)
        return [[label for label in row if label is not None] for row in found]


@dataclass(frozen=True)
class _Truth:
    """Ratings with a label, in the order of the table.

    Attributes:
        ratings: Columns `text_id, annotator, label, split`, and `key`: the task's own text id.
        keys: The task's ids of texts, each once, in the order of the table.
    """

    ratings: pd.DataFrame
    keys: pd.Index

    @classmethod
    def of(cls, truth: pd.DataFrame) -> "_Truth":
        ratings = truth.loc[column_of(truth, "label").notna()].reset_index(drop=True)
        split = column_of(ratings, "split") if "split" in ratings else None
        ratings = ratings.assign(
            key=official_ids(column_of(ratings, "text_id"), split),
            split="test" if split is None else split,
        )
        return cls(ratings, pd.Index(ratings["key"].drop_duplicates()))

    def check_unique(self, source: str) -> None:
        """Refuse a truth in which one id of the task stands for several texts."""
        texts = self.ratings.drop_duplicates(["key", "text_id"])
        keys = column_of(texts, "key")
        twice = keys[keys.duplicated()].tolist()
        if twice:
            what = f"id {twice[0]!r} stands for several texts of the ratings"
            raise DataError(source, [what], _HINT)

    def of_texts(self, source: str, ids: Sequence[str]) -> pd.DataFrame:
        """Ratings of the splits in which these texts lie; all of them must be among the ids."""
        mine = column_of(self.ratings, "key").isin(ids)
        splits = column_of(self.ratings, "split")[mine].tolist()
        ratings = rows_of(self.ratings, column_of(self.ratings, "split").isin(splits))
        left = ratings.loc[~ratings["key"].isin(ids), "key"].drop_duplicates().tolist()
        if left:
            what = f"{len(left)} texts of the ratings are not predicted, such as {left[0]!r}"
            raise DataError(source, [what], _HINT)
        return ratings.reset_index(drop=True)


@dataclass(frozen=True)
class _Said:
    """What a file says of every rating.

    Attributes:
        ratings: The ratings that are predicted.
        probabilities: Of each label, where the file has them.
        labels: The label of each rating, where the file has labels.
        names: The sets of labels, where answers are sets.
    """

    ratings: pd.DataFrame
    probabilities: Float[np.ndarray, "rows labels"] | None = None
    labels: Sequence[str | int] = ()
    names: Sequence[str] = ()


def _soft(file: _File, truth: _Truth, task: TaskLabels) -> _Said:
    ids, cells = _id_and_list(file, truth)
    every: Sequence[str] = ()
    if sets.is_nested(cells[0]):
        parts = _by_single_label(file, cells, task.names)
        every = sets.every_set(parts, truth.ratings["label"].unique())
        pairs = [any(len(one) != 2 for one in row) for row in cells]
        file.refuse("a label has not two probabilities, of not given and given", pairs)
        of_each = ([row[i] for row in cells] for i in range(len(parts)))
        given = [_distributions(file, part, ("not given", "given"))[:, 1] for part in of_each]
        values = sets.joint_probabilities(np.stack(given, axis=1))
    else:
        values = _distributions(file, cells, task.names)
    ratings = truth.of_texts(file.source, ids)
    place = pd.Index(ids).get_indexer(column_of(ratings, "key"))
    return _Said(ratings, values[place], names=every)


def _perspectivist(file: _File, truth: _Truth, task: TaskLabels) -> _Said:
    ids, cells = _id_and_list(file, truth)
    ratings = truth.of_texts(file.source, ids)
    people = column_of(ratings, "key").value_counts().to_dict()
    wanted = [people[name] for name in ids]
    every: Sequence[str] = ()
    if sets.is_nested(cells[0]):
        parts = _by_single_label(file, cells, task.names)
        every = sets.every_set(parts, truth.ratings["label"].unique())
        uneven = [len({len(one) for one in row}) > 1 for row in cells]
        file.refuse("the lists of a text have several lengths", uneven)
        odd = [any(cell not in (0, 1) for one in row for cell in one) for row in cells]
        file.refuse("a label is neither 0 (not given) nor 1 (given)", odd)
        cells = [sets.sets_of(every, row) for row in cells]
    else:
        cells = file.labels(cells, task)
    lengths = zip(cells, wanted, strict=True)
    wrong = [len(labels) != n for labels, n in lengths]
    first = wrong.index(True) if any(wrong) else 0
    what = f"{len(cells[first])} labels for a text of {wanted[first]} annotators"
    file.refuse(what, wrong)
    # The n-th label of a text is that of its n-th rating.
    place = ratings.groupby("key").cumcount()
    by_id = dict(zip(ids, cells, strict=True))
    said = [by_id[key][n] for key, n in zip(ratings["key"], place, strict=True)]
    return _Said(ratings, labels=said, names=every)


def _by_single_label(file: _File, cells: Sequence[Any], names: Sequence[str | int]) -> list[str]:
    """The single labels; every line must have one list for each."""
    parts = sets.single_labels(names)
    wrong = [len(row) != len(parts) for row in cells]
    first = wrong.index(True) if any(wrong) else 0
    what = f"{len(cells[first])} lists for the labels {', '.join(parts)}"
    file.refuse(f"{what} (name the labels of the task in their order)", wrong)
    return parts


def _edition_2023(file: _File, truth: _Truth, task: TaskLabels) -> _Said:
    parts = [line.split("\t") for line in file.lines]
    file.refuse("is not `label <tab> probability <tab> probability`", [len(p) != 3 for p in parts])
    if len(parts) != len(truth.keys):
        what = f"{len(parts)} lines for {len(truth.keys)} texts of the ratings"
        raise DataError(file.source, [what], _HINT)
    truth.check_unique(file.source)
    values = _distributions(file, [p[1:] for p in parts], task.names)
    majority = [one for (one,) in file.labels([[p[0].strip()] for p in parts], task)]
    text = truth.keys.get_indexer(column_of(truth.ratings, "key"))
    return _Said(truth.ratings, values[text], [majority[i] for i in text])


def _perseval(file: _File, truth: _Truth, task: TaskLabels) -> _Said:
    rows = [next(csv.reader([line])) for line in file.lines]
    header = [name.strip() for name in rows[0]]
    file.refuse("does not have as many fields as the header", [len(r) != len(header) for r in rows])
    place = {}
    for ours, theirs in _PERSEVAL.items():
        found = [header.index(name) for name in theirs if name in header]
        if not found:
            what = f"column {theirs[0]!r} is missing; there are {', '.join(header)}"
            raise DataError(file.source, [what])
        place[ours] = found[0]
    table = pd.DataFrame(
        {name: [row[i].strip() for row in rows[1:]] for name, i in place.items()}, dtype="str"
    )
    if table.empty:
        raise DataError(file.source, ["there are no rows below the header"])
    repeated = table.duplicated(["text_id", "annotator"]).tolist()
    file.refuse("the same text and annotator occur before", [False, *repeated], hint="")
    answers = file.labels([[], *([label] for label in table.pop("label"))], task)
    table["said"] = pd.Series([one for row in answers for one in row], dtype=object)
    known = set(truth.ratings["text_id"])
    own = known.isdisjoint(table["text_id"])
    if own:  # the ids that the task's file has, not those of our reader
        truth.check_unique(file.source)
        table = table.rename(columns={"text_id": "key"})
    pair = ["key" if own else "text_id", "annotator"]
    rated = pd.MultiIndex.from_frame(columns_of(truth.ratings, pair))
    without = ~pd.MultiIndex.from_frame(columns_of(table, pair)).isin(rated)
    what = f"{without.sum()} of {len(table)} predictions have no rating"
    hint = "Text ids and annotators must be those of the ratings."
    file.refuse(what, [False, *without.tolist()], hint)
    merged = truth.ratings.merge(table, on=pair)
    return _Said(merged, labels=merged["said"].tolist())


_READERS: dict[str, Callable[[_File, _Truth, TaskLabels], _Said]] = {
    "lewidi-soft": _soft,
    "lewidi-perspectivist": _perspectivist,
    "lewidi-2023": _edition_2023,
    "perseval": _perseval,
}


def _id_and_list(file: _File, truth: _Truth) -> tuple[list[str], list[list[Any]]]:
    """The id and the list in every line of a file of LeWiDi 2025."""
    parts = [line.split("\t", 1) for line in file.lines]
    lists = [_list(part[1]) if len(part) == 2 else None for part in parts]
    file.refuse("is not `id <tab> [numbers]`", [cells is None for cells in lists])
    nested = [sets.is_nested(cells or []) for cells in lists]
    file.refuse("is not a list like those before", [one != nested[0] for one in nested])
    ids = [part[0].strip() for part in parts]
    file.refuse("an id occurs before", pd.Series(ids).duplicated().tolist())
    truth.check_unique(file.source)
    file.refuse("the ratings have no text of this id", [name not in truth.keys for name in ids])
    return ids, [cells for cells in lists if cells is not None]


def _list(text: str) -> list[Any] | None:
    """A list as Python or JSON writes it, or one of lists; None where it is neither."""
    try:
        cells = json.loads(text.replace("'", '"'))
    except ValueError:
        return None
    if not isinstance(cells, list):
        return None
    rows = cells if sets.is_nested(cells) else [cells]
    flat = all(isinstance(cell, int | float | str) for row in rows for cell in row)
    return cells if flat else None


def _distributions(
    file: _File, cells: Sequence[Sequence[Any]], names: Sequence[str | int]
) -> Float[np.ndarray, "lines labels"]:
    """Probabilities in the order of `names`, divided by their sum."""
    wrong = [len(p) != len(names) for p in cells]
    first = wrong.index(True) if any(wrong) else 0
    what = f"{len(cells[first])} probabilities for the labels {', '.join(map(str, names))}"
    file.refuse(f"{what} (name the labels of the task in their order)", wrong)
    numbers = pd.DataFrame(cells).apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    fine = [bool(np.isfinite(p).all() and (p >= 0).all()) for p in numbers]
    file.refuse("a probability is not a number from 0 on", [not is_fine for is_fine in fine])
    sums = numbers.sum(axis=1)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    total = sums[off][0] if off.any() else 1.0
    file.refuse(f"the probabilities sum to {total:.4g} instead of 1", off.tolist())
    return numbers / sums[:, None]


def _widened(
    said: _Said, names: Sequence[str | int], space: LabelSpace
) -> Float[np.ndarray, "rows labels"]:
    """Probabilities of every label of the space: as the file says, or 1 for the label it gives."""
    place = {str(name): i for i, name in enumerate(space.names)}
    if said.probabilities is None:
        return np.eye(len(space))[[place[str(name)] for name in said.labels]]
    values = np.zeros((len(said.ratings), len(space)))
    values[:, [place[str(name)] for name in names]] = said.probabilities
    return values
