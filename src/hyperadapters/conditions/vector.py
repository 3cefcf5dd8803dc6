"""A condition that is a vector the caller has: an embedding of a person, a task, a document, ..."""

from dataclasses import asdict, dataclass
from typing import Any

from hyperadapters.conditions.fields import (
    Reading,
    UnknownPolicy,
    check_reading,
    check_unknown,
    optional_positive,
    positive,
)


@dataclass(frozen=True)
class Vector:
    """A vector per row, read by a small network.

    Attributes:
        width: Width of the caller's vector.
        encoded_width: Width of what the small network makes of it; ``None`` takes the
            configuration's `condition_width`.
        hidden_width: Width of the small network's hidden layer; ``None`` takes that of its output.
        unknown: What a row of nothing but NaN means, see `UnknownPolicy`. A row that is NaN in
            parts, or infinite, is always refused.
        reading: What the small network is, see `Reading`.
    """

    width: int
    encoded_width: int | None = None
    hidden_width: int | None = None
    unknown: UnknownPolicy = "error"
    reading: Reading = "normalised"

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", positive("Vector", "width", self.width))
        for field in ("encoded_width", "hidden_width"):
            value = optional_positive("Vector", field, getattr(self, field))
            object.__setattr__(self, field, value)
        check_unknown("Vector", self.unknown)
        check_reading("Vector", self.reading, self.encoded_width, self.hidden_width)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; the inverse of `condition_from_dict`."""
        return {"kind": "vector", **asdict(self)}
