"""TASK PREDICTIONS to SCORES: every metric of every task, and the average over tasks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from hyperadapters.errors import ConfigError, DataError, Fault
from hyperadapters.evaluation.counts import Metric
from hyperadapters.evaluation.tasks import classification, correlation, spans, texts
from hyperadapters.evaluation.tasks.answers import Answers
from hyperadapters.evaluation.tasks.intervals import Draws, draws_of, interval_of
from hyperadapters.tables.frames import column_of
from hyperadapters.tables.scores import check_scores
from hyperadapters.tables.task_predictions import check_task_predictions
from hyperadapters.tasks import Task
from hyperadapters.tasks.names import ALL, advice

TASK_METRICS: Mapping[str, Callable[[Answers], Metric]] = {
    "accuracy": classification.accuracy,
    "f1": classification.f1,
    "matthews": classification.matthews,
    "pearson": correlation.pearson,
    "spearman": correlation.spearman,
    "exact_match": spans.exact_match,
    "token_f1": spans.token_f1,
    "rouge1": texts.rouge1,
    "rouge2": texts.rouge2,
    "rougeL": texts.rouge_l,
    "rougeLsum": texts.rouge_lsum,
    "bleu": texts.bleu,
    "length": texts.length,
}
"""How each metric of `hyperadapters.tasks.METRICS` is worked out; conventions are there."""

UNAVERAGED = ("length",)
"""Metrics that are no scores, and so in no average."""

_LOWEST = {"matthews": -1.0, "pearson": -1.0, "spearman": -1.0}
_PLACES = ["method", "seed", "split"]


def evaluate_tasks(
    predictions: pd.DataFrame,
    tasks: Mapping[str, Task],
    *,
    evaluation_only: Collection[str] = (),
    intervals: bool = True,
    seed: int = 0,
) -> pd.DataFrame:
    """Score predictions against the accepted answers, every task by its own metrics.

    Rows without references are left out, and `n` is the number of rows that were scored; a task of
    which none is left has the value NaN. Each task is a slice. Slice ``all`` has the metric
    ``average``: first the mean of each task's metrics, then the mean of these over tasks, so that
    every task weighs the same however many metrics it has. (The published code takes the plain mean
    of every number, by which four ROUGEs outweigh one accuracy, and lengths count as scores.) Its
    `n` is the number of tasks it rests on: those with scored rows and at least one metric besides
    `length`. Tasks that are only evaluated have an average of their own,
    ``average_evaluation_only``.

    Args:
        predictions: TASK PREDICTIONS of any number of methods, seeds and splits, one row for each
            text (see `choose_windows`).
        tasks: The tasks by the names that the table has; slices are in this order.
        evaluation_only: Names of the tasks that were not trained on.
        intervals: Whether to bootstrap 95 % intervals over rows (200 draws; exact draws also for
            corpus metrics); else they are NaN. They are NaN with fewer than two rows, and for an
            average if they are for one of its tasks.
        seed: Seed of the bootstrap.

    Returns:
        SCORES, sorted by method, seed and split.

    Raises:
        DataError: The table is at fault, names a task that is not in `tasks`, has a true answer
            that is none of its task's, or no references at all.
        ConfigError: A task has a metric that is unknown, does not go with its kind or needs a
            package that is not installed, or `evaluation_only` names an unknown task.
    """
    table = check_task_predictions(predictions, source="predictions")
    _check_names(table, tasks, evaluation_only)
    if not any(column_of(table, "references")):
        what = "no row has a label or references, so there is nothing to score"
        raise DataError("predictions", [what])
    present = set(column_of(table, "task"))
    check_metrics([task for name, task in tasks.items() if name in present])
    records: list[dict[str, Any]] = []
    for key, group in table.groupby(_PLACES, sort=True):
        place = dict(zip(_PLACES, cast(tuple[Any, ...], key), strict=True))
        scores = _group_scores(group, tasks, set(evaluation_only), intervals, seed)
        records += [{**place, **score} for score in scores]
    return check_scores(pd.DataFrame(records), source="scores")


def check_metrics(tasks: Collection[Task]) -> None:
    """Find metrics that cannot be worked out, before hours are spent on the answers to score.

    Raises:
        ConfigError: A metric is unknown, does not go with the task (f1 of three labels, the
            correlation of words) or needs a package that is not installed.
    """
    for task in tasks:
        nothing = Answers(task, (), (), (), ())
        for name in task.metrics:
            if name not in TASK_METRICS:
                hint = advice(name, TASK_METRICS)
                raise ConfigError(f"task {task.name!r}: unknown metric {name!r}; {hint}")
            TASK_METRICS[name](nothing)


@dataclass(frozen=True)
class _Average:
    """The mean of some scores, with the bootstrap draws of it; NaN and no draws where undefined."""

    value: float
    draws: Draws
    n: int = 1

    @classmethod
    def of(cls, parts: Sequence["_Average"]) -> "_Average":
        known = [part for part in parts if part.n > 0]
        if not known:
            return cls(float("nan"), np.empty(0), 0)
        value = float(np.mean([part.value for part in known]))
        if not all(len(part.draws) for part in known):
            return cls(value, np.empty(0), len(known))
        return cls(value, np.mean([part.draws for part in known], axis=0), len(known))


def _group_scores(
    group: pd.DataFrame,
    tasks: Mapping[str, Task],
    evaluation_only: set[str],
    with_intervals: bool,
    seed: int,
) -> list[dict[str, Any]]:
    """Scores of one method, seed and split; without these three columns."""
    records: list[dict[str, Any]] = []
    averages: dict[str, list[_Average]] = {"average": [], "average_evaluation_only": []}
    names = column_of(group, "task")
    present = set(names)
    for name in (name for name in tasks if name in present):
        answers = Answers.of(group.loc[names == name], tasks[name])
        scores, average = _task_scores(answers, name, with_intervals, seed)
        records += scores
        kind = "average_evaluation_only" if name in evaluation_only else "average"
        averages[kind].append(average)
    for kind, parts in averages.items():
        if parts:
            whole = _Average.of(parts)
            ends = interval_of(whole.value, whole.draws, lowest=-1.0, highest=1.0)
            records.append(_record(ALL, kind, whole.value, ends, whole.n))
    return records


def _task_scores(
    answers: Answers, name: str, with_intervals: bool, seed: int
) -> tuple[list[dict[str, Any]], _Average]:
    """Scores of one task in one group, and the mean of those that are to be averaged."""
    n_rows = len(answers)
    metrics = [TASK_METRICS[metric](answers) for metric in answers.task.metrics]
    found = draws_of(metrics, n_rows if with_intervals else 0, seed=seed, task=name)
    records, parts = [], []
    for metric, draws in zip(metrics, found, strict=True):
        value, lowest = metric.value, _LOWEST.get(metric.name, 0.0)
        ends = interval_of(value, draws, lowest=lowest, highest=metric.highest)
        records.append(_record(name, metric.name, value, ends, n_rows))
        if metric.name not in UNAVERAGED and n_rows:
            parts.append(_Average(value, draws))
    whole = _Average.of(parts)
    return records, _Average(whole.value, whole.draws, n=min(whole.n, 1))


def _record(
    slice_name: str, metric: str, value: float, ends: tuple[float, float], n: int
) -> dict[str, Any]:
    low, high = ends
    return {
        **{"slice": slice_name, "metric": metric, "value": value},
        **{"low": low, "high": high, "n": n},
    }


def _check_names(
    table: pd.DataFrame, tasks: Mapping[str, Task], evaluation_only: Collection[str]
) -> None:
    if ALL in tasks:
        raise ConfigError(f"a task cannot be called {ALL!r}, which is the slice of the averages")
    for name in evaluation_only:
        if name not in tasks:
            raise ConfigError(f"evaluation_only: unknown task {name!r}; {advice(name, tasks)}")
    names = column_of(table, "task")
    faults = [
        Fault(
            f"unknown task {name!r}; {advice(name, tasks)}",
            tuple((np.flatnonzero(names == name) + 1).tolist()),
        )
        for name in dict.fromkeys(names)
        if name not in tasks
    ]
    if faults:
        raise DataError("predictions", faults)
