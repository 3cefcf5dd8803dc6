"""The whole service as one ASGI application."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from hyperadapters import __version__
from hyperadapters.errors import HyperAdaptersError
from hyperadapters.serving.api import asking_routes
from hyperadapters.serving.batcher import BusyError
from hyperadapters.serving.changes_api import people_routes
from hyperadapters.serving.guards import Bounded, Gate, Watched
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.metrics import Metrics
from hyperadapters.serving.refusals import RefusedError, headers_of, refusal_of, shortened
from hyperadapters.serving.served import Served
from hyperadapters.serving.tables import Tables
from hyperadapters.serving.tables_api import table_routes

PAGE = Path(str(resources.files("hyperadapters.serving"))) / "page"

_ABOUT = (
    "What each annotator of a run would say of texts. A prediction is what a model expects a "
    "person to say. It is not that person's opinion."
)


def create_app(
    run: Path,
    *,
    limits: Limits | None = None,
    key: str | None = None,
    hosts: Collection[str] | None = None,
    read_only: bool = False,
) -> FastAPI:
    """The service of a run folder.

    Args:
        run: The run folder; people who come and go are changed in it.
        limits: The limits.
        key: The API key, if one is wanted.
        hosts: Names under which the server may be called; `None` for any.
        read_only: Whether nobody may come or go.

    Raises:
        RunError: It is not a run folder, or its files are damaged.
    """
    limits, metrics = limits or Limits(), Metrics()
    served = Served(run, limits, metrics.of_batch)
    tables = Tables(served, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await tables.stop()
        served.stop()

    app = FastAPI(
        title="hyperadapters",
        version=__version__,
        description=_ABOUT,
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.served = served
    app.include_router(asking_routes(served, limits, metrics, read_only=read_only))
    app.include_router(people_routes(served, limits, read_only=read_only))
    app.include_router(table_routes(tables))

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        """The explorer."""
        return FileResponse(PAGE / "index.html", media_type="text/html; charset=utf-8")

    app.mount("/static", StaticFiles(directory=PAGE), name="static")
    for kind in (RefusedError, HyperAdaptersError, BusyError, Exception):
        app.add_exception_handler(kind, _refuse)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    # The last one is the first to see a request.
    app.add_middleware(Bounded, limits=limits)  # pyright: ignore[reportArgumentType]
    app.add_middleware(Gate, key=key, hosts=hosts)  # pyright: ignore[reportArgumentType]
    app.add_middleware(Watched, metrics=metrics, seconds=limits.whole_seconds)  # pyright: ignore[reportArgumentType]
    return app


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    refused = refusal_of(error)
    return _answer(refused.status, refused.detail)


async def _invalid(_: Request, error: Any) -> JSONResponse:
    """Says where the body is wrong, and repeats nothing of it."""
    faults = error.errors()[:5]
    status = 400 if any(fault["type"] == "json_invalid" for fault in faults) else 422
    lines = (f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in faults)
    return _answer(status, shortened("; ".join(lines).lstrip(": ")))


async def _http(_: Request, error: Any) -> JSONResponse:
    return _answer(error.status_code, shortened(str(error.detail)), error.headers or {})


def _answer(status: int, detail: str, headers: Any = None) -> JSONResponse:
    own = {name.decode(): value.decode() for name, value in headers_of(status)}
    return JSONResponse({"detail": detail}, status, {**own, **(headers or {})})
