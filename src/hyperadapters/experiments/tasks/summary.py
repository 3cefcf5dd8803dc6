"""Scores of several recipes and seeds as a table: means, spreads, costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.evaluation.tasks.evaluate import UNAVERAGED
from hyperadapters.experiments.tasks.known import KnownTasks
from hyperadapters.experiments.tasks.record import TaskRecord
from hyperadapters.tables.frames import column_of, rows_of
from hyperadapters.tasks.names import ALL

AVERAGE, AVERAGE_ONLY = "average", "average_evaluation_only"


@dataclass(frozen=True)
class Cell:
    """A number of the table.

    Attributes:
        mean: Mean over seeds; NaN where there is none.
        spread: Standard deviation of a sample; NaN with one seed.
        is_best: Whether no other recipe has a higher mean.
    """

    mean: float
    spread: float = float("nan")
    is_best: bool = False

    @property
    def text(self) -> str:
        """In points of a hundred: ``71.3 ± 0.4``."""
        if np.isnan(self.mean):
            return "-"
        mean = f"{100 * self.mean:.1f}"
        return mean if np.isnan(self.spread) else f"{mean} ± {100 * self.spread:.1f}"


@dataclass(frozen=True)
class Summary:
    """Recipes side by side.

    Attributes:
        split: The split that was scored.
        scores: Recipe → column (tasks, then averages) → cell; of a task the mean of its metrics.
        metrics: ``(task, metric)`` → recipe → cell.
        parameters: Recipe → how many parameters are trained.
        seconds: Recipe → mean seconds of a run.
        seeds: Recipe → its seeds.
        metric_names: Task → its metrics.
        only_scored: Tasks that were not trained on.
    """

    split: str
    scores: dict[str, dict[str, Cell]]
    metrics: dict[tuple[str, str], dict[str, Cell]]
    parameters: dict[str, int]
    seconds: dict[str, float]
    seeds: dict[str, list[int]]
    metric_names: dict[str, tuple[str, ...]]
    only_scored: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """Columns of scores: tasks in their order, then the averages."""
        return list(next(iter(self.scores.values())))


def summarise(scores: pd.DataFrame, records: Sequence[TaskRecord], known: KnownTasks) -> Summary:
    """Mean and spread over seeds.

    Args:
        scores: SCORES of all runs.
        records: What `run.json` of each says.
        known: The tasks.
    """
    recipes = list(dict.fromkeys(record.recipe for record in records))
    splits = set(column_of(scores, "split"))
    split = "test" if "test" in splits else "dev"
    chosen = rows_of(scores, column_of(scores, "split") == split)
    values = {
        (row["method"], row["seed"], row["slice"], row["metric"]): float(row["value"])
        for row in chosen.to_dict("records")
    }
    by_recipe = {r: [record for record in records if record.recipe == r] for r in recipes}
    seeds = {r: [record.seed for record in found] for r, found in by_recipe.items()}
    names = [name for name in known.tasks if any(key[2] == name for key in values)]
    averages = [a for a in (AVERAGE, AVERAGE_ONLY) if any(key[3] == a for key in values)]

    def of(recipe: str, column: str) -> list[float]:
        if column in averages:
            return [values.get((recipe, seed, ALL, column), np.nan) for seed in seeds[recipe]]
        used = [m for m in known.tasks[column].metrics if m not in UNAVERAGED]
        rows = [[values.get((recipe, s, column, m), np.nan) for m in used] for s in seeds[recipe]]
        return [float(np.mean(row)) if row else np.nan for row in rows]

    columns = [name for name in names if set(known.tasks[name].metrics) - set(UNAVERAGED)]
    by_column = {c: _cells({r: of(r, c) for r in recipes}) for c in (*columns, *averages)}
    pairs = [(name, metric) for name in names for metric in known.tasks[name].metrics]
    metrics = {
        (name, metric): _cells(
            {r: [values.get((r, s, name, metric), np.nan) for s in seeds[r]] for r in recipes},
            marked=metric not in UNAVERAGED,
        )
        for name, metric in pairs
    }
    return Summary(
        split=split,
        scores={r: {column: cells[r] for column, cells in by_column.items()} for r in recipes},
        metrics=metrics,
        parameters={r: found[0].results["trainable_parameters"] for r, found in by_recipe.items()},
        seconds={
            r: float(np.mean([record.results["seconds"] for record in found]))
            for r, found in by_recipe.items()
        },
        seeds=seeds,
        metric_names={name: known.tasks[name].metrics for name in names},
        only_scored=tuple(name for name in names if name in known.evaluation_only),
    )


def markdown(summary: Summary, record: Mapping[str, Any], failed: Mapping[str, str]) -> str:
    """The table, and below it how it was made.

    Args:
        summary: What was found.
        record: What `compare.json` says.
        failed: Cell → why there is no score of it.
    """
    columns = summary.columns
    heads = [*(_head(name, summary) for name in columns), "trainable parameters", "seconds"]
    lines = _table(
        ["recipe", *heads],
        [
            [
                *(recipe, *map(_marked, cells.values())),
                *(f"{summary.parameters[recipe]:,}", f"{summary.seconds[recipe]:,.0f}"),
            ]
            for recipe, cells in summary.scores.items()
        ],
    )
    recipes = list(summary.scores)
    several = [name for name, metrics in summary.metric_names.items() if len(metrics) > 1]
    if several:
        lines += ["", "Every metric of tasks that have several:", ""]
        lines += _table(
            ["task", "metric", *recipes],
            [
                [task, metric, *(_shown(cells[recipe], metric) for recipe in recipes)]
                for (task, metric), cells in summary.metrics.items()
                if task in several
            ],
        )
    lines += ["", *_notes(summary, record, failed)]
    return "\n".join(lines) + "\n"


def _notes(summary: Summary, record: Mapping[str, Any], failed: Mapping[str, str]) -> list[str]:
    seeds = {recipe: ", ".join(map(str, its)) for recipe, its in summary.seeds.items()}
    same = len(set(seeds.values())) == 1
    shown = next(iter(seeds.values()))
    if not same:
        shown = "; ".join(f"{recipe}: {its}" for recipe, its in seeds.items())
    lines = [
        f"Split {summary.split}, points of a hundred; of a task the mean of its metrics. "
        "Mean ± standard deviation over seeds; the highest mean is bold. "
        "Seconds are of one run: training with its evaluations, answers and scores.",
        "",
        f"- backbone: {record['backbone']}",
        f"- seeds: {shown}",
    ]
    if summary.only_scored:
        lines.append(f"- only scored, not trained on: {', '.join(summary.only_scored)}")
    if record["settings"]:
        changed = ", ".join(f"{name}={value}" for name, value in record["settings"].items())
        lines.append(f"- settings: {changed}")
    if record["command"]:
        lines.append(f"- command: `{record['command']}`")
    lines.append("- " + ", ".join(f"{name} {v}" for name, v in record["versions"].items()))
    return lines + [f"- failed: {name}: {reason}" for name, reason in failed.items()]


def _cells(values: Mapping[str, list[float]], *, marked: bool = True) -> dict[str, Cell]:
    """Mean and spread of each recipe; the highest are marked where there is something to choose."""
    known = {recipe: [v for v in its if not np.isnan(v)] for recipe, its in values.items()}
    means = {recipe: float(np.mean(its)) if its else np.nan for recipe, its in known.items()}
    highest = max((mean for mean in means.values() if not np.isnan(mean)), default=np.nan)
    choice = marked and len(values) > 1
    return {
        recipe: Cell(
            mean=means[recipe],
            spread=float(np.std(its, ddof=1)) if len(its) > 1 else np.nan,
            is_best=choice and bool(np.isclose(means[recipe], highest, rtol=0, atol=1e-9)),
        )
        for recipe, its in known.items()
    }


def _head(column: str, summary: Summary) -> str:
    metrics = [m for m in summary.metric_names.get(column, ()) if m not in UNAVERAGED]
    shown = column.replace("_", " ") if column in (AVERAGE, AVERAGE_ONLY) else column
    return f"{shown} ({', '.join(metrics)})" if metrics else shown


def _shown(cell: Cell, metric: str) -> str:
    if metric in UNAVERAGED:  # a number of words, not a share
        return "-" if np.isnan(cell.mean) else f"{cell.mean:.1f}"
    return _marked(cell)


def _marked(cell: Cell) -> str:
    return f"**{cell.text}**" if cell.is_best else cell.text


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(heads) - 1)]
    lines = [heads, rule, *rows]
    return ["| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines]


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
