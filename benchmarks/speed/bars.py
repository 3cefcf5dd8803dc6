"""What has to hold, by device and name of the row."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Bar:
    """A limit on a median ratio.

    Attributes:
        sign: Whether the ratio has to be at most, or at least, the limit.
        limit: The limit.
    """

    sign: Literal["≤", "≥"]
    limit: float

    def holds(self, ratio: float) -> bool:
        """Whether a ratio keeps to it."""
        return ratio <= self.limit if self.sign == "≤" else ratio >= self.limit

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"


BARS: dict[str, dict[str, Bar]] = {
    "cpu": {
        "step/plain-lora": Bar("≤", 1.10),
        "step/row-by-row": Bar("≥", 2),
        "mixed/adapter-names": Bar("≥", 1.2),
        "epoch/popquorn_offensiveness": Bar("≥", 5),
        "epoch/crehate": Bar("≥", 8),
        "everyone/row-by-row": Bar("≥", 4),
        "beams/hyperdecoder": Bar("≥", 1.3),
        "people/1000000": Bar("≤", 1.2),
        "memory/plain-lora": Bar("≤", 1.15),
    },
    "cuda": {
        "step/plain-lora": Bar("≤", 1.15),
        "step/row-by-row-large": Bar("≥", 15),
        "mixed/adapter-names": Bar("≥", 5),
        "memory/plain-lora": Bar("≤", 1.15),
    },
}
