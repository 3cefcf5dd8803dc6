"""Bars of counts, and squares of people and texts."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from hyperadapters.reports.colours import LIGHT, SCALE
from hyperadapters.reports.render import short

GROUND = "#f2f3f5"
"""Behind squares, on any page: dark colours of the scale would not be seen on a dark one."""

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_counts(axes: "Axes", data: pd.DataFrame, label: str, of: str) -> None:
    """How many of something have how much.

    Args:
        axes: Where to draw.
        data: Columns ``above, up_to, n``.
        label: Name of the axis of amounts.
        of: Name of the axis of counts.
    """
    widths = data["up_to"] - data["above"]
    if len(data) == 1:  # one bar should not fill the picture
        width = float(widths.iloc[0])
        axes.set_xlim(data["above"].iloc[0] - 4 * width, data["up_to"].iloc[0] + 4 * width)
    axes.bar(data["above"], data["n"], width=widths * 0.94, align="edge", color=LIGHT["blue"])
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="x", visible=False)
    axes.set_xlabel(label)
    axes.set_ylabel(of)


def draw_shares(axes: "Axes", data: pd.DataFrame, label: str) -> None:
    """Shares of names, the first on top: columns ``name, share``."""
    place = -np.arange(len(data))
    axes.barh(place, data["share"], height=0.62, color=LIGHT["blue"])
    axes.set_yticks(place, [short(name) for name in data["name"]])
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(label)


def draw_squares(
    axes: "Axes", data: pd.DataFrame, limits: tuple[float, float], label: str, name: bool
) -> None:
    """A square for every person and text, empty where there is no answer.

    Args:
        axes: Where to draw.
        data: People × texts.
        limits: The amounts at the ends of the colours.
        label: What the amount is.
        name: Whether people are named beside their lines.
    """
    values = np.ma.masked_invalid(data.to_numpy(np.float64))
    drawn = axes.imshow(
        values,
        **{"cmap": SCALE, "vmin": limits[0], "vmax": limits[1], "aspect": "auto"},
        interpolation="nearest",
    )
    bar = axes.figure.colorbar(drawn, ax=axes, pad=0.02, aspect=28)
    bar.set_label(short(label))
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    axes.set_facecolor(GROUND)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_xlabel(f"{data.shape[1]} texts")
    if name:
        axes.set_yticks(range(len(data)), [short(who, 14) for who in data.index], fontsize=6.5)
    else:
        axes.set_yticks([])
    axes.set_ylabel(f"{len(data)} annotators")
