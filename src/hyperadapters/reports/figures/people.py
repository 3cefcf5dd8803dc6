"""Pictures in which each mark is a person."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from hyperadapters.reports.colours import LIGHT, MARKERS, SCALE, SERIES
from hyperadapters.reports.render import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_GROUPS = 5
"""Groups that get a colour of their own."""


def draw_change(axes: "Axes", data: pd.DataFrame, label: str, *, lower_is_better: bool) -> None:
    """A line for each person from the baseline to the method, people sorted by the baseline.

    Args:
        axes: Where to draw.
        data: Columns ``value, baseline``, in the order of the people.
        label: Name of the axis of values.
        lower_is_better: Which way a gain goes.
    """
    value, baseline = (data[name].to_numpy(np.float64) for name in ("value", "baseline"))
    place = np.arange(len(data))
    gain = (baseline - value) if lower_is_better else (value - baseline)
    for chosen, name, marker in ((gain > 0, "blue", "o"), (gain < 0, "orange", "s")):
        colour = LIGHT[name]
        axes.vlines(place[chosen], baseline[chosen], value[chosen], colors=colour, linewidth=1.4)
        axes.scatter(place[chosen], value[chosen], c=colour, s=13, marker=marker, zorder=3)
    axes.plot(place, baseline, color=LIGHT["soft"], linewidth=1.2)
    axes.set_xlabel("annotators, sorted by the baseline")
    axes.set_ylabel(label)
    axes.legend(
        handles=[
            Line2D([], [], color=LIGHT["blue"], marker="o", markersize=4, label="helped"),
            Line2D([], [], color=LIGHT["orange"], marker="s", markersize=4, label="hurt"),
            Line2D([], [], color=LIGHT["soft"], label="baseline"),
        ],
        **above(3),
    )


def draw_sorted(axes: "Axes", data: pd.DataFrame, label: str) -> None:
    """The scores of people, sorted; column ``value``."""
    axes.scatter(np.arange(len(data)), data["value"], c=LIGHT["blue"], s=13)
    axes.set_xlabel("annotators, sorted")
    axes.set_ylabel(label)


def draw_trend(
    axes: "Axes", data: pd.DataFrame, names: tuple[str, str], *, counts: bool = False
) -> None:
    """One amount against another, with the medians of ten groups of equal size.

    Args:
        axes: Where to draw.
        data: Two columns at its end, the amount that goes to the right and that which goes up.
        names: Names of the two axes.
        counts: Whether the first are counts, which may need a logarithmic axis.
    """
    ratings, value = (data[name].to_numpy(np.float64) for name in data.columns[-2:])
    axes.scatter(ratings, value, c=LIGHT["blue"], s=14, alpha=0.75, linewidths=0)
    groups = np.array_split(np.argsort(ratings, kind="stable"), min(10, max(1, len(data) // 5)))
    if len(groups) > 1:
        middle = [[float(np.median(of[group])) for group in groups] for of in (ratings, value)]
        axes.plot(*middle, color=LIGHT["orange"], marker="s", markersize=4, label="median")
        axes.legend(**above(1))
    if counts and ratings.min() > 0 and ratings.max() > 20 * ratings.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])


def draw_rates(
    axes: "Axes", data: pd.DataFrame, name: str, limits: tuple[float, float], methods: list[str]
) -> None:
    """Predicted against true rate of each person, for up to two methods.

    Args:
        axes: Where to draw.
        data: Columns ``method, rate, predicted_rate``.
        name: What the rate is.
        limits: Its least and greatest value.
        methods: The methods, the first of them in front.
    """
    axes.plot(limits, limits, color=LIGHT["soft"], linewidth=1, linestyle="--")
    for i, method in reversed(list(enumerate(methods))):
        part = data.loc[data["method"] == method]
        axes.scatter(
            part["rate"],
            part["predicted_rate"],
            **{"c": LIGHT[SERIES[i]], "marker": MARKERS[i], "s": 18, "linewidths": 0},
            **{"alpha": 0.8, "label": short(method)},
        )
    if len(methods) > 1:
        axes.legend(**above(2))
    axes.set_xlabel(f"{short(name)}, given")
    axes.set_ylabel(f"{short(name)}, predicted")
    pad = 0.03 * (limits[1] - limits[0])
    axes.set_xlim(limits[0] - pad, limits[1] + pad)
    axes.set_ylim(limits[0] - pad, limits[1] + pad)
    axes.set_aspect("equal")


def draw_map(axes: "Axes", data: pd.DataFrame, colour: str, label: str) -> None:
    """People as points, coloured by an amount.

    Args:
        axes: Where to draw.
        data: Columns ``first, second`` and that of the colour.
        colour: The column.
        label: What it is.
    """
    drawn = axes.scatter(
        *(data["first"], data["second"]),
        **{"c": data[colour], "cmap": SCALE, "s": 30, "edgecolors": LIGHT["soft"]},
        linewidths=0.6,
    )
    bar = axes.figure.colorbar(drawn, ax=axes, pad=0.02, aspect=28)
    bar.set_label(short(label))
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    _name_components(axes)


def draw_groups(axes: "Axes", data: pd.DataFrame) -> None:
    """People as points, coloured by their group: columns ``first, second, group``."""
    sizes = data["group"].value_counts(sort=True)
    shown = list(sizes.index[:MOST_GROUPS])
    rest = data.loc[~data["group"].isin(shown)]
    axes.scatter(rest["first"], rest["second"], c=LIGHT["line"], s=20, label=None)
    for i, group in enumerate(shown):
        part = data.loc[data["group"] == group]
        axes.scatter(
            *(part["first"], part["second"]),
            **{"c": LIGHT[SERIES[i]], "marker": MARKERS[i], "s": 24, "linewidths": 0},
            label=short(group, 24),
        )
    axes.legend(**above(2 if any(len(str(group)) > 12 for group in shown) else 3))
    _name_components(axes)


def _name_components(axes: "Axes") -> None:
    axes.set_xlabel("first component")
    axes.set_ylabel("second component")


def plain_number(value: float, _place: int | None = None) -> str:
    """A number on a logarithmic axis, without the powers that would need a formula."""
    return f"{value:,.12g}"


def above(columns: int) -> dict[str, Any]:
    """A legend above the axes, out of the way of the points."""
    return {
        **{"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": columns},
        **{"borderaxespad": 0.2, "handletextpad": 0.4, "columnspacing": 1.2},
    }
