"""`hyperadapters rename` and `merge`: other ids for the people of a run."""

from pathlib import Path
from typing import Annotated

import typer

from hyperadapters.cli.options import People, RunArgument

To = Annotated[
    str, typer.Option("--to", metavar="NEW", help="The id that they get.", show_default=False)
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        metavar="RUN2",
        help="Run folder to make; RUN stays as it is.",
        show_default=False,
    ),
]


def rename(
    run: RunArgument,
    annotator: Annotated[
        str,
        typer.Option("--annotator", metavar="OLD", help="Id of a person.", show_default=False),
    ],
    to: To,
    output: Output,
) -> None:
    """Give a person of a run another id; nothing of the old one is left in the new folder.

    Example: hyperadapters rename runs/first --annotator a17 --to zoe --output runs/second
    """
    from hyperadapters.experiments import load

    made = load(run).rename(annotator, to, output)
    typer.echo(f"{annotator} is {to} now; in {made.folder.path}")


def merge(run: RunArgument, annotator: People, to: To, output: Output) -> None:
    """Make one person of several ids: the mean of them, weighted by their numbers of ratings.

    Example: hyperadapters merge runs/first --annotator a1 --annotator a2 --to a1 --output runs/2nd
    """
    from hyperadapters.experiments import load
    from hyperadapters.experiments.names import shares_of

    before = load(run)
    shares = shares_of(before, list(dict.fromkeys(annotator)))
    made = before.merge(annotator, to, output)
    if shares is None:
        told = "all alike: this run does not tell from how many ratings they were learned"
    else:
        told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    typer.echo(f"{to} is the mean of {told}")
    typer.echo(f"{len(made.vocabulary):,} annotators are in {made.folder.path}")
