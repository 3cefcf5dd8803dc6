"""One line of a table: a ratio, and what it is of."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmarks.speed.pairs import Pairs

Unit = Literal["s", "MiB"]


@dataclass(frozen=True)
class Row:
    """One ratio.

    Attributes:
        name: ``case/peer``; bars are known by it.
        ratio: What was divided by what, in words.
        shapes: On what.
        pairs: What was measured.
        unit: Of what was measured.
    """

    name: str
    ratio: str
    shapes: str
    pairs: Pairs
    unit: Unit = "s"

    def to_dict(self) -> dict[str, Any]:
        """As it is recorded: median, minimum and maximum of the ratios, and all measurements."""
        pairs = self.pairs
        return {
            "name": self.name,
            "ratio": self.ratio,
            "shapes": self.shapes,
            "unit": self.unit,
            "median": pairs.median,
            "min": pairs.minimum,
            "max": pairs.maximum,
            "first": statistics.median(pairs.first),
            "second": statistics.median(pairs.second),
            "measured": asdict(pairs),
        }
