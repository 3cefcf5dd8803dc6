"""The Markdown tables of `perspectives.py`: methods × data sets, and how far they are from ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import perspectives_grid as grid
from perspectives_grid import COMMAND, DIFFERENCES, METRICS, OURS

BASELINES = ("text-only", "intercept")
FEW_ROWS = 100
"""Rows by unknown people, below which no table tells of them."""


def short_table(found: Mapping[str, Any]) -> str:
    """Methods × the first data sets: nll and both macro-F1, for the README."""
    shown = [name for name in list(grid.DATASETS)[:5] if name in found]
    names = [m for m in grid.METHODS if any(m in found[d]["rows"] for d in shown)]
    lines = [f"| method | {' | '.join(shown)} | parameters |", "|" + "---|" * (2 + len(shown))]
    for method in names:
        cells = []
        for dataset in shown:
            row = found[dataset]["rows"].get(method)
            metrics = [m for m in METRICS if m != "minority_accuracy"]
            cells.append(" / ".join(_mean(row["cells"][m]) for m in metrics) if row else "")
        sizes = [
            found[d]["rows"][method]["parameters"] for d in shown if method in found[d]["rows"]
        ]
        span = (
            f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
        )
        lines.append(f"| {shown_name(method)} | {' | '.join(cells)} | {span} |")
    return "\n".join(lines) + "\n"


def _mean(cell: Sequence[Any]) -> str:
    mean, _, best, near = cell
    text = "-" if mean is None else f"{mean:.3f}"
    return f"**{text}**" if best else f"{text} ≈" if near else text


def table_of(dataset: str, found: Mapping[str, Any]) -> list[str]:
    """One data set: the methods, and how far they are from ours."""
    metrics = {**METRICS, **{m: m.replace("_", " ") for m in grid.DATASETS[dataset].further}}
    heads = ["method", *metrics.values(), "parameters", "seconds", "seeds"]
    data = found["data"]
    lines = [
        f"## {dataset}",
        "",
        f"{data['rows']:,} ratings of {data['texts']:,} texts by {data['annotators']:,} people.",
        "",
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
    ]
    for method in _methods(found):
        row = found["rows"][method]
        cells = [_spread(row["cells"].get(m)) for m in metrics]
        rest = [f"{row['parameters']:,}", f"{row['seconds']:,.0f}", str(len(row["seeds"]))]
        lines.append(f"| {' | '.join([shown_name(method), *cells, *rest])} |")
    task = grid.DATASETS[dataset].shared_task
    of_the_task = _shared_task(found, task) if task else []
    people = [*_from_ours(found), *_people(found), *_sources(found)]
    return [*lines, "", *of_the_task, *people]


def _shared_task(found: Mapping[str, Any], task: grid.SharedTask) -> list[str]:
    """The scores of the shared task, and those of others."""
    lines = [
        f"LeWiDi 2025, its own test split and its definitions: task A is `{task.soft}`, task B "
        f"`{task.perspectivist}` of the answers by `decision={task.decision}` (those of the table "
        "above are by the mode).",
        "",
        "| method | task A ↓ | task B ↓ |",
        "|---|---|---|",
    ]
    for method in _methods(found):
        soft, perspectivist = found["shared_task"][method]
        lines.append(f"| {shown_name(method)} | {soft:.3f} | {perspectivist:.3f} |")
    lines += [f"| *{name} (published)* | | {score:.3f} |" for name, score in task.published.items()]
    return [*lines, ""]


def _methods(found: Mapping[str, Any]) -> list[str]:
    return [name for name in grid.METHODS if name in found["rows"]]


def _spread(cell: Sequence[Any] | None) -> str:
    if cell is None or cell[0] is None:
        return "-"
    mean, spread, best, near = cell
    text = f"{mean:.3f}" if spread is None else f"{mean:.3f} ± {spread:.3f}"
    return f"**{text}**" if best else f"{text} ≈" if near else text


def _from_ours(found: Mapping[str, Any]) -> list[str]:
    if not found["differences"]:
        return []
    frame = pd.DataFrame(found["differences"])
    lines = [
        f"| `{OURS}` less | {' | '.join(DIFFERENCES)} |",
        "|" + "---|" * (1 + len(DIFFERENCES)),
    ]
    for method in _methods(found):
        part = frame[frame["method"] == method].set_index("metric")
        if part.empty:
            continue
        cells = []
        for metric in DIFFERENCES:
            if metric not in part.index or pd.isna(part.loc[metric, "difference"]):
                cells.append("-")
                continue
            middle, low, high = (float(part.loc[metric, c]) for c in ("difference", "low", "high"))
            text = f"{-middle:+.3f} ({-high:+.3f} to {-low:+.3f})"
            cells.append(f"**{text}**" if low > 0 or high < 0 else text)
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return [*lines, ""]


def _people(found: Mapping[str, Any]) -> list[str]:
    """How the scores of persons are spread, and how many of them a method helps and hurts."""
    covered = found["rows"][_methods(found)[0]]["cells"]["coverage_annotators"][0]
    if not covered:
        return ["Nobody has enough test rows for scores of persons.", ""]
    spread = {"median": "median", "p10": "10th percentile", "worst_decile": "worst tenth"}
    heads = ["method", *(f"macro-F1, {name}" for name in spread.values())]
    heads += [f"helped / hurt against {baseline}, %" for baseline in BASELINES]
    lines = [
        f"Of persons with at least five test rows, {100 * covered:.0f} % of all; helped and hurt, "
        "by nll:",
        "",
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
    ]
    shares = {
        (row["method"], row["baseline"]): f"{100 * row['better']:.0f} / {100 * row['worse']:.0f}"
        for row in found["helped_and_hurt"]
        if row["metric"] == "nll"
    }
    for method in _methods(found):
        of = found["rows"][method]["cells"]
        means = [of[f"annotator_macro_f1_{name}"][0] for name in spread]
        cells = ["-" if mean is None else f"{mean:.3f}" for mean in means]
        cells += [shares.get((method, baseline), "") for baseline in BASELINES]
        lines.append(f"| {shown_name(method)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _sources(found: Mapping[str, Any]) -> list[str]:
    of = found["by_source"]
    if not of:
        return []
    some = _methods(found)[0]
    known, unknown = (of[f"{some}/{source}"]["n"] for source in ("known", "population"))
    if unknown < FEW_ROWS:
        return []
    lines = [
        f"By whether the annotator has training rows ({known:,} rows) or not ({unknown:,} rows, "
        "answered for the population):",
        "",
        "| method | nll known | population | macro-F1 known | population |",
        "|---|---|---|---|---|",
    ]
    for method in _methods(found):
        cells = [
            f"{of[f'{method}/{source}'][metric]:.3f}" if f"{method}/{source}" in of else "-"
            for metric in ("nll", "macro_f1")
            for source in ("known", "population")
        ]
        lines.append(f"| {shown_name(method)} | {' | '.join(cells)} |")
    return [*lines, ""]


def shown_name(method: str) -> str:
    """A method, with its budget where that is not its own."""
    epochs = grid.BUDGET.get(method, {}).get("epochs")
    return f"{method} ({epochs} epochs)" if epochs else method


def _precisions(found: Mapping[str, Any]) -> str:
    """The precision of the runs: that of most data sets, and of which ones it is another."""
    of = {
        dataset: ", ".join(sorted({s["precision"] for s in d["settings"].values()}))
        for dataset, d in found.items()
    }
    most = max(of.values(), key=list(of.values()).count)
    others = ", ".join(f"{name}: {value}" for name, value in of.items() if value != most)
    return f"precision {most}" + (f" ({others})" if others else "")


def tables(found: Mapping[str, Any]) -> tuple[str, str]:
    """The short table, and the page of all tables."""
    some = next(iter(found.values()))
    versions = ", ".join(f"{k} {v}" for k, v in some["versions"].items())
    seeds = " or ".join(
        sorted({str(len(row["seeds"])) for d in found.values() for row in d["rows"].values()})
    )
    how = (
        "Test split; means over seeds. The best mean is bold; ≈ may be as good: the 95 % interval "
        "of its paired difference from the best, over texts and annotators, holds zero. Means are "
        "of the seeds that a method has, and not all have as many."
    )
    how += f" Defaults of the methods but for the epochs that are named and {_precisions(found)}."
    made = f"Made by `{COMMAND}` on {some['hardware']}; {versions}."
    page = ["# Methods on real ratings", "", f"{how} After ±: standard deviation over seeds."]
    page += [
        "In the second tables, of the seeds that both have, what is bold differs by more than its "
        "95 % interval. Seconds are of a run, by the clock, beside other work and its breaks. "
        "All methods that are trained are calibrated on dev; runs of before that got their "
        "temperature afterwards, from their own dev rows, as `fit` finds it.",
        "",
    ]
    for dataset in grid.DATASETS:
        if dataset in found:
            page += table_of(dataset, found[dataset])
    short = (
        f"nll ↓ / pooled macro-F1 ↑ / annotator macro-F1 ↑. {how}\n\n{short_table(found)}\n"
        f"Seeds: {seeds}, the first ones; spreads, intervals, cost and further data sets: "
        f"[all tables](docs/tables/perspectives.md). {made}\n"
    )
    return short, "\n".join([*page, made, ""])
