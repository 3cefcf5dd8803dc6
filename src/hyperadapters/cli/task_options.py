"""Options that the commands of `hyperadapters tasks` share, and what they list."""

from pathlib import Path
from typing import Annotated, Final

import typer

# Kept here as words, for `--help` must not wait for torch; a test compares them with the table.
RECIPE_NAMES: Final = (
    "hyperdecoder, hyperdecoder-lora, hyperencoder, hyperformer, single-adapter, "
    "adapter-per-task, full-finetuning"
)


def _list_settings(wanted: bool) -> bool:
    if not wanted:
        return wanted
    from dataclasses import fields

    from hyperadapters.methods.recipes import TaskSettings

    for setting in fields(TaskSettings):
        typer.echo(f"{setting.name} = {setting.default}\n    {setting.metadata['help']}")
    raise typer.Exit


def _list_recipes(wanted: bool) -> bool:
    if not wanted:
        return wanted
    from hyperadapters.methods.recipes import RECIPES

    for recipe in RECIPES.values():
        typer.echo(f"{recipe.name}\n    {recipe.summary}")
        if recipe.defaults:
            changed = ", ".join(f"{name}={value}" for name, value in recipe.defaults.items())
            typer.echo(f"    {changed}")
    raise typer.Exit


def _list_tasks(wanted: bool) -> bool:
    if not wanted:
        return wanted
    from hyperadapters.tasks import TASKS

    for task in TASKS.values():
        where = "files, hub" if task.hub else "files"
        typer.echo(f"{task.name} ({task.kind}; {', '.join(task.metrics)}; from {where})")
        typer.echo(f"    {task.shown_prefix}{task.source} -> {task.target}")
    raise typer.Exit


Mixture = Annotated[
    Path,
    typer.Argument(metavar="MIXTURE.yaml", help="Tasks and their files.", show_default=False),
]
Backbone = Annotated[
    str,
    typer.Option(
        "--backbone",
        metavar="B",
        help="minilm2minilm (built in), or the name or folder of an encoder-decoder of "
        "Hugging Face.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file of settings.", metavar="YAML", show_default=False),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A setting, as steps=500; may be given several times and wins over --config.",
        metavar="KEY=VALUE",
        show_default=False,
    ),
]
ListSettings = Annotated[
    bool,
    typer.Option(
        "--list-settings",
        help="Show every setting, its default and its meaning.",
        callback=_list_settings,
        is_eager=True,
    ),
]
ListRecipes = Annotated[
    bool,
    typer.Option(
        "--list-recipes",
        help="Show every recipe and what it changes.",
        callback=_list_recipes,
        is_eager=True,
    ),
]
ListTasks = Annotated[
    bool,
    typer.Option(
        "--list-tasks",
        help="Show every task that is known by name.",
        callback=_list_tasks,
        is_eager=True,
    ),
]
