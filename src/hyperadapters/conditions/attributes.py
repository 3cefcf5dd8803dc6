"""A condition that is described by attributes: age, gender, country, ..."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperadapters.conditions.fields import (
    POPULATION,
    UnknownPolicy,
    check_unknown,
    optional_positive,
    positive,
)
from hyperadapters.conditions.spelling import bucket, spellings
from hyperadapters.errors import ConditionError, ConfigError

_SHOWN = 5


@dataclass(frozen=True)
class Attributes:
    """One learned vector for each value of each attribute; a row is the sum of its values.

    Attributes:
        values: Attribute → its values. A sequence of strings is a closed vocabulary; an int is an
            open one, hashed into that many buckets. Stored sorted by the attribute's name, with
            tuples for sequences.
        width: Width of the vector; ``None`` takes the configuration's `condition_width`.
        unknown: What a value outside of a closed vocabulary means, and a row without any value,
            see `UnknownPolicy`. A row that lacks only some values has the sum of the others.
    """

    values: Mapping[str, Sequence[str] | int]
    width: int | None = None
    unknown: UnknownPolicy = "population"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _normalised(self.values))
        object.__setattr__(self, "width", optional_positive("Attributes", "width", self.width))
        check_unknown("Attributes", self.unknown)

    def __hash__(self) -> int:
        return hash((tuple(self.values.items()), self.width, self.unknown))

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes, in the order of the columns of `indices`."""
        return tuple(self.values)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each attribute (for an open vocabulary: of buckets)."""
        return tuple(v if isinstance(v, int) else len(v) for v in self.values.values())

    def indices(self, rows: Iterable[Any]) -> np.ndarray:
        """Rows of values → indices, shape ``(rows, n_attributes)``, int64.

        -1 stands for what is missing (no such key, ``None``, NaN, the empty string) and, unless
        the policy is ``"error"``, for values outside of a closed vocabulary. Numbers are compared
        as they are printed.

        Args:
            rows: Mappings from attribute to value, or rows of a pandas table.

        Raises:
            ConditionError: A row is not a mapping, or names an attribute that there is not, or has
                a value outside of a closed vocabulary where the policy is ``"error"``.
        """
        known = {
            name: values if isinstance(values, int) else {v: i for i, v in enumerate(values)}
            for name, values in self.values.items()
        }
        codes: list[list[int]] = []
        for number, row in enumerate(rows):
            try:
                values = self._by_name(row)
                codes.append([self._index(n, values.get(n), v) for n, v in known.items()])
            except ConditionError as error:
                raise ConditionError(f"row {number}: {error}") from None
        return np.asarray(codes, dtype=np.int64).reshape(len(codes), len(known))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; the inverse of `condition_from_dict`."""
        values = {n: v if isinstance(v, int) else list(v) for n, v in self.values.items()}
        return {
            **{"kind": "attributes", "values": values},
            **{"width": self.width, "unknown": self.unknown},
        }

    def _by_name(self, row: Any) -> dict[str, Any]:
        if not hasattr(row, "keys"):
            raise ConditionError(f"got {row!r}, wanted a mapping from attribute to value")
        values: dict[str, Any] = {str(name): row[name] for name in row.keys()}  # noqa: SIM118
        for name in values:
            if name not in self.values:
                near = _near(name, self.names)
                raise ConditionError(
                    f"unknown attribute {name!r}{near}; wanted {', '.join(self.names)}"
                )
        return values

    def _index(self, name: str, value: Any, known: Mapping[str, int] | int) -> int:
        try:
            written = spellings(value)
        except ConditionError as error:
            raise ConditionError(f"attribute {name!r} {error}") from None
        if not written:
            return POPULATION
        if isinstance(known, int):
            return bucket(written[-1], known)
        for text in written:
            if text in known:
                return known[text]
        if self.unknown == "error":
            shown = ", ".join(list(known)[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
            near = _near(written[-1], known)
            raise ConditionError(f"attribute {name!r} got {written[-1]!r}{near}; known: {shown}")
        return POPULATION


def _normalised(values: Mapping[Any, Any]) -> dict[str, tuple[str, ...] | int]:
    if not values:
        raise ConfigError("Attributes needs at least one attribute")
    for name in values:
        if not isinstance(name, str) or not name:
            raise ConfigError(f"names of attributes must be nonempty strings, got {name!r}")
    return {name: _vocabulary(name, values[name]) for name in sorted(values)}


def _vocabulary(name: str, values: Any) -> tuple[str, ...] | int:
    what = f"attribute {name!r}"
    if isinstance(values, str) or not isinstance(values, Sequence):
        if isinstance(values, str | Iterable):
            raise ConfigError(f"{what} needs a list of values or a number of buckets, got {values}")
        return positive(what, "number of buckets", values)
    listed: list[Any] = list(values)  # pyright: ignore[reportUnknownArgumentType]
    if not listed:
        raise ConfigError(f"{what} needs at least one value")
    seen: set[str] = set()
    for value in listed:
        # An empty string means that the value is missing, so it cannot be a value too.
        if not isinstance(value, str) or not value:
            raise ConfigError(f"values of {what} must be nonempty strings, got {value!r}")
        if value in seen:
            raise ConfigError(f"{what} has the value {value!r} twice")
        seen.add(value)
    return tuple(listed)


def _near(text: str, known: Iterable[str]) -> str:
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(text.lower(), folded, n=3)
    return f" (did you mean {' or '.join(repr(folded[n]) for n in near)}?)" if near else ""
