"""How answers are written."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hyperadapters.errors import ConfigError


@dataclass(frozen=True)
class Generation:
    """How answers are written.

    Attributes:
        num_beams: Beams of the search; 1: greedy.
        max_new_tokens: Longest answer in tokens; None: as long as the longest label word.
        min_new_tokens: Shortest answer in tokens.
    """

    num_beams: int = 1
    max_new_tokens: int | None = None
    min_new_tokens: int = 0

    def __post_init__(self) -> None:
        _refuse(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Generation":
        """The settings of a plain JSON form whose keys are fields.

        Raises:
            ConfigError: A value that cannot be used.
        """
        _refuse(plain)
        return cls(**plain)


def _refuse(values: Mapping[str, Any]) -> None:
    for name, low in (("num_beams", 1), ("max_new_tokens", 1), ("min_new_tokens", 0)):
        value = values.get(name, low)
        if name == "max_new_tokens" and value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise ConfigError(
                f"generation: {name} must be a whole number of at least {low}, got {value!r}"
            )
    shortest, longest = values.get("min_new_tokens", 0), values.get("max_new_tokens")
    if longest is not None and shortest > longest:
        raise ConfigError(
            f"generation: min_new_tokens ({shortest}) is above max_new_tokens ({longest})"
        )
