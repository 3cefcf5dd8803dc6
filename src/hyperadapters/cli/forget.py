"""`hyperadapters forget`: a run without some people."""

from pathlib import Path
from typing import Annotated

import typer

from hyperadapters.cli.options import People, RunArgument


def forget(
    run: RunArgument,
    annotator: People,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="RUN2", help="Run folder to make.", show_default=False),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace RUN itself, in one step.")
    ] = False,
) -> None:
    """Remove people from a run: their parameters, attributes, predictions and ids.

    What the parameters that all share learned from their ratings stays.

    Example: hyperadapters forget runs/first --annotator a17 --output runs/without
    """
    from hyperadapters.errors import ConfigError
    from hyperadapters.experiments import load

    if in_place == (output is not None):
        raise ConfigError("name the run to make with --output, or replace RUN with --in-place")
    made = load(run).forget(annotator, output)
    typer.echo(f"{len(annotator)} forgotten, {len(made.vocabulary):,} left; in {made.folder.path}")
