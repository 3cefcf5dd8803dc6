"""Scores of runs on tasks, and of recipes side by side, as a terminal shows them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from hyperadapters.experiments.tasks.summary import Summary

COLUMNS_SIDE_BY_SIDE = 4


def show(tables: Iterator[Table]) -> None:
    """Print tables to the terminal."""
    console = Console()
    for table in tables:
        console.print(table)


def score_tables(records: Sequence[Mapping[str, Any]]) -> Iterator[Table]:
    """Scores of one run on the test split, or on dev where there is no other.

    Args:
        records: Rows of SCORES.
    """
    splits = {row["split"] for row in records}
    split = "test" if "test" in splits else "dev"
    chosen = [row for row in records if row["split"] == split]
    title = f"{chosen[0]['method']}, seed {chosen[0]['seed']}, split {split}"
    table = _table(title, ("task", "metric"), ("value", "95 % interval", "n"))
    for row in chosen:
        low, high = _number(row["low"]), _number(row["high"])
        interval = "" if math.isnan(row["low"]) else f"{low} to {high}"
        texts = (row["slice"], row["metric"], _number(row["value"]), interval, f"{row['n']:,}")
        table.add_row(*map(Text, texts))
    yield table


def summary_tables(summary: "Summary") -> Iterator[Table]:
    """Recipes side by side, as many as a terminal has room for."""
    recipes = list(summary.scores)
    title = f"split {summary.split}, points of a hundred, mean ± standard deviation over seeds"
    for start in range(0, len(recipes), COLUMNS_SIDE_BY_SIDE):
        block = recipes[start : start + COLUMNS_SIDE_BY_SIDE]
        table = _table(title, ("task",), [name.replace("-", "-\n") for name in block])
        for column in summary.columns:
            cells = [summary.scores[recipe][column] for recipe in block]
            shown = [Text(cell.text, style="bold" if cell.is_best else "") for cell in cells]
            table.add_row(Text(column.replace("_", " ")), *shown)
        table.add_row("parameters", *(f"{summary.parameters[recipe]:,}" for recipe in block))
        table.add_row("seconds", *(f"{summary.seconds[recipe]:,.0f}" for recipe in block))
        yield table


def _table(title: str, words: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE, pad_edge=False)
    for name in words:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
