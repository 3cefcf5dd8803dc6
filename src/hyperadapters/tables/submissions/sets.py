"""Answers that are sets of labels, in files of LeWiDi 2025: a list for every single label.

VariErrNLI lets people give several labels. Its files have, of a text, for each single label either
the probabilities that it is not and that it is given (task A), or 0 or 1 for each annotator
(task B).
"""

import json
from collections.abc import Sequence
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
    parts = [part for name in names for part in parts_of(str(name))]
    return parts if len(parts) == len(names) else sorted(set(parts))


def is_nested(cells: Sequence[Any]) -> bool:
    """Whether a list is one of lists."""
    return bool(cells) and all(isinstance(cell, list) for cell in cells)


def every_set(parts: Sequence[str]) -> list[str]:
    """The names of all sets, in the order of `joint_probabilities`.

    Raises:
        ConfigError: There are too many.
    """
    if len(parts) > MOST:
        raise ConfigError(f"sets of more than {MOST} labels cannot be read, got {len(parts)}")
    return [_named(parts, held) for held in product((False, True), repeat=len(parts))]


def joint_probabilities(
    given: Float[np.ndarray, "texts parts"],
) -> Float[np.ndarray, "texts sets"]:
    """Of every set, such that each label is held as probably as `given` says.

    A file tells nothing of which labels go together: they are taken as independent, and what is
    scored of them, `soft_marginal_manhattan`, does not depend on it.
    """
    held = np.array(list(product((False, True), repeat=given.shape[1])))
    return np.where(held, given[:, None, :], 1 - given[:, None, :]).prod(axis=2)


def sets_of(parts: Sequence[str], cells: Sequence[Sequence[int]]) -> list[str]:
    """The set that each annotator of a text gave, of lists with 0 or 1 for each annotator."""
    return [_named(parts, [bool(cell) for cell in held]) for held in zip(*cells, strict=True)]


def soft_cells(given: Float[np.ndarray, " parts"]) -> str:
    """Task A: the probabilities of not given and given, for each label."""
    return json.dumps([[float(1 - share), float(share)] for share in given])


def perspectivist_cells(held: Bool[np.ndarray, "annotators parts"]) -> str:
    """Task B: 0 or 1 for each annotator, for each label."""
    return json.dumps(held.T.astype(int).tolist())


def _named(parts: Sequence[str], held: Sequence[bool]) -> str:
    chosen = sorted(part for part, is_held in zip(parts, held, strict=True) if is_held)
    return SEPARATOR.join(chosen) or NOTHING
