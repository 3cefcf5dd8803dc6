"""`hyperadapters predict`: a trained run and texts in, PREDICTIONS out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyperadapters.cli.options import TEXT, Annotator, Item, JoinLabels, Label, Text

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
        Path | None,
        typer.Option(
            "--output",
            metavar="PREDICTIONS",
            help="File to make, a row for every text and annotator: .parquet, .csv or .jsonl. "
            "May be left out where --aggregate is given.",
            show_default=False,
        ),
    ] = None,
    aggregate: Annotated[
        Path | None,
        typer.Option(
            "--aggregate",
            metavar="FILE",
            help="File to make, a row for every text: of each label mean, standard deviation and "
            "share of the people, the label most of them get, and how far they disagree.",
            show_default=False,
        ),
    ] = None,
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
    intervals: Annotated[
        bool,
        typer.Option(
            "--intervals",
            help="Add low_<label> and high_<label>, 90 % intervals of the probabilities: of people "
            "who were added by adapt, and of strangers.",
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the same command where it was stopped; nothing is lost."
        ),
    ] = False,
    text: Text = TEXT,
    annotator: Annotator = "annotator",
    label: Label = "label",
    item: Item = "text_id",
    join_labels: JoinLabels = False,
) -> None:
    """Predict what annotators would say, as a table.

    Example: hyperadapters predict runs/first --input new.csv --output new.parquet --annotators all
    """
    from hyperadapters.cli.row_progress import shown_rows
    from hyperadapters.data import read_annotations
    from hyperadapters.experiments import load
    from hyperadapters.experiments.folder import refuse_existing
    from hyperadapters.inference import ALL, POPULATION, ROWS, targets_of

    # Before the work, not after it.
    targets = targets_of(output, aggregate)
    if not resume:
        for target in targets:
            refuse_existing(target)
    loaded = load(run)
    table = read_annotations(
        input,
        text=text,
        annotator=annotator,
        label=label,
        item=item,
        allow_leaks=True,
        join_labels=join_labels,
        min_labels=0,
        needs_annotator=annotators == ROWS,
    )
    if split is not None:
        table = only_split(table, split, input)
    who = annotators if annotators in (ALL, POPULATION, ROWS) else _ids(annotators)
    with shown_rows() as progress:
        asked = loaded.predict_to(
            *(output, table, who),
            aggregate=aggregate,
            resume=resume,
            progress=progress,
            intervals=intervals,
        )
    adapted = asked.n_by(loaded.adapted)
    counts = {
        "known": asked.n_known - adapted,
        "adapted": adapted,
        "population": len(asked) - asked.n_known,
    }
    told = ", ".join(f"{count:,} {source}" for source, count in counts.items() if count)
    where = " and ".join(str(target) for target in targets)
    typer.echo(f"{len(asked):,} predictions in {where} ({told})")


def _ids(annotators: str) -> list[str]:
    from hyperadapters.errors import ConfigError

    names = [name.strip() for name in annotators.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--annotators names nobody: {annotators!r}")
    return names


def only_split(table: "pd.DataFrame", split: str, source: Path) -> "pd.DataFrame":
    """Rows of one split.

    Raises:
        DataError: There are none.
    """
    from hyperadapters.errors import DataError
    from hyperadapters.tables.frames import column_of, rows_of

    present = sorted(set(table["split"])) if "split" in table else []
    if split not in present:
        there = f"the splits are {', '.join(present)}" if present else "it has no column 'split'"
        raise DataError(str(source), [f"no row is of split {split!r}; {there}"])
    return rows_of(table, column_of(table, "split") == split).reset_index(drop=True)
