"""Scores of several methods and seeds as one table: means, spreads, and what is best.

The best mean of every column is bold. A method whose paired difference from the best may be zero
(its 95 % interval over texts and annotators holds it) is marked with ≈.
"""

import html as escaping
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.evaluation import BETTER, paired_differences
from hyperadapters.evaluation.paired import COMPARED
from hyperadapters.experiments.record import RunRecord
from hyperadapters.tables.frames import column_of, rows_of

SHOWN = {
    "nll": "nll",
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "annotator_macro_f1": "annotator macro-F1",
    "annotator_macro_f1_p10": "its 10th percentile",
    "minority_accuracy": "minority accuracy",
    "mae": "mean distance",
    "soft_manhattan": "soft Manhattan",
    "brier": "Brier",
    "ece": "ECE",
}
"""Metrics of the table, and what they are called there."""

BASELINES = ("text-only", "intercept")
"""Methods against which people are said to be helped or hurt."""

LEAST_ROWS = 5
"""Rows that somebody needs to be helped or hurt."""

HIGHER, LOWER = "↑", "↓"


@dataclass(frozen=True)
class Cell:
    """A number of the table.

    Attributes:
        mean: Mean over seeds; NaN where there is none.
        spread: Standard deviation of a sample; NaN with one seed.
        is_best: Whether no other method has a better mean.
        is_near_best: Whether its difference from the best may be chance.
    """

    mean: float
    spread: float = float("nan")
    is_best: bool = False
    is_near_best: bool = False

    @property
    def text(self) -> str:
        """As ``0.713 ± 0.004``."""
        if math.isnan(self.mean):
            return "-"
        mean = f"{self.mean:.3f}"
        return mean if math.isnan(self.spread) else f"{mean} ± {self.spread:.3f}"


@dataclass(frozen=True)
class Row:
    """A method of the table.

    Attributes:
        cells: Metric → number.
        changed: Baseline → shares of people helped and hurt.
        parameters: Parameters that are trained.
        seconds: Mean seconds of a run.
        seeds: Its seeds.
    """

    cells: Mapping[str, Cell]
    changed: Mapping[str, tuple[float, float]]
    parameters: int
    seconds: float
    seeds: Sequence[int]


@dataclass(frozen=True)
class Table:
    """Methods side by side.

    Attributes:
        split: The split that is scored: test, or dev where there is no other.
        metrics: Names of the metrics, in their order.
        rows: Method → its row.
    """

    split: str
    metrics: tuple[str, ...]
    rows: Mapping[str, Row]


def tabulate(
    scores: pd.DataFrame, predictions: pd.DataFrame, records: Sequence[RunRecord]
) -> tuple[Table, pd.DataFrame]:
    """Mean and spread over seeds, and how far each method is from the best.

    Args:
        scores: SCORES of all runs.
        predictions: PREDICTIONS of all runs.
        records: What `run.json` of each says.

    Returns:
        The table, and the differences from the best method of each metric.
    """
    methods = list(dict.fromkeys(record.method for record in records))
    split = "test" if (column_of(scores, "split") == "test").any() else "dev"
    predictions = rows_of(predictions, column_of(predictions, "split") == split)
    predictions = predictions.reset_index(drop=True)
    chosen = rows_of(
        scores, (column_of(scores, "split") == split) & (column_of(scores, "slice") == "all")
    )
    found = {
        (str(metric), str(method)): values.to_numpy(np.float64)
        for (metric, method), values in chosen.groupby(["metric", "method"])["value"]  # pyright: ignore
    }
    metrics = tuple(m for m in SHOWN if any(key[0] == m for key in found))
    means = {m: {name: float(np.mean(found[m, name])) for name in methods} for m in metrics}
    best = {metric: _best(of, BETTER[metric]) for metric, of in means.items()}
    differences = _from_best(predictions, best, methods)
    near = {
        (row["metric"], row["method"])
        for row in differences.to_dict("records")
        if row["low"] <= 0 <= row["high"]
    }
    of_method = {name: [r for r in records if r.method == name] for name in methods}
    rows = {
        name: Row(
            cells={
                metric: Cell(
                    means[metric][name],
                    _spread(found[metric, name]),
                    is_best=name == best[metric],
                    is_near_best=(metric, name) in near,
                )
                for metric in metrics
            },
            changed=_changed(predictions, name, methods),
            parameters=int(of_method[name][0].results["trainable_parameters"]),
            seconds=float(np.mean([r.results["seconds"] for r in of_method[name]])),
            seeds=[r.seed for r in of_method[name]],
        )
        for name in methods
    }
    return Table(split, metrics, rows), differences


def _best(means: Mapping[str, float], better: str) -> str | None:
    known = {name: mean for name, mean in means.items() if not math.isnan(mean)}
    if not known:
        return None
    return (
        max(known, key=known.__getitem__)
        if better == "higher"
        else min(known, key=known.__getitem__)
    )


def _spread(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _from_best(
    predictions: pd.DataFrame, best: Mapping[str, str | None], methods: Sequence[str]
) -> pd.DataFrame:
    """Paired differences of every metric from its best method."""
    comparable = {metric.__name__ for metric in COMPARED}
    asked: dict[str, list[str]] = {}
    for metric, name in best.items():
        if name is not None and metric in comparable and len(methods) > 1:
            asked.setdefault(name, []).append(metric)
    parts = [paired_differences(predictions, name, metrics=of) for name, of in asked.items()]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["metric"])


