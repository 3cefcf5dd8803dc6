"""`hyperadapters adapt`: people whom a run has never seen, from their few labels."""

from pathlib import Path
from typing import Annotated

import typer

from hyperadapters.cli.options import TEXT, Annotator, Item, JoinLabels, Label, Text


def adapt(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.", show_default=False)],
    input: Annotated[
        list[Path],
        typer.Option(
            "--input",
            metavar="FILE",
            help="Texts that the new people have labelled: all their labels, formats as for train; "
            "may be given several times.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="RUN2",
            help="Run folder to make: RUN with the new people beside the others.",
            show_default=False,
        ),
    ],
    known: Annotated[
        str,
        typer.Option(
            "--known",
            metavar="WHAT",
            help="People in FILE on whom RUN was trained: error; skip leaves their rows out; "
            "replace learns them anew from these rows alone.",
        ),
    ] = "error",
    amortised: Annotated[
        bool,
        typer.Option(
            "--amortised",
            help="Vectors in one pass of the set encoder, of a RUN trained with --set "
            "amortised=true.",
        ),
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="N",
            min=0,
            help="Newton steps at most; by default until nothing changes, with --amortised none.",
            show_default=False,
        ),
    ] = None,
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
    join_labels: JoinLabels = False,
) -> None:
    """Learn annotators that a run has never seen from their few labels.

    Only the vectors of these people are learned; nobody else changes.
    Whoever was added before is learned anew: give all their labels.

    Example: hyperadapters adapt runs/first --input new.csv --output runs/second
    """
    from hyperadapters.cli.predict import only_split
    from hyperadapters.cli.row_progress import shown_rows
    from hyperadapters.data import read_annotations
    from hyperadapters.errors import ConfigError
    from hyperadapters.experiments import load
    from hyperadapters.experiments.folder import refuse_existing

    # Before the work, not after it.
    if known not in ("error", "replace", "skip"):
        raise ConfigError(f"--known must be error, replace or skip, got {known!r}")
    refuse_existing(output)
    loaded = load(run)
    table = read_annotations(
        *input,
        text=text,
        annotator=annotator,
        label=label,
        item=item,
        allow_leaks=True,
        join_labels=join_labels,
        min_labels=1,
    )
    if split is not None:
        table = only_split(table, split, input[0])
    with shown_rows("adapting", "people") as progress:
        how = {"amortised": amortised, "steps": steps}
        made = loaded.adapt(table, output, known=known, progress=progress, **how)
    learned = set(table["annotator"]) & set(made.adapted)
    counts = sorted(int(made.record.adapted[name]["labels"]) for name in learned)
    again = len(learned & set(loaded.vocabulary.names))
    again_told = f", {again:,} of them anew" if again else ""
    typer.echo(
        f"{len(learned):,} annotators learned{again_told}, from {counts[0]:,} to {counts[-1]:,} "
        f"labels each; {made.folder.path} knows {len(made.vocabulary):,} annotators"
    )
