"""`hyperadapters export`: people of a run as ordinary PEFT LoRA folders."""

from pathlib import Path
from typing import Annotated

import typer

from hyperadapters.cli.options import People, RunArgument


def export(
    run: RunArgument,
    annotator: People,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="DIR",
            help="Folder to make: the adapter of the one person, or a folder for each of several.",
            show_default=False,
        ),
    ],
    head: Annotated[
        bool,
        typer.Option(
            "--head/--no-head",
            help="Whether the classification head goes along, with what is the person's own in it. "
            "Some servers refuse adapters with a head; without it the logits are another's.",
        ),
    ] = True,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave folders alone that are there and whole.")
    ] = False,
) -> None:
    """Write the adapter of a person as an ordinary PEFT LoRA folder.

    --annotator is an id (may be given several times), all, or population (nobody in particular).

    Example: hyperadapters export runs/first --annotator a17 --output a17-lora
    """
    from hyperadapters.experiments import load

    whom = annotator[0] if len(annotator) == 1 else annotator
    folders = load(run).export(whom, output, include_head=head, resume=resume)
    where = folders[0] if len(folders) == 1 else output
    typer.echo(f"{len(folders):,} LoRA folder{'s' if len(folders) > 1 else ''} in {where}")
