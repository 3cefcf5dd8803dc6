"""Train, dev and test as the paper makes them, whatever a public set comes with.

Three rules; each begins with the official splits and `torch.randperm` under seed 42:

- ``half`` (small sets whose test labels are hidden): the first half of the permuted official
  validation set is dev, the second half test; train is untouched. Of an odd number test gets more.
- ``thousand`` (large ones): the first 1000 of permuted train are dev, the rest stays train; the
  official validation set is test.
- ``official``: dev is the official validation set, test the official test set.

Under ``half`` and ``thousand`` rows of a test split are left out: it is the one without labels.
Where the official splits are not what a rule needs:

- no test under ``official``: the rule ``half``;
- no validation set, but train: dev is *carved* from train as under ``thousand``, at most a tenth of
  it, and a test split stays what it is;
- no train (tasks that are only scored): ``thousand`` makes validation test, ``half`` and
  ``official`` do what they always do.

What was done is told by `Division`. No row is ever lost otherwise (the released code lost one of
every split).
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hyperadapters.errors import DataError
from hyperadapters.tasks import SplitRule

SEED = 42
N_DEV = 1000
LEFT_OUT = ""


@dataclass(frozen=True)
class Division:
    """What became of the official splits.

    Attributes:
        asked: The task's rule.
        used: What was done: ``official``, ``half``, ``thousand`` or ``carved``.
        n_left_out: Rows of a test split that the rule does not use.
    """

    asked: str
    used: str
    n_left_out: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {"asked": self.asked, "used": self.used, "left_out": self.n_left_out}


def divide(official: np.ndarray, rule: SplitRule, *, source: str) -> tuple[np.ndarray, Division]:
    """The split of every row by a rule.

    Args:
        official: Split of every row as it came: train, dev or test; shape ``(rows,)``.
        rule: The task's rule.
        source: The file, for the message.

    Returns:
        The split of every row, `LEFT_OUT` for rows of an unused test split; what was done.

    Raises:
        DataError: Train is too small to take dev from it.
    """
    there = set(official.tolist())
    split = official.astype(object)
    if "dev" not in there:
        if "train" in there:
            split[_first_of_train(official, source, carve=True)] = "dev"
            return split, Division(rule, "carved")
        return split, Division(rule, "official")
    if rule == "official" and "test" in there:
        return split, Division(rule, "official")
    n_left_out = int((official == "test").sum())
    split[official == "test"] = LEFT_OUT
    if rule == "thousand":
        split[official == "dev"] = "test"
        if "train" in there:
            split[_first_of_train(official, source, carve=False)] = "dev"
        return split, Division(rule, "thousand", n_left_out)
    dev = _permuted(np.flatnonzero(official == "dev"))
    split[dev[len(dev) // 2 :]] = "test"
    return split, Division(rule, "half", n_left_out)


def draw(split: np.ndarray, limits: Mapping[str, int], seed: int, salt: str) -> np.ndarray:
    """Which rows remain when some splits may have so many rows at most.

    Args:
        split: Split of every row, shape ``(rows,)``.
        limits: Split -> most rows.
        seed: What the draw depends on, beside the salt and the split.
        salt: The task's name, so that tasks do not draw the same positions.

    Returns:
        Booleans, shape ``(rows,)``.
    """
    kept = np.ones(len(split), bool)
    for name, limit in limits.items():
        rows = np.flatnonzero(split == name)
        if len(rows) > limit:
            entropy = [seed, zlib.crc32(f"{salt}\x1f{name}".encode())]
            generator = np.random.default_rng(np.random.SeedSequence(entropy))
            kept[generator.permutation(rows)[limit:]] = False
    return kept


def _first_of_train(official: np.ndarray, source: str, *, carve: bool) -> np.ndarray:
    """The rows of train that become dev."""
    train = np.flatnonzero(official == "train")
    n_dev = min(N_DEV, len(train) // 10) if carve else N_DEV
    if n_dev < 1 or n_dev >= len(train):
        hint = "Give the file a dev split of its own, or name another `split_rule`."
        needed = "10 rows or more" if carve else f"more than {N_DEV} rows"
        what = f"dev is taken from train, which must have {needed} for that; it has {len(train)}"
        raise DataError(source, [what], hint)
    return _permuted(train)[:n_dev]


def _permuted(rows: np.ndarray) -> np.ndarray:
    generator = torch.Generator().manual_seed(SEED)
    return rows[torch.randperm(len(rows), generator=generator).numpy()]
