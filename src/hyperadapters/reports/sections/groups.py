"""Whether some groups of people are served worse than others."""

import pandas as pd

from hyperadapters.evaluation import BETTER, group_scores
from hyperadapters.evaluation.groups import LEAST_PEOPLE
from hyperadapters.reports.figures.intervals import draw_intervals, height_of
from hyperadapters.reports.markup import Markup, interval, number, paragraph, table
from hyperadapters.reports.names import ARROWS, NAMES
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.source import Source

_TITLE = "Groups of people"
DRAWN = ("accuracy", "nll")


def groups(source: Source) -> Section:
    """Scores of each group and the largest gaps, for every attribute."""
    if source.attributes is None or not source.by:
        what = (
            f"{_TITLE}: no attribute of annotators is known; name some with --attributes FILE "
            "and --by ATTRIBUTE."
        )
        return Section("groups", _TITLE, missing=[what])
    if source.predictions.empty:
        what = f"{_TITLE}: no row of split {source.split} has a label."
        return Section("groups", _TITLE, missing=[what])
    rows = source.predictions_of(source.method)
    found = group_scores(rows, source.attributes, list(source.by))
    told = (
        f"Method {source.method}, first seed. Intervals draw people again within their group; p is "
        "how often people shuffled between the groups make a gap as large. Groups of fewer than "
        f"{LEAST_PEOPLE} people are not shown."
    )
    parts: list[Markup | list[Picture]] = [paragraph(told)]
    missing = []
    for attribute in source.by:
        scores = found.scores.loc[found.scores["attribute"] == attribute]
        shown = scores.loc[~scores["suppressed"]]
        if shown.empty:
            missing.append(f"Groups by {attribute}: none has {LEAST_PEOPLE} people.")
            continue
        parts.append([_picture(shown, attribute, metric) for metric in DRAWN])
        gaps = found.gaps.loc[found.gaps["attribute"] == attribute]
        parts.append(_gaps(gaps, attribute))
        hidden = list(dict.fromkeys(scores.loc[scores["suppressed"], "group"]))
        if hidden:
            names = ", ".join(map(str, hidden))
            missing.append(f"Groups by {attribute} of fewer than {LEAST_PEOPLE} people: {names}.")
    return Section("groups", _TITLE, parts if len(parts) > 1 else (), missing)


def _picture(scores: pd.DataFrame, attribute: str, metric: str) -> Picture:
    chosen = scores.loc[scores["metric"] == metric].rename(columns={"group": "name"})
    data = chosen[["name", "value", "low", "high", "n_annotators", "n"]].reset_index(drop=True)
    sizes = ", ".join(f"{row['name']} {row['n_annotators']:,}" for row in data.to_dict("records"))
    caption = (
        f"{metric} of each group by {attribute} with its 95 % interval over people. People: "
        f"{sizes}."
    )
    slug = "".join(c if c.isascii() and c.isalnum() else "-" for c in attribute.lower())
    return Picture(
        f"groups-{slug}-{metric}",
        f"{attribute}: {NAMES[metric]}",
        caption,
        data,
        lambda axes: draw_intervals(axes, data, NAMES[metric] + ARROWS[BETTER[metric]]),
        height_of(len(data)),
    )


def _gaps(gaps: pd.DataFrame, attribute: str) -> Markup:
    rows = [
        [
            str(row["metric"]).replace("_", " "),
            *(row["lowest"], row["highest"], number(row["gap"])),
            *(interval(row["low"], row["high"]), number(row["p_value"])),
        ]
        for row in gaps.to_dict("records")
    ]
    heads = ["metric", "lowest", "highest", "gap", "95 % interval", "p"]
    return table(f"Largest gaps by {attribute}", heads, rows, words=3)
