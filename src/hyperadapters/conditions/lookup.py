"""A condition that is one of a fixed list: an annotator, a task, ..."""

from dataclasses import asdict, dataclass
from typing import Any

from hyperadapters.conditions.fields import (
    UnknownPolicy,
    check_unknown,
    optional_positive,
    positive,
)


@dataclass(frozen=True)
class Lookup:
    """One learned vector for each of `size` conditions (annotators, tasks, ...).

    Attributes:
        size: Number of conditions; indices run from 0 to ``size - 1``.
        width: Width of the vector; ``None`` takes the configuration's `condition_width`.
        unknown: What index -1 (`POPULATION`) means: ``"population"`` answers with the vector of
            the population (its own, or zero where the hypernetwork is centred, else the mean of
            all vectors),
            ``"error"`` refuses it, ``"base"`` runs the row through the backbone alone.
        own_population: Whether the population has a vector of its own instead of zero, or of the
            mean of all: so it stays what it was when people are added.
    """

    size: int
    width: int | None = None
    unknown: UnknownPolicy = "population"
    own_population: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", positive("Lookup", "size", self.size))
        object.__setattr__(self, "width", optional_positive("Lookup", "width", self.width))
        check_unknown("Lookup", self.unknown)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; the inverse of `condition_from_dict`."""
        fields = {"kind": "lookup", **asdict(self)}
        if not self.own_population:
            # Earlier versions, which have no such field, read what does not need it.
            del fields["own_population"]
        return fields
