"""Answers that are sets of labels, in files of LeWiDi 2025: a list for every single label.

VariErrNLI lets people give several labels. Its files have, of a text, for each single label either
the probabilities that it is not and that it is given (task A), or 0 or 1 for each annotator
(task B).
"""

import json
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hyperadapters.errors import ConfigError
from hyperadapters.labels import NOTHING, SEPARATOR, parts_of

MOST = 10
"""Single labels of which all sets are made."""


def single_labels(names: Sequence[str | int]) -> list[str]:
    """The labels that sets are made of: as they are named, or in the order of the alphabet."""
    split = [parts_of(str(name)) for name in names]
    parts = [part for one in split for part in one]
    return parts if all(len(one) == 1 for one in split) else sorted(set(parts))


def is_nested(cells: Sequence[Any]) -> bool:
    """Whether a list is one of lists."""
    return bool(cells) and all(isinstance(cell, list) for cell in cells)


def every_set(parts: Sequence[str], spelt: Iterable[str | int] = ()) -> list[str]:
    """The names of all sets, in the order of `joint_probabilities`.

    Args:
        parts: The single labels.
        spelt: Names of some sets as they are to be written, whatever the order of their labels.

    Raises:
        ConfigError: There are too many.
    """
    if len(parts) > MOST:
        raise ConfigError(f"sets of more than {MOST} labels cannot be read, got {len(parts)}")
    known = {frozenset(parts_of(str(name))): str(name) for name in spelt}
    names = [_named(parts, held) for held in product((False, True), repeat=len(parts))]
    return [str(known.get(frozenset(parts_of(name)), name)) for name in names]


def joint_probabilities(
    given: Float[np.ndarray, "texts parts"],
) -> Float[np.ndarray, "texts sets"]:
    """Of every set, such that each label is held as probably as `given` says.

    A file tells nothing of which labels go together: they are taken as independent, and what is
    scored of them, `soft_marginal_manhattan`, does not depend on it.
    """
    held = np.array(list(product((False, True), repeat=given.shape[1])))
    return np.where(held, given[:, None, :], 1 - given[:, None, :]).prod(axis=2)


def sets_of(every: Sequence[str], cells: Sequence[Sequence[int]]) -> list[str]:
    """The set that each annotator of a text gave, of lists with 0 or 1 for each annotator.

    Args:
        every: The names of all sets, see `every_set`.
        cells: A list for each single label.
    """
    places: list[int] = (np.flip(2 ** np.arange(len(cells))) @ np.array(cells, np.int64)).tolist()
    return [every[place] for place in places]


def soft_cells(given: Float[np.ndarray, " parts"], digits: int) -> str:
    """Task A: the probabilities of not given and given, for each label."""
    return json.dumps([[round(float(p), digits) for p in (1 - share, share)] for share in given])


def perspectivist_cells(held: Bool[np.ndarray, "annotators parts"]) -> str:
    """Task B: 0 or 1 for each annotator, for each label."""
    return json.dumps(held.T.astype(int).tolist())


def _named(parts: Sequence[str], held: Sequence[bool]) -> str:
    chosen = sorted(part for part, is_held in zip(parts, held, strict=True) if is_held)
    return SEPARATOR.join(chosen) or NOTHING
