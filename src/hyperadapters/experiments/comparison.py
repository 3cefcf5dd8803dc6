"""Scores of several methods and seeds as one table: means, spreads, and what is best.

The best mean of every column is bold. A method whose paired difference from the best may be zero
(its 95 % interval over texts and annotators holds it) is marked with ≈.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hyperadapters.evaluation import BETTER, helped_and_hurt, paired_differences
from hyperadapters.evaluation.helped import COLUMNS
from hyperadapters.evaluation.paired import COMPARED
from hyperadapters.experiments.record import RunRecord
from hyperadapters.reports.names import FURTHER, SHOWN
from hyperadapters.tables.frames import column_of, rows_of

BASELINES = ("text-only", "intercept")
"""Methods against which people are said to be helped or hurt."""

LEAST_ROWS = 5
"""Rows that somebody needs to be helped or hurt."""


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
        changed: Baseline → shares of people whose nll is better, and worse.
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
        metrics: Names of the metrics of the first table, in their order.
        further: Names of the metrics of the second table.
        rows: Method → its row.
    """

    split: str
    metrics: tuple[str, ...]
    further: tuple[str, ...]
    rows: Mapping[str, Row]


def tabulate(
    scores: pd.DataFrame, predictions: pd.DataFrame, records: Sequence[RunRecord]
) -> tuple[Table, pd.DataFrame, pd.DataFrame]:
    """Mean and spread over seeds, and how far each method is from the best.

    Args:
        scores: SCORES of all runs.
        predictions: PREDICTIONS of all runs.
        records: What `run.json` of each says.

    Returns:
        The table, the differences from the best method of each metric, and whom the methods help
        and hurt against each of `BASELINES` among them.
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
    runs = {name: sum(record.method == name for record in records) for name in methods}
    metrics, further = (  # a run of an earlier version may lack some
        tuple(m for m in names if all(len(found.get((m, x), ())) == n for x, n in runs.items()))
        for names in (SHOWN, FURTHER)
    )
    every = (*metrics, *further)
    means = {m: {name: float(np.mean(found[m, name])) for name in methods} for m in every}
    best = {metric: _best(of, BETTER[metric]) for metric, of in means.items()}
    people = _people(predictions, methods)
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
                for metric in every
            },
            changed=_changed(people, name),
            parameters=int(of_method[name][0].results["trainable_parameters"]),
            seconds=float(np.mean([r.results["seconds"] for r in of_method[name]])),
            seeds=[r.seed for r in of_method[name]],
        )
        for name in methods
    }
    return Table(split, metrics, further, rows), differences, people


def _best(means: Mapping[str, float], better: str) -> str | None:
    known = {name: mean for name, mean in means.items() if not math.isnan(mean)}
    if not known or better == "neither":
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


def _people(predictions: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Whom the methods help and hurt, against each baseline among them."""
    parts = [
        helped_and_hurt(predictions, baseline, min_rows=LEAST_ROWS)
        for baseline in BASELINES
        if baseline in methods and len(methods) > 1
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _changed(people: pd.DataFrame, method: str) -> dict[str, tuple[float, float]]:
    """Baseline → shares of people whose nll is better, and worse, under a method."""
    rows = people.loc[(people["method"] == method) & (people["metric"] == "nll")]
    rows = rows.loc[rows["n_annotators"] > 0]
    return {row["baseline"]: (row["better"], row["worse"]) for row in rows.to_dict("records")}
