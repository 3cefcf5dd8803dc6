"""Names of conditions (annotator ids, task names) ↔ indices, fixed once, stored with the model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyperadapters.conditions.fields import POPULATION
from hyperadapters.errors import ConditionError


@dataclass(frozen=True)
class Vocabulary:
    """A fixed list of names; the position of a name is its index.

    Attributes:
        names: The names, in the order of their indices.
    """

    names: tuple[str, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {name: position for position, name in enumerate(self.names)}
        if len(index) != len(self.names):
            raise ConditionError("a name occurs twice in the vocabulary")
        object.__setattr__(self, "_index", index)

    @classmethod
    def of(cls, names: Iterable[str]) -> "Vocabulary":
        """The vocabulary of all names that occur, sorted, so that it never depends on row order."""
        return cls(tuple(sorted({str(name) for name in names})))

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def indices(self, names: Iterable[str], *, strict: bool = False) -> np.ndarray:
        """Names → indices, shape ``(number of names,)``, int64; unknown names become `POPULATION`.

        Raises:
            ConditionError: With `strict`, when a name is not in the vocabulary.
        """
        listed = [str(name) for name in names]
        if strict and (unknown := sorted({name for name in listed if name not in self._index})):
            shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            raise ConditionError(
                f"unknown: {shown}; the model knows {len(self.names)} names, "
                f"such as {', '.join(self.names[:3])}"
            )
        codes = [self._index.get(name, POPULATION) for name in listed]
        return np.asarray(codes, dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {"names": list(self.names)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Vocabulary":
        """Inverse of `to_dict`; keeps the order of the names."""
        return cls(tuple(str(name) for name in data["names"]))
