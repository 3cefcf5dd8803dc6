"""Train, dev and test by a hash of the text, so that one text is never in two of them.

By annotator too, if wanted: see `data.held_out`.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import cast

import pandas as pd

from hyperadapters.data.held_out import SplitBy, check_disjoint, without_held_out
from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tables.cells import SPLITS
from hyperadapters.tables.frames import column_of
from hyperadapters.tables.texts import text_keys

SHARES = (0.7, 0.1, 0.2)


def assign_splits(
    frame: pd.DataFrame,
    shares: Sequence[float | int] = SHARES,
    *,
    by: str = "text",
    fold: int | str = 0,
    folds: int | str = 5,
    seed: int = 0,
    allow_leaks: bool = False,
) -> pd.DataFrame:
    """Fills in the splits that a table does not have, or divides it by annotator.

    A text's place follows from the text alone (SHA-256 of its normalised form): not from the order
    of the rows, a seed, or the other texts. Splits that are there stay. One that is missing
    is taken from train, as large a part of it as the shares say (0.7, 0.1, 0.2: dev gets an
    eighth of train). With no split at all, or with train alone, all texts are divided.

    Args:
        frame: Checked ANNOTATIONS; column `split` may be absent.
        shares: Wanted shares of the texts in train, dev, test; sum 1. Share 0: no such split.
        by: ``"text"``; ``"annotator"``: test is everything by the people who are held out; or
            ``"both"``: test is what they say of texts of test, and rows by them of other texts,
            and by others of these, are in no split. See `data.held_out`, also for dev.
        fold: Whom to hold out, where people are.
        folds: Number of folds of annotators, or the column that says which one is whose.
        seed: Of the folds.
        allow_leaks: Whether texts may stand in several splits of the table (by both).

    Returns:
        A copy with column `split`; by both, with the rows that are in one.

    Raises:
        ConfigError: The shares are not three numbers from 0 to 1 with sum 1; or there is no such
            fold.
        DataError: A split would be empty, there is no train split to take another from, people
            cannot be put into folds, or splits are not disjoint.
    """
    how = SplitBy(by, fold, folds, seed)
    divided = _by_text(frame, shares)
    if how.by == "text":
        return divided
    divided = without_held_out(divided, how)
    # Of annotators it holds by construction; the table's own splits may share texts.
    check_disjoint(divided, "annotator" if allow_leaks else how.by)
    return divided.reset_index(drop=True)


def _by_text(frame: pd.DataFrame, shares: Sequence[float | int]) -> pd.DataFrame:
    _check_shares(shares)
    share: dict[str, float] = dict(zip(SPLITS, shares, strict=True))
    present = set(frame["split"]) if "split" in frame else {"train"}
    missing = [name for name in SPLITS if share[name] > 0 and name not in present]
    if not missing:
        return frame.copy()
    if "train" in missing:
        raise DataError("table", [f"no row has split 'train'; there is {sorted(present)}"])
    keys = text_keys(frame)
    absent = pd.Series("train", index=frame.index)
    kept = column_of(frame, "split") if "split" in frame else absent
    in_train = kept == "train"
    train_keys = cast(pd.Series, keys[in_train])
    divided = _divide(train_keys, share, ["train", *missing])
    split = kept.where(~in_train, divided.reindex(frame.index)).astype("str")
    empty = [name for name in ("train", *missing) if name not in set(split)]
    if empty:
        n_texts = len(train_keys.unique())
        what = f"{n_texts} different texts are too few: no text falls to split {empty[0]}"
        hint = "Give the rows splits of your own in a column (--split), or more texts."
        raise DataError("table", [what], hint)
    return frame.assign(split=split)


def _divide(keys: pd.Series, share: dict[str, float], names: list[str]) -> pd.Series:
    """A split for every key; each of the names gets its share of the share of all names."""
    names = [name for name in SPLITS if name in names]
    total = sum(share[name] for name in names)
    # Other salts for other divisions: train may itself be what a hash has left over.
    salt = "+".join(names)
    places = {key: _place(f"{salt}\x1e{key}") * total for key in keys.unique()}
    return keys.map({key: _split_at(place, share, names) for key, place in places.items()})


def _split_at(place: float, share: dict[str, float], names: list[str]) -> str:
    for name in names:
        place -= share[name]
        if place < 0:
            return name
    return names[-1]


def _place(key: str) -> float:
    """A number from 0 to 1 that is as good as random, but the same for the same key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def _check_shares(shares: Sequence[float | int]) -> None:
    numbers = [float(share) for share in shares]
    usable = len(numbers) == 3 and all(0 <= share <= 1 for share in numbers) and numbers[0] > 0
    if not usable or not math.isclose(sum(numbers), 1, abs_tol=1e-6):
        raise ConfigError(
            f"shares must be three numbers for train, dev and test with sum 1, got {numbers}"
        )