def _changed(
    predictions: pd.DataFrame, method: str, methods: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Baseline → shares of people whose accuracy is higher, and lower, under a method.

    Of people with at least `LEAST_ROWS` rows; accuracy is the mean over rows and seeds.
    """
    labelled = predictions.loc[predictions["label"].notna()]
    hits = (column_of(labelled, "label") == column_of(labelled, "predicted")).astype(float)
    people = labelled.assign(hit=hits).groupby(["method", "annotator"])["hit"].mean()
    one = labelled.loc[(labelled["method"] == method)]
    counts = one.groupby(["seed", "annotator"]).size().groupby("annotator").max()
    enough = counts.index[counts >= LEAST_ROWS]
    found = {}
    for baseline in BASELINES:
        if baseline in methods and baseline != method and len(enough):
            change = (people[method].loc[enough] - people[baseline].loc[enough]).to_numpy()
            found[baseline] = (float((change > 1e-12).mean()), float((change < -1e-12).mean()))
    return found


def _heads(table: Table) -> list[str]:
    arrows = {"higher": f" {HIGHER}", "lower": f" {LOWER}", "neither": ""}
    changed = [b for b in BASELINES if any(b in row.changed for row in table.rows.values())]
    return [
        "method",
        *(f"{SHOWN[metric]}{arrows[BETTER[metric]]}" for metric in table.metrics),
        *(f"helped / hurt against {baseline}" for baseline in changed),
        *("parameters", "seconds", "seeds"),
    ]


def _values(table: Table, name: str, bold: str) -> list[str]:
    row = table.rows[name]
    changed = [b for b in BASELINES if any(b in other.changed for other in table.rows.values())]
    shares = [
        "{:.0%} / {:.0%}".format(*row.changed[b]) if b in row.changed else "" for b in changed
    ]
    return [
        *(_marked(row.cells[metric], bold) for metric in table.metrics),
        *shares,
        *(f"{row.parameters:,}", f"{row.seconds:,.0f}", str(len(row.seeds))),
    ]


def _marked(cell: Cell, bold: str) -> str:
    if cell.is_best:
        return bold.format(cell.text)
    return f"{cell.text} ≈" if cell.is_near_best else cell.text


def markdown(table: Table, record: Mapping[str, Any]) -> str:
    """The table, and below it how it was made.

    Args:
        table: What was found.
        record: What `compare.json` says.
    """
    heads = _heads(table)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join([name, *_values(table, name, '**{}**')])} |" for name in table.rows]
    lines += ["", *_notes(table.split, record)]
    if any(record["cells"].values()):
        lines += ["", "Each cell by itself:", "", "```"]
        lines += [command for command in record["cells"].values() if command]
        lines.append("```")
    return "\n".join(lines) + "\n"


def _notes(split: str, record: Mapping[str, Any]) -> list[str]:
    data, versions = record["data"], record["versions"]
    lines = [
        f"Split {split}; mean ± standard deviation over seeds. The best mean is bold; ≈ marks what "
        "may be as good: the 95 % interval of its paired difference from the best, over texts and "
        f"annotators, holds zero. Helped and hurt: people with at least {LEAST_ROWS} rows whose "
        "accuracy is higher, or lower. Seconds are of one run, prediction and scores included.",
        "",
        f"- data: {data['rows']:,} ratings of {data['texts']:,} texts by {data['annotators']:,} "
        f"annotators, SHA-256 {data['sha256'][:12]}",
        f"- backbone: {record['backbone']}",
    ]
    if record["settings"]:
        changed = ", ".join(f"{name}={value}" for name, value in record["settings"].items())
        lines.append(f"- settings for all methods: {changed}")
    lines.append("- versions: " + ", ".join(f"{name} {v}" for name, v in versions.items()))
    if record["command"]:
        lines.append(f"- made by `{record['command']}`")
    for name, reason in record.get("failed", {}).items():
        lines.append(f"- failed: {name}: {reason}")
    return lines


def _small_spread(value: str) -> str:
    return re.sub("± ([0-9.]+)", r"<small>± \1</small>", value)


STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem}"
    "div{overflow-x:auto}small{opacity:.7;font-weight:normal}"
    "table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .5rem;border-bottom:1px solid #8884;text-align:right;white-space:nowrap}"
    "th{white-space:normal;vertical-align:bottom}th:first-child,td:first-child{text-align:left}"
    "code,pre{font-size:13px}pre{overflow-x:auto}:root{color-scheme:light dark}"
)


def html(table: Table, record: Mapping[str, Any]) -> str:
    """The same as a page of its own, without anything from elsewhere."""
    escape = escaping.escape
    head = "".join(f"<th>{escape(name)}</th>" for name in _heads(table))
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{value}</td>"
            for value in [escape(name), *map(_small_spread, _values(table, name, "<b>{}</b>"))]
        )
        + "</tr>\n"
        for name in table.rows
    )
    first, *rest = [line for line in _notes(table.split, record) if line]
    notes = "".join(f"<li>{escape(line.removeprefix('- '))}</li>" for line in rest)
    notes = re.sub("`([^`]*)`", r"<code>\1</code>", notes)
    commands = "\n".join(escape(c) for c in record["cells"].values() if c)
    cells = f"<h2>Each cell by itself</h2><pre>{commands}</pre>" if commands else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Methods side by side</title><style>{STYLE}</style></head><body>"
        f"<h1>Methods side by side</h1><div><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div><p>{escape(first)}</p><ul>{notes}</ul>{cells}"
        "</body></html>\n"
    )
