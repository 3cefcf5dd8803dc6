"""Runs on mixtures of tasks: every metric of every task, recipes side by side."""

from typing import Any, cast

import pandas as pd

from hyperadapters.evaluation.tasks.evaluate import UNAVERAGED
from hyperadapters.reports.figures.intervals import draw_intervals, height_of
from hyperadapters.reports.folders import Folder
from hyperadapters.reports.markup import (
    Markup,
    counted,
    element,
    interval,
    number,
    paragraph,
    table,
)
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.sections.made_by import made_by_folder
from hyperadapters.tables import read_scores
from hyperadapters.tables.frames import column_of
from hyperadapters.tasks.names import ALL

_TASK = ["slice", "metric"]


def task_sections(folder: Folder) -> list[Section]:
    """All parts of a report about tasks."""
    tables = [read_scores(run.path / "scores.json") for run in folder.runs]
    scores = pd.concat(tables, ignore_index=True)
    split = "test" if (column_of(scores, "split") == "test").any() else "dev"
    scores = scores.loc[scores["split"] == split]
    means = scores.groupby(["method", *_TASK], sort=False)[["value", "low", "high"]].mean()
    spreads = scores.groupby(["method", *_TASK], sort=False)["value"].agg(["std", "count"])
    found = means.join(spreads).reset_index()
    return [
        _summary(folder, scores, split),
        _tasks(folder, found),
        _cost(folder),
        made_by_folder(folder, folder.runs[0].record),
    ]


def _summary(folder: Folder, scores: pd.DataFrame, split: str) -> Section:
    tasks = scores.loc[scores["slice"] != ALL, "slice"].nunique()
    mixture = folder.runs[0].record.get("mixture", {}).get("name", "")
    what = (
        f"Mixture {mixture or 'without a name'}, {counted(tasks, 'task')}, split {split}: "
        f"{counted(len(folder.names), 'recipe')} ({', '.join(folder.names)}), "
        f"{counted(len(folder.runs), 'run')}."
    )
    told = (
        "Values are shares of 1 unless the metric counts words. Intervals hold 95 % of what other "
        "texts, drawn like these, would give."
    )
    return Section("summary", "In short", [paragraph(what), paragraph(told)])


def _tasks(folder: Folder, found: pd.DataFrame) -> Section:
    rows, pictures = [], []
    for key, part in found.groupby(_TASK, sort=False):
        task, metric = (str(name) for name in cast(tuple[Any, Any], key))
        of = part.set_index("method")
        best = None
        if len(of) > 1 and metric not in UNAVERAGED:
            best = float(column_of(of, "value").max())
        cells = [_cell(of.loc[n], best) if n in of.index else "-" for n in folder.names]
        shown = "all tasks" if task == ALL else task
        rows.append([shown, metric.replace("_", " "), *cells])
    caption = "Every metric of every task; the best mean of several recipes is bold"
    parts: list[Markup | list[Picture]] = [
        table(caption, ["task", "metric", *folder.names], rows, words=2)
    ]
    pictures = [_picture(found, name) for name in folder.names]
    return Section("tasks", "Tasks", [*parts, pictures])


def _cell(row: Any, best: float | None) -> Markup:
    text = number(row["value"])
    is_best = best is not None and row["value"] >= best - 1e-9
    spread = f" ± {row['std']:.3f}" if row["count"] > 1 else ""
    ends = element("small", interval(row["low"], row["high"]))
    return element("span", element("b" if is_best else "span", text), spread, Markup("<br>"), ends)


def _picture(found: pd.DataFrame, recipe: str) -> Picture:
    mine = (found["method"] == recipe) & (found["slice"] != ALL)
    part = found.loc[mine & ~found["metric"].isin(UNAVERAGED)]
    names = part["slice"] + ", " + part["metric"].str.replace("_", " ")
    data = part.assign(name=names)[["name", "slice", "metric", "value", "low", "high"]]
    data = data.reset_index(drop=True)
    caption = f"Each metric of each task under {recipe}, with its 95 % interval over texts."
    slug = "".join(c if c.isascii() and c.isalnum() else "-" for c in recipe.lower())
    return Picture(
        f"tasks-{slug}",
        f"Tasks under {recipe}",
        caption,
        data,
        lambda axes: draw_intervals(axes, data, "value"),
        height_of(len(data)),
    )


def _cost(folder: Folder) -> Section:
    rows = []
    for name in folder.names:
        runs = folder.of(name)
        seconds = [run.results["seconds"] for run in runs if "seconds" in run.results]
        mean = f"{sum(seconds) / len(seconds):,.0f}" if seconds else "-"
        parameters = runs[0].results.get("trainable_parameters", 0)
        rows.append([name, f"{parameters:,}", mean, f"{len(runs)}"])
    heads = ["recipe", "trained parameters", "seconds", "seeds"]
    caption = "Cost of a run: training, answers and scores, mean over seeds"
    return Section("cost", "Cost", [table(caption, heads, rows)])
