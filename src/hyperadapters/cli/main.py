"""The command `hyperadapters`: its sub-commands, and how mistakes are reported."""

import os
import sys
from typing import Annotated

import typer

from hyperadapters import __version__
from hyperadapters.cli import data, tasks
from hyperadapters.cli.adapt import adapt
from hyperadapters.cli.compare import compare
from hyperadapters.cli.demo import demo
from hyperadapters.cli.evaluate import evaluate
from hyperadapters.cli.export import export
from hyperadapters.cli.forget import forget
from hyperadapters.cli.jury import jury
from hyperadapters.cli.predict import predict
from hyperadapters.cli.rename import merge, rename
from hyperadapters.cli.report import report
from hyperadapters.cli.serve import serve
from hyperadapters.cli.suggest import suggest
from hyperadapters.cli.train import train
from hyperadapters.errors import HyperAdaptersError

MISTAKE = 2
"""Exit status when the user has to change something."""

INTERRUPTED = 130

app = typer.Typer(
    name="hyperadapters",
    help="Predict how each annotator would label a text: one small network writes an adapter of "
    "its own for everyone, for a frozen Hugging Face model.",
    epilog="Begin with: hyperadapters demo",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.add_typer(data.app, name="data")
app.command()(train)
app.command()(predict)
app.command()(evaluate)
app.command()(jury)
app.command()(compare)
app.command()(export)
app.command()(adapt)
app.command()(suggest)
app.command()(forget)
app.command()(rename)
app.command()(merge)
app.command()(report)
app.command()(serve)
app.add_typer(tasks.app, name="tasks")


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"hyperadapters {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def hyperadapters(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Predict how each annotator would label a text."""


def run() -> None:
    """Run the command line; mistakes end with one or two lines and exit status 2."""
    # Set before Transformers is imported: forked data loaders would otherwise be warned about.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(_run())


def _run() -> int:
    try:
        result = app(standalone_mode=False, prog_name="hyperadapters")
    except typer.TyperException as error:
        return _usage_mistake(error)
    except HyperAdaptersError as error:
        return _fail(str(error))
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("stopped", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        return 0
    except OSError as error:
        return _fail(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
    return result if isinstance(result, int) else 0


def _usage_mistake(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if context is None or not message:  # help was asked for by giving nothing at all
        return MISTAKE
    return _fail(f"{message}\nsee: {context.command_path} --help")


def _fail(message: str) -> int:
    typer.echo(f"error: {message}", err=True)
    return MISTAKE


if __name__ == "__main__":
    run()
