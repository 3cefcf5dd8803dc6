"""Names of conditions (annotator ids, task names) ↔ indices, fixed once, stored with the model."""

from collections import Counter
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
        n_ratings: From how many ratings each was learned, where that is known.
    """

    names: tuple[str, ...]
    n_ratings: tuple[int, ...] | None = field(default=None, compare=False)
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {name: position for position, name in enumerate(self.names)}
        if len(index) != len(self.names):
            raise ConditionError("a name occurs twice in the vocabulary")
        if self.n_ratings is not None and len(self.n_ratings) != len(self.names):
            raise ConditionError(
                f"the vocabulary has {len(self.names)} names and numbers of ratings of "
                f"{len(self.n_ratings)}"
            )
        object.__setattr__(self, "_index", index)

    @classmethod
    def of(cls, names: Iterable[str]) -> "Vocabulary":
        """The vocabulary of all names that occur, sorted, so that it never depends on row order.

        Args:
            names: The name of each rating; how often one occurs is kept.
        """
        counts = Counter(map(str, names))
        listed = tuple(sorted(counts))
        return cls(listed, tuple(counts[name] for name in listed))

    def only(self, names: Iterable[str]) -> "Vocabulary":
        """Some of the names, in the order that is given.

        Raises:
            ConditionError: A name is not in the vocabulary, or one twice.
        """
        kept = tuple(names)
        places: list[int] = self.indices(kept, strict=True).tolist()
        counts = self.n_ratings
        return Vocabulary(kept, None if counts is None else tuple(counts[i] for i in places))

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
        counts = {} if self.n_ratings is None else {"n_ratings": list(self.n_ratings)}
        return {"names": list(self.names), **counts}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Vocabulary":
        """Inverse of `to_dict`; keeps the order of the names."""
        counts = data.get("n_ratings")
        return cls(
            tuple(str(name) for name in data["names"]),
            None if counts is None else tuple(int(count) for count in counts),
        )
