"""Methods side by side: scores with intervals, what may be as good, whom they help and hurt."""

import pandas as pd

from hyperadapters.evaluation import BETTER, helped_and_hurt, paired_differences
from hyperadapters.evaluation.paired import COMPARED
from hyperadapters.reports.figures.intervals import draw_intervals, height_of
from hyperadapters.reports.markup import (
    Markup,
    counted,
    element,
    interval,
    number,
    paragraph,
    percent,
    table,
)
from hyperadapters.reports.names import ARROWS, FURTHER, NAMES, SHOWN
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.source import BASELINES, Source
from hyperadapters.reports.statistics import mean_of
from hyperadapters.tables.frames import column_of, columns_of

DRAWN = ("nll", "annotator_macro_f1", "accuracy", "minority_accuracy")
LEAST_ROWS = 5
PERSONAL = ("text-only", "intercept")
"""Baselines against which people are helped or hurt."""


def methods(source: Source) -> Section:
    """The table of methods."""
    first = [name for name in SHOWN if name in source.metrics]
    rest = [name for name in FURTHER if name in source.metrics]
    seeds = max(len(source.folder.of(name)) for name in source.methods)
    how = "Mean over seeds ± their standard deviation" if seeds > 1 else "Value of the one seed"
    told = f"{how}; below it the 95 % interval over texts" + (" (mean of its ends)" * (seeds > 1))
    parts: list[Markup | list[Picture]] = [paragraph(told, ".")]
    near = _near_best(source)
    if len(source.methods) > 1:
        parts.append(
            paragraph(
                "The best mean of each column is bold; ≈ marks what may be as good: the 95 % "
                "interval of its paired difference from the best, over texts and annotators, "
                "holds zero."
            )
        )
    caption = f"Scores on split {source.split}"
    parts.append(_scores(source, first, near, caption))
    if len(source.methods) > 1:
        parts.append([_picture(source, m) for m in DRAWN if m in source.metrics])
        parts += _changed(source)
    further = _scores(source, rest, near, "Further metrics")
    parts.append(element("details", element("summary", "Further metrics"), further))
    parts += _by_source(source)
    return Section("methods", "Methods", parts)


def _scores(source: Source, metrics: list[str], near: set[tuple[str, str]], caption: str) -> Markup:
    best = {metric: _best(source, metric) for metric in metrics}
    rows = []
    for name in source.methods:
        cells = [
            _cell(source.values(metric, name), name == best[metric], (metric, name) in near)
            for metric in metrics
        ]
        rows.append([name, *cells])
    return table(caption, ["method", *(NAMES[m] + ARROWS[BETTER[m]] for m in metrics)], rows)


def _best(source: Source, metric: str) -> str | None:
    means = pd.Series({name: source.mean(metric, name) for name in source.methods}).dropna()
    if len(source.methods) < 2 or means.empty or BETTER[metric] == "neither":
        return None
    return str(means.idxmax() if BETTER[metric] == "higher" else means.idxmin())


def _cell(values: pd.DataFrame, is_best: bool, is_near: bool) -> Markup:
    found = column_of(values, "value").dropna()
    text = number(mean_of(values, "value"))
    shown = element("b", text) if is_best else element("span", text + " ≈" * is_near)
    spread = f" ± {found.std():.3f}" if len(found) > 1 else ""
    ends = interval(mean_of(values, "low"), mean_of(values, "high"))
    return element("span", shown, spread, Markup("<br>"), element("small", ends))


def _near_best(source: Source) -> set[tuple[str, str]]:
    """Metric and method where the difference from the best may be chance."""
    if len(source.methods) < 2:
        return set()
    asked: dict[str, list[str]] = {}
    comparable = {metric.__name__ for metric in COMPARED}
    for metric in source.metrics:
        best = _best(source, metric)
        if best is not None and metric in comparable:
            asked.setdefault(best, []).append(metric)
    stored = source.folder.path / "differences.json"
    if stored.is_file() and source.folder.comparison:
        table = pd.read_json(stored)
        parts = [
            table.loc[(table["baseline"] == b) & table["metric"].isin(m)] for b, m in asked.items()
        ]
    else:
        parts = [
            paired_differences(source.predictions, best, metrics=of) for best, of in asked.items()
        ]
    rows = pd.concat(parts, ignore_index=True).to_dict("records") if parts else []
    return {(row["metric"], row["method"]) for row in rows if row["low"] <= 0 <= row["high"]}


