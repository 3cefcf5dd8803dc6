"""Some combinations in the default tests, every one in the slow ones."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

import pytest


def pairwise(**values: Sequence[Any]) -> pytest.MarkDecorator:
    """Parametrize a test by several lists of values at once.

    The full product is made, and what is not needed for each two values of different lists to meet
    is marked slow.

    Args:
        **values: Name of an argument → its values; a `pytest.param` with the mark slow is slow in
            every combination.
    """
    return _parametrize(values, covering(_usual(values)))


def one_by_one(**values: Sequence[Any]) -> pytest.MarkDecorator:
    """As `pairwise`, for lists that have little to do with each other.

    Each value is in the default tests beside the first of every other list, and only there.
    """
    columns = _usual(values)
    standard = [column[0] for column in columns]
    chosen = [
        (*standard[:i], value, *standard[i + 1 :])
        for i, column in enumerate(columns)
        for value in column
    ]
    return _parametrize(values, chosen)


def covering(columns: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Few combinations in which every two values of different columns meet.

    Greedily: again and again the combination with the most pairs that have not met yet.
    """
    places = [range(len(column)) for column in columns]
    missing = {
        ((i, a), (j, b))
        for i, j in combinations(range(len(columns)), 2)
        for a in places[i]
        for b in places[j]
    }
    chosen = []
    while missing or not chosen:
        best = max(product(*places), key=lambda row: len(missing & _pairs(row)))
        missing -= _pairs(best)
        chosen.append(tuple(column[i] for column, i in zip(columns, best, strict=True)))
    return chosen


def _usual(values: Mapping[str, Sequence[Any]]) -> list[list[Any]]:
    return [[v for v in column if not _marks(v)] for column in values.values()]


def _parametrize(
    values: Mapping[str, Sequence[Any]], chosen: Sequence[Sequence[Any]]
) -> pytest.MarkDecorator:
    quick, rows = {id_of(combination) for combination in chosen}, []
    for combination in product(*values.values()):
        bare = tuple(_bare(value) for value in combination)
        name = id_of(bare)
        rows.append(pytest.param(*bare, id=name, marks=[] if name in quick else pytest.mark.slow))
    return pytest.mark.parametrize(",".join(values), rows)


def id_of(combination: Sequence[Any]) -> str:
    """The name of a combination in a test's id."""
    return "-".join(str(value) for value in combination)


def _pairs(row: Sequence[int]) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    pairs = combinations(enumerate(row), 2)
    return {(one, other) for one, other in pairs}


def _marks(value: Any) -> Sequence[Any]:
    return getattr(value, "marks", ())


def _bare(value: Any) -> Any:
    return value.values[0] if _marks(value) else value
