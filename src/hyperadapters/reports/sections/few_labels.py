"""How fast newcomers are learned: scores by the number of labels that are known of them."""

import re

import pandas as pd

from hyperadapters.evaluation import BETTER
from hyperadapters.reports.figures.curves import draw_few_labels
from hyperadapters.reports.names import ARROWS, NAMES
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.source import Source
from hyperadapters.tables import read_scores

FILE = "k_shot.json"
"""SCORES whose slices are called ``k=0``, ``k=4`` and so on."""

METRICS = ("nll", "macro_f1")
_TITLE = "Newcomers"
_SLICE = re.compile(r"k=(\d+)")


def few_labels(source: Source) -> Section:
    """The curve over k labels of a person, where there are scores of it."""
    tables = [source.scores]
    folders = dict.fromkeys([source.folder.path, *(run.path for run in source.folder.runs)])
    tables += [read_scores(path / FILE) for path in folders if (path / FILE).is_file()]
    scores = pd.concat(tables, ignore_index=True)
    k = scores["slice"].map(lambda name: _SLICE.fullmatch(str(name)))
    chosen = k.notna() & (scores["split"] == source.split)
    points = scores.loc[chosen].assign(k=[int(found[1]) for found in k[chosen]])
    drawn = [_picture(points, metric) for metric in METRICS if (points["metric"] == metric).any()]
    if not drawn:
        what = f"{_TITLE}: there are no scores by number of known labels (slices k=N, {FILE})."
        return Section("newcomers", _TITLE, missing=[what])
    return Section("newcomers", _TITLE, [drawn])


def _picture(points: pd.DataFrame, metric: str) -> Picture:
    rows = points.loc[points["metric"] == metric]
    data = rows.groupby(["method", "k"])[["value", "low", "high"]].mean().reset_index()
    methods = list(dict.fromkeys(data["method"]))
    ends = data.sort_values("k").groupby("method")["value"].agg(["first", "last"])
    told = "; ".join(f"{m} {row['first']:.3f} to {row['last']:.3f}" for m, row in ends.iterrows())
    caption = (
        f"{NAMES[metric]} of people who were not in train, by how many of their labels are known "
        f"when they are asked, with 95 % intervals over texts. From the fewest to the most: {told}."
    )
    return Picture(
        f"newcomers-{metric.replace('_', '-')}",
        f"{NAMES[metric]} by known labels",
        caption,
        data,
        lambda axes: draw_few_labels(axes, data, NAMES[metric] + ARROWS[BETTER[metric]], methods),
    )
