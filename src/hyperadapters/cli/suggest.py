"""`hyperadapters suggest`: the texts that would tell most about a person."""

from pathlib import Path
from typing import Annotated

import typer

from hyperadapters.cli.options import TEXT, Item, RunArgument, Text


def suggest(
    run: RunArgument,
    annotator: Annotated[
        str,
        typer.Option(
            "--annotator",
            metavar="ID",
            help="Somebody who was added by adapt, or whom RUN does not know.",
            show_default=False,
        ),
    ],
    pool: Annotated[
        Path,
        typer.Option(
            "--pool",
            metavar="FILE",
            help="Texts that the person could be asked about, without those that they have "
            "labelled; formats as for train.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="FILE",
            help="File to make: the texts, the most telling first. .csv, .parquet or .jsonl.",
            show_default=False,
        ),
    ],
    count: Annotated[
        int, typer.Option("--count", metavar="N", help="How many texts to suggest.")
    ] = 8,
    text: Text = TEXT,
    item: Item = "text_id",
) -> None:
    """Suggest the texts of a pool whose labels would tell most about a person.

    With a column of labels added, the file is what adapt reads.

    Example: hyperadapters suggest runs/first --annotator zoe --pool texts.csv --output ask.csv
    """
    from hyperadapters.data import read_annotations
    from hyperadapters.experiments import load
    from hyperadapters.experiments.folder import refuse_existing
    from hyperadapters.tables import check_ending
    from hyperadapters.tables.pieces import write_pieces

    # Before the work, not after it.
    check_ending(output)
    refuse_existing(output)
    loaded = load(run)
    table = read_annotations(
        pool, text=text, item=item, allow_leaks=True, min_labels=0, needs_annotator=False
    )
    found = loaded.suggest(annotator, table, count)
    write_pieces([found], output)
    typer.echo(
        f"{len(found):,} of {table['text'].nunique():,} texts in {output}; together they are "
        f"expected to tell {sum(found['information']):.2f} nats about {annotator}"
    )
