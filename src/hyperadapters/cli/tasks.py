"""`hyperadapters tasks`: one model for a mixture of tasks, and recipes compared on it.

Heavy imports stand inside the functions, so that ``--help`` does not wait for them.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hyperadapters.cli.settings import read_settings
from hyperadapters.cli.task_options import (
    RECIPE_NAMES,
    Backbone,
    Config,
    ListRecipes,
    ListSettings,
    ListTasks,
    Mixture,
    Set,
)

app = typer.Typer(
    help="Train one encoder-decoder on a mixture of tasks, or compare ways to do so.",
    epilog="Begin with: hyperadapters tasks train --list-tasks",
    no_args_is_help=True,
)


@app.callback()
def tasks() -> None:
    """Train one encoder-decoder on a mixture of tasks, or compare ways to do so."""


@app.command()
def train(
    mixture: Mixture,
    output: Annotated[
        Path,
        typer.Option("--output", metavar="RUN", help="Run folder to make.", show_default=False),
    ],
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="R", help=f"One of: {RECIPE_NAMES}.")
    ] = "hyperdecoder",
    backbone: Backbone = "minilm2minilm",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Fixes every random draw.")] = 0,
    config: Config = None,
    settings: Set = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped.")
    ] = False,
    list_settings: ListSettings = False,
    list_recipes: ListRecipes = False,
    list_tasks: ListTasks = False,
) -> None:
    """Train one model on all tasks, answer the dev and test splits, and score them.

    Example: hyperadapters tasks train glue.yaml --output runs/glue --set steps=1000
    """
    changes = read_settings(config, settings)
    from hyperadapters.cli.progress import shown_progress
    from hyperadapters.cli.task_tables import score_tables, show
    from hyperadapters.experiments.tasks import fit_tasks

    _check_settings(changes, [recipe])
    try:
        with shown_progress() as progress:
            run = fit_tasks(
                mixture,
                output=output,
                recipe=recipe,
                backbone=backbone,
                seed=seed,
                resume=resume,
                progress=progress,
                **changes,
            )
    except KeyboardInterrupt:
        _stopped(output)
    show(score_tables(run.scores.to_dict("records")))
    results = run.record.results
    typer.echo(
        f"{results['trainable_parameters']:,} trainable parameters, "
        f"{results['seconds']:.0f} seconds; everything is in {output}"
    )


@app.command()
def predict(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run on tasks.", show_default=False)
    ],
    task: Annotated[
        str,
        typer.Option("--task", metavar="NAME", help="One of the run's tasks.", show_default=False),
    ],
    input: Annotated[
        Path,
        typer.Option(
            "--input",
            metavar="FILE",
            help="CSV, TSV, JSONL or Parquet with the task's columns; where the answers are known, "
            "scores are shown.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="PREDICTIONS",
            help="File to make: .parquet.",
            show_default=False,
        ),
    ],
) -> None:
    """Answer the rows of a file as one of the run's tasks.

    Example: hyperadapters tasks predict runs/glue --task rte --input new.csv --output new.parquet
    """
    from hyperadapters.cli.progress import shown_progress
    from hyperadapters.cli.task_tables import score_tables, show
    from hyperadapters.errors import DataError
    from hyperadapters.experiments.folder import refuse_existing
    from hyperadapters.experiments.tasks import load_tasks
    from hyperadapters.tables.task_predictions import write_task_predictions

    # Before the work, not after it.
    if output.suffix.lower() != ".parquet":
        raise DataError(str(output), [f"unknown kind of file {output.suffix!r}; wanted .parquet"])
    refuse_existing(output)
    loaded = load_tasks(run)
    with shown_progress() as progress:
        predictions = loaded.predict(task, input, progress=progress)
    write_task_predictions(predictions, output)
    if predictions["label"].notna().to_numpy().any():
        show(score_tables(loaded.score(predictions).to_dict("records")))
    typer.echo(f"{len(predictions):,} answers in {output}")


@app.command()
def compare(
    mixture: Mixture,
    recipes: Annotated[
        str,
        typer.Option(
            "--recipes",
            metavar="R,R,...",
            help=f"Some of: {RECIPE_NAMES}.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="DIR",
            help="Folder to make: a run folder for every recipe and seed, scores.json, table.md.",
            show_default=False,
        ),
    ],
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="N,N,...", help="Seeds of every recipe.")
    ] = "0,1,2",
    backbone: Backbone = "minilm2minilm",
    config: Config = None,
    settings: Set = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep what is finished and go on with the rest; recipes and seeds may be added.",
        ),
    ] = False,
    list_settings: ListSettings = False,
    list_recipes: ListRecipes = False,
    list_tasks: ListTasks = False,
) -> None:
    """Train several recipes with several seeds, and put their scores side by side.

    Example: hyperadapters tasks compare glue.yaml --recipes hyperdecoder,hyperformer --output all
    """
    changes = read_settings(config, settings)
    names, numbers = names_of(recipes, "--recipes"), seeds_of(seeds)
    from hyperadapters.cli.progress import shown_progress
    from hyperadapters.cli.task_tables import show, summary_tables
    from hyperadapters.experiments.tasks import compare_tasks

    _check_settings(changes, names)
    arguments = [part for part in sys.argv[1:] if part != "--resume"]
    try:
        with shown_progress() as progress:
            found = compare_tasks(
                mixture,
                names,
                numbers,
                output,
                backbone=backbone,
                resume=resume,
                command=shlex.join(["hyperadapters", *arguments]),
                progress=progress,
                **changes,
            )
    except KeyboardInterrupt:
        _stopped(output)
    show(summary_tables(found.summary))
    typer.echo(f"the table is in {found.folder.table}, all scores are in {found.folder.scores}")


def _check_settings(changes: dict[str, Any], recipes: Sequence[str]) -> None:
    """Before `fit_tasks` sees them, whose own arguments bear other names."""
    from hyperadapters.methods.recipes import find_recipe

    for recipe in recipes:
        find_recipe(recipe).settings.changed(changes)


def _stopped(output: Path) -> None:
    if output.exists():
        typer.echo(f"stopped; the same command with --resume goes on in {output}", err=True)
    else:
        typer.echo("stopped before anything was written", err=True)
    raise typer.Exit(130) from None


def names_of(given: str, option: str) -> list[str]:
    """The names in an option, with commas between them."""
    from hyperadapters.errors import ConfigError

    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"{option} names nothing: {given!r}")
    return names


def seeds_of(given: str) -> list[int]:
    """The seeds in the option of that name."""
    from hyperadapters.errors import ConfigError

    names = names_of(given, "--seeds")
    wrong = [name for name in names if not name.isdecimal()]
    if wrong:
        raise ConfigError(f"--seeds wants whole numbers with commas between them, got {wrong[0]!r}")
    return [int(name) for name in names]
