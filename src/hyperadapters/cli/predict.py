"""`hyperadapters predict`: a trained run and texts in, PREDICTIONS out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyperadapters.cli.options import TEXT, Annotator, Item, Label, Text

if TYPE_CHECKING:
    import pandas as pd


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.", show_default=False)],
    input: Annotated[
        Path,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Texts, with or without annotators and labels; formats as for train.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="PREDICTIONS",
            help="File to make: .parquet, .csv or .jsonl.",
            show_default=False,
        ),
    ],
    annotators: Annotated[
        str,
        typer.Option(
            "--annotators",
            metavar="WHO",
            help="rows: the pairs in FILE; all: everyone the run knows; population: nobody in "
            "particular; or ids, separated by commas.",
        ),
    ] = "rows",
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="NAME", help="Only rows of this split.", show_default=False
        ),
    ] = None,
    text: Text = TEXT,
    annotator: Annotator = "annotator",
    label: Label = "label",
    item: Item = "text_id",
) -> None:
    """Predict what annotators would say, as a table.

    Example: hyperadapters predict runs/first --input new.csv --output new.parquet --annotators all
    """
    from hyperadapters.data import read_annotations
    from hyperadapters.experiments import load
    from hyperadapters.experiments.folder import refuse_existing
    from hyperadapters.inference import ALL, POPULATION, ROWS
    from hyperadapters.tables import check_ending, write_predictions

    # Before the work, not after it.
    check_ending(output)
    refuse_existing(output)
    loaded = load(run)
    table = read_annotations(
        input,
        text=text,
        annotator=annotator,
        label=label,
        item=item,
        allow_leaks=True,
        min_labels=0,
        needs_annotator=annotators == ROWS,
    )
    if split is not None:
        table = _only(table, split, input)
    who = annotators if annotators in (ALL, POPULATION, ROWS) else _ids(annotators)
    predictions = loaded.predict(table, who)
    write_predictions(predictions, output)
    sources = predictions["source"].value_counts()
    told = ", ".join(f"{count:,} {source}" for source, count in sources.items())
    typer.echo(f"{len(predictions):,} predictions in {output} ({told})")


def _ids(annotators: str) -> list[str]:
    from hyperadapters.errors import ConfigError

    names = [name.strip() for name in annotators.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--annotators names nobody: {annotators!r}")
    return names


def _only(table: "pd.DataFrame", split: str, source: Path) -> "pd.DataFrame":
    from hyperadapters.errors import DataError
    from hyperadapters.tables.frames import column_of, rows_of

    present = sorted(set(table["split"])) if "split" in table else []
    if split not in present:
        there = f"the splits are {', '.join(present)}" if present else "it has no column 'split'"
        raise DataError(str(source), [f"no row is of split {split!r}; {there}"])
    return rows_of(table, column_of(table, "split") == split).reset_index(drop=True)
