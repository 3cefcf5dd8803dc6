"""Values with their intervals, one line for each."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hyperadapters.reports.colours import LIGHT
from hyperadapters.reports.render import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 28
"""Letters of a name that is shown whole: a task and its metric."""


def draw_intervals(axes: "Axes", data: pd.DataFrame, label: str, marked: str = "") -> None:
    """Points with their intervals beside their names, the first on top.

    Args:
        axes: Where to draw.
        data: Columns ``name, value, low, high``.
        label: Name of the axis of values.
        marked: Name of the one in another colour.
    """
    names = data["name"].astype(str).tolist()
    values, low, high = (data[name].to_numpy(np.float64) for name in ("value", "low", "high"))
    height = -np.arange(len(names))
    colours = [LIGHT["orange" if name == marked else "blue"] for name in names]
    axes.hlines(height, low, high, colors=colours, linewidth=2)
    axes.scatter(values, height, c=colours, s=34, zorder=3)
    axes.set_yticks(height, [short(name, MOST) for name in names])
    axes.set_ylim(-len(names) + 0.4, 0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(label)


def height_of(n: int) -> float:
    """Inches that `n` lines need."""
    return 0.9 + 0.3 * max(n, 2)
