"""`hyperadapters train`: ratings in, a run folder out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hyperadapters.cli.options import (
    METHOD_NAMES,
    TEXT,
    AllowLeaks,
    Annotator,
    Attributes,
    Backbone,
    Files,
    Fold,
    Folds,
    Item,
    JoinLabels,
    Label,
    Split,
    SplitBy,
    Text,
)
from hyperadapters.cli.settings import Config, Set, add_attributes, read_settings, split_by


def _list_settings(wanted: bool) -> bool:
    if not wanted:
        return wanted
    from dataclasses import fields

    from hyperadapters.methods.settings import Settings

    for setting in fields(Settings):
        typer.echo(f"{setting.name} = {setting.default}\n    {setting.metadata['help']}")
    raise typer.Exit


def train(
    files: Files,
    output: Annotated[
        Path,
        typer.Option("--output", metavar="RUN", help="Run folder to make.", show_default=False),
    ],
    method: Annotated[
        str, typer.Option("--method", metavar="M", help=f"One of: {METHOD_NAMES}.")
    ] = "hyperlora",
    backbone: Backbone = "minilm",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Fixes every random draw.")] = 0,
    config: Config = None,
    settings: Set = None,
    text: Text = TEXT,
    annotator: Annotator = "annotator",
    label: Label = "label",
    item: Item = "text_id",
    split: Split = "split",
    by: SplitBy = "text",
    fold: Fold = "0",
    folds: Folds = "5",
    attribute: Attributes = None,
    allow_leaks: AllowLeaks = False,
    join_labels: JoinLabels = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped.")
    ] = False,
    list_settings: Annotated[
        bool,
        typer.Option(
            "--list-settings",
            help="Show every setting, its default and its meaning.",
            callback=_list_settings,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Train one model of all annotators, predict the test split, and score it.

    Example: hyperadapters train ratings.csv --output runs/first --label toxic --set epochs=4
    """
    changes = read_settings(config, settings)
    add_attributes(changes, attribute)
    how = split_by(by, fold, folds)
    if changes.get("attributes") and method == "hyperlora":
        method = "hyperlora+attributes"
    from hyperadapters.cli.progress import shown_progress
    from hyperadapters.data import read_annotations
    from hyperadapters.experiments import fit
    from hyperadapters.experiments.folder import refuse_existing
    from hyperadapters.methods import find_method

    # Before the table is read: the mistake is as clear, and the wait is shorter.
    find_method(method).settings.changed(changes)
    if not resume:
        refuse_existing(output)
    ratings = read_annotations(
        *files,
        text=text,
        annotator=annotator,
        label=label,
        item=item,
        split=split,
        allow_leaks=allow_leaks,
        join_labels=join_labels,
    )
    try:
        with shown_progress() as progress:
            run = fit(
                ratings,
                output=output,
                method=method,
                backbone=backbone,
                seed=seed,
                resume=resume,
                allow_leaks=allow_leaks,
                split=how,
                progress=progress,
                **changes,
            )
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command with --resume goes on in {output}", err=True)
        raise typer.Exit(130) from None
    _show(run)


def _show(run: Any) -> None:
    from hyperadapters.cli.evaluate import show_scores

    scores = run.scores
    show_scores(scores[scores["split"] == "test"])
    counts = run.predictions.query("split == 'test'")["source"].value_counts()
    if population := int(counts.get("population", 0)):
        typer.echo(
            f"{population} of {int(counts.sum())} test rows are by annotators whom the training "
            "data does not know; they were answered from the population"
        )
    results = run.record.results
    typer.echo(
        f"{results['trainable_parameters']:,} trainable parameters, "
        f"{results['seconds']:.0f} seconds; everything is in {run.folder.path}"
    )