def _picture(source: Source, metric: str) -> Picture:
    rows = []
    for name in source.methods:
        values = source.values(metric, name)
        ends = {end: mean_of(values, end) for end in ("low", "high")}
        rows.append({"name": name, "value": source.mean(metric, name), **ends})
    data = pd.DataFrame(rows)
    label = NAMES[metric] + ARROWS[BETTER[metric]]
    caption = (
        f"The {NAMES[metric]} of every method with its 95 % interval over texts; {source.method} "
        "in orange. Intervals of two methods may overlap although one is "
        "surely better, for both answer the same rows: in the table those that may be as good "
        "as the best have ≈."
    )
    return Picture(
        f"methods-{metric.replace('_', '-')}",
        f"Methods by {NAMES[metric]}",
        caption,
        data,
        lambda axes: draw_intervals(axes, data, label, source.method),
        height_of(len(data)),
    )


def _changed(source: Source) -> list[Markup]:
    baselines = [name for name in PERSONAL if name in source.methods]
    if not baselines:
        baselines = [name for name in BASELINES if name in source.methods][:1]
    rows = []
    for baseline in baselines:
        found = helped_and_hurt(source.predictions, baseline, min_rows=LEAST_ROWS)
        for row in found.loc[found["metric"] == "nll"].to_dict("records"):
            shares = [_share(row, outcome) for outcome in ("better", "worse")]
            rows.append([row["method"], baseline, *shares, f"{row['n_annotators']:,}"])
    if not rows:
        return []
    told = (
        f"Helped and hurt: annotators with at least {LEAST_ROWS} rows whose nll is better, or "
        "worse, than under a baseline; the interval is over annotators."
    )
    heads = ["method", "baseline", "helped", "hurt", "annotators"]
    return [paragraph(told), table("Whom a method helps and hurts", heads, rows, words=2)]


def _share(row: dict, outcome: str) -> Markup:
    low, high = row[f"{outcome}_low"], row[f"{outcome}_high"]
    ends = "" if low != low else f" {percent(low)} to {percent(high)}"
    return element("span", percent(row[outcome]), element("small", ends))


def _by_source(source: Source) -> list[Markup]:
    """Scores of people that the run knows, and of those it does not, where there are both."""
    chosen = source.scores
    chosen = chosen.loc[(chosen["split"] == source.split) & (chosen["method"] == source.method)]
    kinds = [
        name for name in dict.fromkeys(chosen["slice"]) if name != "all" and "=" not in str(name)
    ]
    if not kinds:
        return []
    metrics = [name for name in ("nll", "accuracy", "macro_f1") if name in source.metrics]
    of_kind = columns_of(chosen, ["slice", "metric", "value", "low", "high", "n"])
    rows = []
    for kind in kinds:
        part = of_kind.loc[of_kind["slice"] == kind]
        rows_of_kind = part.loc[part["metric"] == "accuracy", "n"]
        n = f"{int(rows_of_kind.iloc[0]):,}" if len(rows_of_kind) else ""
        cells = [_cell(part.loc[part["metric"] == m], False, False) for m in metrics]
        rows.append([kind, *cells, n])
    told = (
        f"By where the adapter of {source.method} came from: known annotators have one of their "
        "own, those called population were not in train and get everybody's "
        f"({counted(len(kinds), 'kind')} of rows)."
    )
    heads = ["adapter", *(NAMES[m] + ARROWS[BETTER[m]] for m in metrics), "rows"]
    return [paragraph(told), table("Known people and strangers", heads, rows)]
