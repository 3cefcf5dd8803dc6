"""`hyperadapters compare --unseen`: methods on people whom none of them has seen."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hyperadapters.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from hyperadapters.data import SplitBy


def numbers_of(given: str, option: str) -> list[int]:
    """Whole numbers with commas between them.

    Raises:
        ConfigError: They are not.
    """
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(f"{option} wants whole numbers with commas between them, got {given!r}")
    return [int(part) for part in parts]


def show_unseen(
    ratings: "pd.DataFrame",
    methods: Sequence[str],
    seeds: Sequence[int],
    output: Path,
    how: "SplitBy",
    counts: Sequence[int],
    choices: Sequence[str],
    **settings: Any,
) -> None:
    """Run the comparison and print its tables; see `compare_unseen`."""
    from hyperadapters.cli.progress import shown_progress
    from hyperadapters.experiments.unseen import RECORD, TABLE, compare_unseen

    with shown_progress() as progress:
        found = compare_unseen(
            *(ratings, methods, seeds, output),
            **{"split": how, "counts": counts, "choices": choices, "progress": progress},
            **settings,
        )
    _show(found.scores)
    folder = found.folder.path
    typer.echo(
        f"{found.n_people:,} people whom no method has seen; the table is in {folder / TABLE}, "
        f"who they are chosen by in {folder / RECORD}"
    )


def _show(scores: "pd.DataFrame") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from hyperadapters.experiments.unseen_page import METRICS
    from hyperadapters.reports.names import NAMES

    for metric in METRICS:
        rows = scores.loc[scores["metric"] == metric]
        means = rows.groupby(["method", "slice"], sort=False)["value"].mean().unstack(sort=False)
        title = Text(f"{NAMES[metric]} by known labels, mean over seeds")
        table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
        table.add_column("method", overflow="fold")
        for name in means.columns:
            table.add_column(str(name), justify="right")
        for method, values in means.iterrows():
            table.add_row(str(method), *(f"{value:.3f}" for value in values))
        Console().print(table)
