"""A blend of conditions: an average juror, someone halfway between two annotators."""

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from hyperadapters.errors import ConditionError

_LARGEST = float(np.finfo(np.float32).max)


def mixture(weights: Mapping[Any, Any], size: int) -> np.ndarray:
    """The weights as a row that a `Lookup` of that size accepts in place of an index.

    The vector of a mixture is the weighted sum of vectors. Weights that sum to one interpolate;
    others move away from the population or beyond an annotator.

    Args:
        weights: Index → weight, as ``{3: 0.5, 17: 0.5}``.
        size: Number of conditions.

    Returns:
        Shape ``(size,)``, float32; zero for conditions that are not named.

    Raises:
        ConditionError: There is no weight, or a weight is not a finite number, or an index is not
            an integer from 0 to ``size - 1``.
    """
    if not weights:
        raise ConditionError("a mixture needs at least one weight")
    row = np.zeros(size, dtype=np.float32)
    for index, weight in weights.items():
        row[_position(index, size)] = _finite(index, weight)
    return row


def _position(index: Any, size: int) -> int:
    try:
        position = operator.index(index)
    except TypeError:
        raise ConditionError(f"mixture: got index {index!r}, wanted an integer") from None
    if not 0 <= position < size:
        raise ConditionError(f"mixture: got index {position}; wanted 0 to {size - 1}")
    return position


def _finite(index: Any, weight: Any) -> float:
    try:
        number = float(weight)
    except (TypeError, ValueError):
        raise ConditionError(f"mixture: got weight {weight!r} for index {index}") from None
    if not abs(number) <= _LARGEST:  # not so for NaN either
        raise ConditionError(f"mixture: got weight {number} for index {index}; wanted a number")
    return number
