"""What a section is made of: pieces of HTML, and pictures with the numbers behind them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from hyperadapters.reports.markup import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Picture:
    """A picture, drawn when it is needed.

    Attributes:
        name: Name of its files, of small letters and hyphens.
        title: What it shows.
        caption: How to read it, and what it says.
        data: The numbers in it.
        draw: Draws them into axes.
        height: Inches; the width is always 5.
    """

    name: str
    title: str
    caption: str
    data: pd.DataFrame
    draw: Callable[["Axes"], None]
    height: float = 3.4


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        name: Its place in the page, for links.
        title: Its heading.
        parts: Pieces of HTML and groups of pictures that stand side by side.
        missing: What could not be shown, and why: a sentence each.
    """

    name: str
    title: str
    parts: Sequence[Markup | Sequence[Picture]] = ()
    missing: Sequence[str] = field(default=())

    @property
    def pictures(self) -> list[Picture]:
        """All of its pictures."""
        return [p for part in self.parts if not isinstance(part, str) for p in part]
