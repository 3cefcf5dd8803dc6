"""`hyperadapters data submit`: predictions as the file that a shared task expects."""

from pathlib import Path
from typing import Annotated

import typer

from hyperadapters.cli.options import TaskLabels


def submit(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS",
            help="Parquet, CSV or JSONL, such as predictions.parquet of a run.",
            show_default=False,
        ),
    ],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="lewidi-soft (2025, task A: probabilities of a text's labels), "
            "lewidi-perspectivist (2025, task B: the label of each annotator), lewidi-2023 "
            "(majority and probabilities, two labels) or perseval (user_id,text_id,label).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="FILE",
            help="File to make; the tasks name it, e.g. MP_test_soft.tsv, MP_test_pe.tsv.",
            show_default=False,
        ),
    ],
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="The split to submit.")
    ] = "test",
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="M", help="Which method, of several.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Which seed, of several.", show_default=False),
    ] = None,
    labels: TaskLabels = None,
) -> None:
    """Write predictions as a submission: LeWiDi 2023 and 2025, PersEval."""
    from hyperadapters.tables.predictions import read_predictions
    from hyperadapters.tables.submissions import check_format, write_submission

    check_format(format)
    count = write_submission(
        read_predictions(predictions),
        output,
        format,
        split=split,
        method=method,
        seed=seed,
        labels=split_labels(labels),
    )
    texts = "1 text" if count == 1 else f"{count:,} texts"
    typer.echo(f"{texts} of split {split} written to {output} ({format})")


def split_labels(labels: str | None) -> list[str] | None:
    """The labels in a list with commas; None where none was given."""
    return None if labels is None else [name.strip() for name in labels.split(",")]
