"""One place in the backbone that receives generated weights."""

import re
from dataclasses import dataclass

from hyperadapters.errors import SiteError


@dataclass(frozen=True)
class Site:
    """A module of the backbone that is adapted.

    Attributes:
        name: Dotted path of the module in the backbone.
        in_width: Size of the last axis of its input.
        out_width: Size of the last axis of its output.
    """

    name: str
    in_width: int
    out_width: int

    def __post_init__(self) -> None:
        if self.in_width < 1 or self.out_width < 1:
            raise SiteError(
                f"{self.name}: widths must be positive, got {self.in_width} → {self.out_width}"
            )

    @property
    def layer(self) -> int | None:
        """Number of the layer, i.e. the first number in the path; `None` outside of any layer."""
        match = re.search(r"\.(\d+)\.", f".{self.name}.")
        return int(match.group(1)) if match else None
