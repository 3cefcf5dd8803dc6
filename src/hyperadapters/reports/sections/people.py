"""How well single people are predicted."""

import numpy as np
import pandas as pd

from hyperadapters.evaluation.annotators import MIN_ROWS
from hyperadapters.reports.figures.people import (
    draw_change,
    draw_rates,
    draw_sorted,
    draw_trend,
)
from hyperadapters.reports.markup import counted
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.source import Source
from hyperadapters.reports.statistics import rank_correlation
from hyperadapters.tables.frames import column_of

MOST_PEOPLE = 1500
"""More marks in a picture would only hide each other."""

MEASURES = {"nll": "nll ↓", "macro_f1": "macro-F1 ↑"}


def people(source: Source) -> Section:
    """Scores of each annotator: against the baseline, by number of ratings, and rates."""
    found = source.people_of(source.method)
    found = found.loc[found["n"] >= MIN_ROWS] if len(found) else found
    if found.empty:
        what = f"Scores of single people: nobody has {MIN_ROWS} labelled rows."
        return Section("people", "People", missing=[what])
    drawn, told = _sampled(found)
    baseline = source.baseline
    missing = []
    if baseline is None:
        missing.append("Whom the method helps and hurts: there is no other method to compare with.")
        change = [_sorted(source, drawn, name, told) for name in MEASURES]
    else:
        other = source.people_of(baseline)
        change = [_change(source, drawn, other, name, told) for name in MEASURES]
    rates = _rates(source, drawn, told)
    by_ratings = _by_ratings(source, drawn, told)
    parts = [change, [by_ratings, rates]]
    return Section("people", "People", parts, missing)


def _sampled(found: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """At most `MOST_PEOPLE` of them, and a sentence that says so."""
    if len(found) <= MOST_PEOPLE:
        return found, ""
    told = f" Drawn are {MOST_PEOPLE:,} of {len(found):,} people, by chance."
    return found.sample(MOST_PEOPLE, random_state=0), told


def _change(
    source: Source, found: pd.DataFrame, other: pd.DataFrame, measure: str, told: str
) -> Picture:
    both = pd.DataFrame({"value": found[measure], "baseline": other[measure], "n": found["n"]})
    data = both.dropna().sort_values(["baseline", "value"]).reset_index()
    lower = measure == "nll"
    gain = (column_of(data, "baseline") - column_of(data, "value")) * (1 if lower else -1)
    helped, hurt = int((gain > 1e-9).sum()), int((gain < -1e-9).sum())
    caption = (
        f"Each line leads from a person's {_word(measure)} under {source.baseline} to that under "
        f"{source.method}: {counted(helped, 'person', 'people')} helped, {hurt:,} hurt, "
        f"{len(data) - helped - hurt:,} equal. People with at least {MIN_ROWS} rows.{told}"
    )
    return Picture(
        f"people-{measure.replace('_', '-')}",
        f"Each person's {_word(measure)}",
        caption,
        data,
        lambda axes: draw_change(axes, data, MEASURES[measure], lower_is_better=lower),
    )


def _sorted(source: Source, found: pd.DataFrame, measure: str, told: str) -> Picture:
    data = pd.DataFrame({"value": found[measure], "n": found["n"]})
    data = data.dropna().sort_values("value").reset_index()
    caption = (
        f"Each dot is a person: {_word(measure)} under {source.method}, from "
        f"{data['value'].min():.3f} to {data['value'].max():.3f}, median "
        f"{data['value'].median():.3f}. People with at least {MIN_ROWS} rows.{told}"
    )
    return Picture(
        f"people-{measure.replace('_', '-')}",
        f"Each person's {_word(measure)}",
        caption,
        data,
        lambda axes: draw_sorted(axes, data, MEASURES[measure]),
    )


def _by_ratings(source: Source, found: pd.DataFrame, told: str) -> Picture:
    data = pd.DataFrame({"ratings": found["ratings"], "value": found["nll"]}).reset_index()
    counted_in = "train" if source.train is not None else source.split
    hint = "" if source.ratings is not None else " (with --data FILE: those in train)"
    r = rank_correlation(data, "ratings", "value")
    caption = (
        f"A person's nll against the number of their ratings in {counted_in}{hint}; the line joins "
        f"medians of groups of equal size. Rank correlation {r}.{told}"
    )
    return Picture(
        "people-by-ratings",
        "Score by number of ratings",
        caption,
        data,
        lambda axes: draw_trend(axes, data, (f"ratings in {counted_in}", "nll ↓"), counts=True),
    )


def _rates(source: Source, found: pd.DataFrame, told: str) -> Picture:
    methods = [source.method] + ([source.baseline] if source.baseline else [])
    parts = []
    for method in methods:
        its = source.people_of(method)
        chosen = its.loc[its.index.isin(found.index), ["rate", "predicted_rate", "n"]]
        parts.append(chosen.reset_index().assign(method=method))
    data = pd.concat(parts, ignore_index=True)
    amount = source.amount
    mine = data.loc[data["method"] == source.method]
    rates = ("rate", "predicted_rate")
    spreads = [float(column_of(mine, name).to_numpy(np.float64).std()) for name in rates]
    caption = (
        f"Each mark is a person: the {amount.name} they gave, and the one that is expected of them "
        "(means over their rows). On the dashed line both are the same; a cloud flatter than the "
        f"line says that people are taken to be more alike than they are (standard deviation "
        f"{spreads[1]:.2f} predicted, {spreads[0]:.2f} given).{told}"
    )
    return Picture(
        "people-rates",
        "Predicted against given rate",
        caption,
        data,
        lambda axes: draw_rates(axes, data, amount.name, amount.range, methods),
        4.3,
    )


def _word(measure: str) -> str:
    return {"nll": "nll", "macro_f1": "macro-F1"}[measure]
