"""`hyperadapters report`: a run or a comparison as one HTML file."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyperadapters.cli.options import (
    TEXT,
    Annotator,
    AttributesFile,
    Item,
    JoinLabels,
    Label,
    Split,
    Text,
)
from hyperadapters.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_OR_DIR",
            help="A run folder, or a folder of runs such as compare makes; of annotators or of "
            "tasks.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="FILE.html",
            help="The page to write; it needs nothing from elsewhere.",
            show_default=False,
        ),
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="The ratings that the runs were made with: adds agreement of all of them, leaks, "
            "ratings in train, and the words of contested texts. May be given several times.",
            show_default=False,
        ),
    ] = None,
    attributes: AttributesFile = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="ATTRIBUTE",
            help="Group people by this column of --attributes or --data; may be given several "
            "times; gender+age takes two together. By default what a run was told of its "
            "annotators.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="M",
            help="The method of a comparison to look at closely; by default that of lowest nll.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="M",
            help="What it is compared with; by default text-only, or what is there.",
            show_default=False,
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            "--figures",
            metavar="DIR",
            help="Also write every picture here, as SVG and PNG, with its data as CSV.",
            show_default=False,
        ),
    ] = None,
    text: Text = TEXT,
    annotator: Annotator = "annotator",
    label: Label = "label",
    item: Item = "text_id",
    split: Split = "split",
    join_labels: JoinLabels = False,
) -> None:
    """Write a run, a comparison or a run on tasks as one HTML file with pictures.

    Needs Matplotlib, which comes with the extra "report" of the package.

    Example: hyperadapters report runs/all --output report.html --data ratings.csv
    """
    from hyperadapters.reports.build import report as build

    if by and not attributes and not data:
        raise ConfigError("--by ATTRIBUTE needs --attributes FILE or --data FILE")
    columns = {"text": text, "annotator": annotator, "label": label, "item": item, "split": split}
    build(
        folder,
        output,
        ratings=_ratings(data, join_labels, columns),
        attributes=_people(attributes, annotator),
        by=by or (),
        method=method,
        baseline=baseline,
        figures=figures,
        command=shlex.join(["hyperadapters", *sys.argv[1:]]),
    )
    typer.echo(
        f"the report is in {output}" + (f", its figures are in {figures}" if figures else "")
    )


def _ratings(files: list[Path] | None, join_labels: bool, columns: dict) -> "pd.DataFrame | None":
    if not files:
        return None
    from hyperadapters.data import read_annotations

    # Leaks are shown, not refused.
    return read_annotations(
        *files, allow_leaks=True, min_labels=1, join_labels=join_labels, **columns
    )


def _people(file: Path | None, annotator: str) -> "pd.DataFrame | None":
    if file is None:
        return None
    from hyperadapters.data import read_attributes

    return read_attributes(file, annotator)
