"""Lines: calibration, risk against coverage, costs and scores against an amount."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter

from hyperadapters.reports.colours import LIGHT, MARKERS, SERIES
from hyperadapters.reports.figures.people import above, plain_number
from hyperadapters.reports.render import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_reliability(axes: "Axes", data: pd.DataFrame, methods: list[str]) -> None:
    """Accuracy against confidence; areas are numbers of rows.

    Args:
        axes: Where to draw.
        data: Columns ``method, confidence, accuracy, n``.
        methods: The methods, in the order of their colours.
    """
    axes.plot([0, 1], [0, 1], color=LIGHT["soft"], linewidth=1, linestyle="--")
    for i, method in enumerate(methods):
        part = data.loc[(data["method"] == method) & (data["n"] > 0)]
        share = part["n"] / max(1, part["n"].sum())
        look: dict[str, Any] = {"color": LIGHT[SERIES[i]], "marker": MARKERS[i]}
        axes.plot(part["confidence"], part["accuracy"], linewidth=1.2, markersize=4, **look)
        axes.scatter(part["confidence"], part["accuracy"], s=300 * share, alpha=0.35, **look)
        axes.plot([], [], label=short(method), **look)
    axes.legend(**above(2))
    lowest = float(np.nanmin(data[["confidence", "accuracy"]].to_numpy(np.float64)))
    axes.set_xlim(min(0.45, lowest - 0.05), 1.02)
    axes.set_ylim(min(0.45, lowest - 0.05), 1.02)
    axes.set_xlabel("confidence (probability of the answer)")
    axes.set_ylabel("accuracy")


def draw_risk(axes: "Axes", data: pd.DataFrame, methods: list[str]) -> None:
    """Share of wrong answers among the surest; columns ``method, coverage, risk``."""
    for i, method in enumerate(methods):
        part = data.loc[data["method"] == method]
        mark: dict[str, Any] = {"marker": MARKERS[i], "markersize": 4} if len(part) < 12 else {}
        axes.plot(
            *(part["coverage"], part["risk"]),
            **{"color": LIGHT[SERIES[i]], "linewidth": 1.6, "label": short(method)},
            **{"linestyle": ("-", "--")[i % 2], **mark},
        )
    axes.legend(**above(2))
    axes.set_xlim(0, 1.02)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("coverage (share of rows that are kept)")
    axes.set_ylabel("risk (share wrong)")


def draw_parameters(axes: "Axes", data: pd.DataFrame, crossing: float, n: int) -> None:
    """Parameters against number of annotators.

    Args:
        axes: Where to draw.
        data: Column ``annotators`` and one for each way to adapt to people.
        crossing: Where the first two lines cross; NaN where they do not.
        n: How many annotators the run has.
    """
    for i, name in enumerate(data.columns[1:]):
        style: dict[str, Any] = {"color": LIGHT[SERIES[i]], "linestyle": ("-", "--", ":")[i % 3]}
        axes.plot(data["annotators"], data[name], linewidth=1.8, label=short(name, 30), **style)
    axes.axvline(n, color=LIGHT["soft"], linewidth=1)
    axes.text(n, 0.02, f" {n:,} here", transform=axes.get_xaxis_transform(), color=LIGHT["soft"])
    if np.isfinite(crossing):
        axes.axvline(crossing, color=LIGHT["soft"], linewidth=1, linestyle=":")
        where = {"transform": axes.get_xaxis_transform(), "color": LIGHT["soft"]}
        axes.text(crossing, 0.93, f" crossing at {np.ceil(crossing):,.0f}", **where)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(plain_number))
    axes.set_xlabel("annotators")
    axes.set_ylabel("trained parameters")
    axes.legend(**above(1))


def draw_few_labels(axes: "Axes", data: pd.DataFrame, label: str, methods: list[str]) -> None:
    """A score against the number of labels that are known of a person.

    Args:
        axes: Where to draw.
        data: Columns ``method, k, value, low, high``.
        label: Name of the score.
        methods: The methods, in the order of their colours.
    """
    counts = sorted(set(data["k"]))
    for i, method in enumerate(methods):
        part = data.loc[data["method"] == method].sort_values("k")
        place = [counts.index(k) for k in part["k"]]
        colour = LIGHT[SERIES[i % len(SERIES)]]
        mark = MARKERS[i % len(MARKERS)]
        axes.plot(place, part["value"], color=colour, marker=mark, label=short(method))
        axes.vlines(place, part["low"], part["high"], colors=colour, linewidth=1)
    axes.set_xticks(range(len(counts)), [str(k) for k in counts])
    axes.set_xlabel("labels that are known of a person")
    axes.set_ylabel(label)
    axes.legend(**above(2))
