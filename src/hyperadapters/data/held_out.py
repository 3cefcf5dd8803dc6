"""Splits by annotator: some people are held out, and what is asked of them is the test.

The annotators are put in an order by a hash of seed and id, and dealt into folds of equal size, so
that neither the order of the rows nor the texts matter; or a column of the table says which fold is
whose. People of one fold are held out. Texts are divided into train, dev and test as ever, by the
table's own splits or by a hash of the text (`data.split`). Then

| | people of training | people who are held out |
|---|---|---|
| texts of train | train | test by annotator; by both, left out |
| texts of dev | dev | test by annotator; by both, left out |
| texts of test | train by annotator; by both, left out | test |

Dev is by people whom training knows, of texts that it has not read: it is what stops training,
and it has to see the vectors of people at work. Nobody who is held out is looked at before test.
"""

import hashlib
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from hyperadapters.conditions.spelling import spellings
from hyperadapters.errors import ConfigError, DataError, Fault
from hyperadapters.tables.frames import column_of, rows_of
from hyperadapters.tables.texts import text_keys

BY = ("text", "annotator", "both")
"""What no two splits have in common."""


@dataclass(frozen=True)
class SplitBy:
    """How rows are divided.

    Attributes:
        by: ``"text"``, ``"annotator"`` or ``"both"``.
        fold: Number of the fold of annotators who are held out, from 0.
        folds: How many folds there are, or the column that says which one is whose.
        seed: Of the folds, where no column says them.
    """

    by: str = "text"
    fold: int | str = 0
    folds: int | str = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in BY:
            raise ConfigError(f"splits are made by one of {', '.join(BY)}, got {self.by!r}")
        if isinstance(self.folds, str):
            return
        if self.folds < 2:
            raise ConfigError(f"folds must be at least 2, or the name of a column: {self.folds}")
        if not str(self.fold).isdecimal() or int(self.fold) >= self.folds:
            raise ConfigError(f"fold must be from 0 to {self.folds - 1}, got {self.fold}")
        object.__setattr__(self, "fold", int(self.fold))


def held_out(frame: pd.DataFrame, how: SplitBy) -> frozenset[str]:
    """The annotators of the fold that is held out.

    Args:
        frame: Checked ANNOTATIONS.
        how: The fold and the folds.

    Raises:
        ConfigError: There is no such fold.
        DataError: There are fewer annotators than folds, there is no such column, or the column
            puts somebody into several folds or into none.
    """
    annotators = column_of(frame, "annotator").astype(str)
    if isinstance(how.folds, str):
        return _of_column(frame, annotators, how.folds, str(how.fold))
    names = sorted(set(annotators), key=lambda name: _place(name, how.seed))
    if len(names) < how.folds:
        what = f"{len(names)} annotators are too few for {how.folds} folds"
        raise DataError("table", [what], "Make fewer folds (--folds).")
    return frozenset(names[int(how.fold) :: how.folds])


def without_held_out(frame: pd.DataFrame, how: SplitBy) -> pd.DataFrame:
    """Rows that are divided by text, divided by annotator or by both.

    Args:
        frame: ANNOTATIONS with splits of texts.
        how: How.

    Returns:
        The rows that belong to a split, with splits.

    Raises:
        ConfigError: There is no such fold.
        DataError: The annotators cannot be put into folds, or a split would be empty.
    """
    out = column_of(frame, "annotator").isin(sorted(held_out(frame, how)))
    of_text = column_of(frame, "split")
    if how.by == "annotator":
        split, stays = of_text.replace({"test": "train"}).where(~out, "test"), out | True
    else:
        split, stays = of_text, (of_text == "test") == out
    there = set(split[stays])
    for name in ("train", "dev", "test"):
        if name not in there and (name != "dev" or "dev" in set(of_text)):
            what = f"no row falls to split {name} when the annotators of fold {how.fold} are held "
            raise DataError("table", [what + "out"], "Take another fold (--fold), or fewer folds.")
    return rows_of(frame.assign(split=split), stays)


def check_disjoint(frame: pd.DataFrame, by: str) -> None:
    """Refuse splits that share what they must not.

    Args:
        frame: ANNOTATIONS with splits.
        by: ``"annotator"``: nobody is in test and in another split; ``"text"``: no text is;
            ``"both"``: neither is.

    Raises:
        DataError: Somebody or some text is; names the first of them.
    """
    is_test = column_of(frame, "split") == "test"
    faults = []
    kinds = {"annotator": column_of(frame, "annotator"), "text": text_keys(frame)}
    for what, values in kinds.items():
        if by in (what, "both"):
            shared = sorted(set(values[is_test]) & set(values[~is_test]))
            if shared:
                found = (values.isin(shared) & is_test).to_numpy(bool)
                rows = (np.flatnonzero(found) + 1).tolist()
                faults.append(Fault(f"the same {what} stands in test and elsewhere", tuple(rows)))
    if faults:
        hint = "Move the rows, or go on with --allow-leaks where it is texts."
        raise DataError("table", faults, hint)


def _of_column(
    frame: pd.DataFrame, annotators: pd.Series, column: str, wanted: str
) -> frozenset[str]:
    if column not in frame:
        raise DataError("table", [f"there is no column {column!r} that tells people's folds"])
    given = column_of(frame, column)
    table = pd.DataFrame({"who": annotators, "fold": given.map(_written)}).drop_duplicates()
    several = table["who"].duplicated() | table["fold"].isna()
    if several.any():
        who = table["who"].to_numpy()[several.to_numpy()][0]
        raise DataError("table", [f"column {column!r} does not tell one fold of {who}"])
    there = sorted(set(table["fold"]))
    if wanted not in there:
        raise ConfigError(f"no annotator is in fold {wanted}; column {column!r} has {there}")
    if len(there) < 2:
        raise ConfigError(f"all annotators are in fold {wanted}; nobody would be left to learn")
    return frozenset(cast(pd.Series, table["who"][table["fold"] == wanted]))


def _written(value: object) -> str | None:
    found = spellings(value)
    return found[-1] if found else None


def _place(name: str, seed: int) -> tuple[bytes, str]:
    return hashlib.sha256(f"{seed}\x1e{name}".encode(errors="surrogatepass")).digest(), name
