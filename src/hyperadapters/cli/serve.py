"""`hyperadapters serve`: a run as a web page and an API."""

from pathlib import Path
from typing import Annotated

import typer

from hyperadapters.cli.options import RunArgument
from hyperadapters.errors import ConfigError


def serve(
    run: RunArgument,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Address to listen on. Any but a loopback one needs the environment variable "
            "HYPERADAPTERS_API_KEY, which callers must send.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port; 0 for a free one.")
    ] = 8000,
    read_only: Annotated[
        bool,
        typer.Option("--read-only", help="Nobody can be learned or forgotten; RUN stays as it is."),
    ] = False,
) -> None:
    """Open a run as a web page, and as an API under /v1.

    On the page: ask everyone about a text, compose a jury, compare two wordings, say what you think
    yourself, send a table. The API's document is at /openapi.json. Ctrl-C stops.

    Example: hyperadapters serve runs/first
    """
    from hyperadapters.experiments import load

    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        what = f"serve needs {error.name}: pip install 'hyperadapters[serve]'"
        raise ConfigError(what) from None
    from hyperadapters.serving.server import serve as served

    load(Path(run))  # a folder that is none is said before anything else

    def ready(address: str) -> None:
        typer.echo(f"{run} is served at {address} (Ctrl-C stops)")

    served(run, host, port, read_only=read_only, ready=ready)
