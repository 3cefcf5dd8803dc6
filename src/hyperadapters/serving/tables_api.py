"""The endpoints for tables: sent whole, answered in the background, fetched whole."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from hyperadapters.serving.api import PROBLEMS
from hyperadapters.serving.refusals import RefusedError
from hyperadapters.serving.schemas import Name, Problem
from hyperadapters.serving.tables import Job, Per, Tables

_CSV = {"text/csv": {"schema": {"type": "string"}}}
_BUSY: dict[int | str, dict[str, Any]] = {
    429: {"model": Problem, "description": "Too many tables are there."}
}
_GONE: dict[int | str, dict[str, Any]] = {key: PROBLEMS[key] for key in (401, 404, 422)}


def table_routes(tables: Tables) -> APIRouter:
    """The endpoints for tables."""
    router = APIRouter(tags=["tables"])

    @router.post(
        "/v1/tables",
        status_code=202,
        responses={**PROBLEMS, **_BUSY},
        openapi_extra={"requestBody": {"content": _CSV, "required": True}},
    )
    async def add(
        request: Request,
        text: Annotated[list[Name], Query(max_length=2)] = ["text"],  # noqa: B006
        per: Per = "text",
        annotators: Literal["all", "population"] = "all",
        spreadsheet: bool = False,
    ) -> dict[str, Any]:
        """Begin to answer a CSV table with a column of texts.

        With `spreadsheet`, words that a spreadsheet would take for a formula get an apostrophe.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/csv":
            raise RefusedError(415, "send the table itself, with Content-Type: text/csv")
        name, job = tables.add(
            await request.body(), text=text, per=per, who=annotators, spreadsheet=spreadsheet
        )
        return {"id": name, **_told(job)}

    @router.get("/v1/tables/{name}", responses=_GONE)
    async def progress(name: Name) -> dict[str, Any]:
        """How far a table is."""
        return _told(tables.find(name))

    @router.get(
        "/v1/tables/{name}/csv",
        response_class=FileResponse,
        responses={200: {"content": _CSV}, **_GONE, 409: {"model": Problem}},
    )
    async def fetch(name: Name) -> FileResponse:
        """The answered table."""
        job = tables.find(name)
        if job.state != "done":
            raise RefusedError(
                409, job.detail or f"{job.done} of {job.n} texts are answered so far"
            )
        return FileResponse(job.file, media_type="text/csv", filename="predictions.csv")

    @router.delete("/v1/tables/{name}", status_code=204, responses=_GONE)
    async def remove(name: Name) -> Response:
        """Stop a table, and delete what there is of it."""
        tables.remove(name)
        return Response(status_code=204)

    return router


def _told(job: Job) -> dict[str, Any]:
    return {"state": job.state, "done": job.done, "n": job.n, "detail": job.detail}
