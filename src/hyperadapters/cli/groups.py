"""Tables of groups of people for the terminal."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from hyperadapters.evaluation import GroupScores

_PLACE = ["method", "seed", "split"]


def groups_of(
    predictions: "pd.DataFrame", path: Path, by: list[str], annotator: str
) -> "GroupScores":
    """How well each group of people is predicted.

    Args:
        predictions: PREDICTIONS.
        path: The file with the attributes.
        by: The attributes.
        annotator: What the file calls the annotator.
    """
    from hyperadapters.data import read_attributes
    from hyperadapters.evaluation import group_scores

    return group_scores(predictions, read_attributes(path, annotator), by)


def show_groups(found: "GroupScores") -> None:
    """Print how well each group of people is predicted, and the largest gaps."""
    from rich.console import Console

    from hyperadapters.evaluation.groups import LEAST_PEOPLE

    console = Console()
    for table in group_tables(found):
        console.print(table)
    hidden = found.scores.loc[found.scores["suppressed"]]
    for attribute, part in hidden.groupby("attribute", sort=False):
        names = ", ".join(dict.fromkeys(part["group"]))
        what = f"{attribute}: not shown, for they have fewer than {LEAST_PEOPLE} people: {names}"
        console.print(what, markup=False, highlight=False, soft_wrap=True)


def group_tables(found: "GroupScores") -> Iterator["Table"]:
    """For every attribute, method, seed and split: groups side by side with metrics, and gaps."""
    for key, part in found.scores.groupby([*_PLACE, "attribute"], sort=False):
        method, seed, split, attribute = key  # pyright: ignore[reportGeneralTypeIssues]
        same = (found.gaps[[*_PLACE, "attribute"]] == list(key)).all(axis=1)  # pyright: ignore
        title = f"{attribute}: {method}, seed {seed}, split {split}"
        yield _groups(part.loc[~part["suppressed"]], title)
        yield _gaps(found.gaps.loc[same])


def _groups(scores: "pd.DataFrame", title: str) -> "Table":
    table = _table(title, "metric", "group", "value", "95 % interval", "people", "rows")
    last = None
    for row in scores.sort_values("metric", kind="stable", key=_in_order).to_dict("records"):
        shown = row["metric"] if row["metric"] != last else ""
        last = row["metric"]
        ends = _interval(row["low"], row["high"])
        numbers = (f"{row['n_annotators']:,}", f"{row['n']:,}")
        table.add_row(shown, str(row["group"]), _number(row["value"]), ends, *numbers)
    return table


def _gaps(gaps: "pd.DataFrame") -> "Table":
    table = _table("largest gap", "metric", "gap", "95 % interval", "p", "lowest", "highest")
    for row in gaps.to_dict("records"):
        p = "" if math.isnan(row["p_value"]) else f"{row['p_value']:.3f}"
        ends = _interval(row["low"], row["high"])
        between = (str(row["lowest"]), str(row["highest"]))
        table.add_row(row["metric"], _number(row["gap"]), ends, p, *between)
    return table


def _in_order(metrics: "pd.Series") -> "pd.Series":
    """Metrics as they come first, so that a stable sort puts the groups of each together."""
    return metrics.map({name: i for i, name in enumerate(dict.fromkeys(metrics))})


def _table(title: str, *columns: str) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE, pad_edge=False)
    groups = {"group", "lowest", "highest"}
    for name in columns:
        justify: Any = "left" if name in {"metric", *groups} else "right"
        # What must give way on a narrow terminal are names of groups, not numbers.
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name not in groups)
    return table


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
