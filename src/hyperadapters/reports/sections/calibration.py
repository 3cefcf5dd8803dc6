"""Whether probabilities can be believed, and what is gained by answering only where sure."""

import numpy as np
import pandas as pd

from hyperadapters.evaluation import reliability, risk_coverage
from hyperadapters.reports.figures.curves import draw_reliability, draw_risk
from hyperadapters.reports.markup import number, percent
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.source import Source

MOST_POINTS = 300


def calibration(source: Source) -> Section:
    """Reliability diagram and risk-coverage curve, of the method and its baseline."""
    if source.predictions.empty:
        what = f"Calibration: no row of split {source.split} has a label."
        return Section("calibration", "Calibration", missing=[what])
    methods = [source.method] + ([source.baseline] if source.baseline else [])
    return Section(
        "calibration", "Calibration", [[_reliability(source, methods), _risk(source, methods)]]
    )


def _reliability(source: Source, methods: list[str]) -> Picture:
    tables = [reliability(source.predictions_of(name)) for name in methods]
    data = pd.concat(tables, ignore_index=True)
    data = data.loc[data["n"] > 0]
    ece = "; ".join(f"{name} {number(source.mean('ece', name))}" for name in methods)
    caption = (
        "How often answers are right, by how sure they are (first seed): on the dashed line "
        "probabilities mean what they say, below it they promise too much. Large dots hold many "
        f"rows. Mean distance from the line (ECE): {ece}.{_temperatures(source, methods)}"
    )
    return Picture(
        "reliability",
        "Reliability",
        caption,
        data,
        lambda axes: draw_reliability(axes, data, methods),
        4.0,
    )


def _temperatures(source: Source, methods: list[str]) -> str:
    """A sentence about the temperatures that runs were given, if they were."""
    found = {name: source.folder.of(name)[0].results.get("temperature") for name in methods}
    told = "; ".join(f"{name} {number(value)}" for name, value in found.items() if value)
    return f" Logits were divided by a temperature, found on dev: {told}." if told else ""


def _risk(source: Source, methods: list[str]) -> Picture:
    tables = [risk_coverage(source.predictions_of(name)) for name in methods]
    data = pd.concat([_thinned(table) for table in tables], ignore_index=True)
    mine = tables[0]
    half = mine.loc[mine["coverage"] >= 0.5 - 1e-9].iloc[0]
    caption = (
        "Share of wrong answers if only the surest are kept (first seed): a curve that falls to "
        "the left says that unsure answers can be left to people. Of all rows "
        f"{percent(float(mine['risk'].iloc[-1]), 1)} are wrong under {methods[0]}, of the surest "
        f"{percent(float(half['coverage']))} {percent(float(half['risk']), 1)}."
    )
    return Picture(
        "risk-coverage",
        "Risk and coverage",
        caption,
        data,
        lambda axes: draw_risk(axes, data, methods),
        4.0,
    )


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_POINTS` points, evenly chosen, with both ends."""
    if len(table) <= MOST_POINTS:
        return table
    chosen = np.unique(np.linspace(0, len(table) - 1, MOST_POINTS).round().astype(int))
    return table.iloc[chosen]
