"""How a condition becomes a vector, as data: values that `adapter_config.json` stores."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hyperadapters.errors import ConfigError

POPULATION = -1
"""The index that stands for "nobody in particular": the shared adapter, without a deviation."""

UnknownPolicy = Literal["population", "error"]


@dataclass(frozen=True)
class Lookup:
    """One learned vector for each of `size` conditions (annotators, tasks, ...).

    Attributes:
        size: Number of conditions; indices run from 0 to ``size - 1``.
        width: Width of the vector; ``None`` takes the configuration's `condition_width`.
        unknown: What index -1 (`POPULATION`) means: ``"population"`` answers with the vector of
            the population (zero where the hypernetwork is centred, else the mean of all vectors),
            ``"error"`` refuses it.
    """

    size: int
    width: int | None = None
    unknown: UnknownPolicy = "population"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"Lookup needs a size of at least 1, got {self.size}")
        if self.width is not None and self.width < 1:
            raise ConfigError(f"Lookup needs a width of at least 1, got {self.width}")
        if self.unknown not in ("population", "error"):
            raise ConfigError(
                f"Lookup's unknown must be 'population' or 'error', got {self.unknown!r}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; the inverse of `condition_from_dict`."""
        return {"kind": "lookup", **asdict(self)}


def condition_from_dict(data: Mapping[str, Any]) -> Lookup:
    """The condition that `to_dict` wrote.

    Raises:
        ConfigError: The kind is not known, or a field is missing or superfluous.
    """
    fields = dict(data)
    kind = fields.pop("kind", None)
    if kind != "lookup":
        raise ConfigError(f"unknown kind of condition {kind!r}; known: 'lookup'")
    try:
        return Lookup(**fields)
    except TypeError as error:
        raise ConfigError(f"condition {dict(data)}: {error}") from error
