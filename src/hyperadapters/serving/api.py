"""The endpoints that ask the run: who is in it, what people would say, whether it is well."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from hyperadapters import __version__
from hyperadapters.methods import find_method
from hyperadapters.serving.asking import predict as predicted
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.metrics import Metrics
from hyperadapters.serving.schemas import NOTICE, PredictAnswer, PredictRequest, Problem
from hyperadapters.serving.served import Served

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is not JSON."},
    401: {"model": Problem, "description": "The API key is missing or another."},
    404: {"model": Problem, "description": "Nobody is called that."},
    408: {"model": Problem, "description": "The request did not arrive in time."},
    413: {"model": Problem, "description": "The request is too large."},
    415: {"model": Problem, "description": "The body is of another type."},
    422: {"model": Problem, "description": "The request cannot be used; says why."},
    503: {"model": Problem, "description": "Too many are waiting, or it took too long."},
}


def asking_routes(
    served: Served, limits: Limits, metrics: Metrics, *, read_only: bool
) -> APIRouter:
    """The endpoints that change nothing.

    Args:
        served: The run.
        limits: The limits.
        metrics: The metrics.
        read_only: Whether people can come and go.
    """
    router = APIRouter()

    @router.get("/healthz", tags=["server"])
    async def healthz() -> dict[str, str]:
        """Whether the server is up, with its model in memory."""
        return {"status": "ok", "version": __version__}

    @router.get("/metrics", tags=["server"], response_class=Response)
    async def metrics_text() -> Response:
        """Counts and times in the text format of Prometheus."""
        metrics.waiting.set(len(served.batcher))
        metrics.people.set(len(served.current.run.vocabulary))
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/v1/run", tags=["run"], responses={401: PROBLEMS[401]})
    async def run() -> dict[str, Any]:
        """What is served: labels, method, attributes, and what can be done with it."""
        current = served.current
        record, people_map = current.run.record, current.directory.map
        method = find_method(record.method)
        return {
            "name": served.path.name,
            "method": record.method,
            "backbone": record.backbone.rpartition("/")[2],
            "labels": list(current.run.labels.names),
            "kind": current.run.labels.kind,
            "pairs": current.run.reads_pairs,
            "n_annotators": len(current.run.vocabulary),
            "attributes": current.directory.attributes,
            "simulated": current.directory.simulated,
            "map": None if people_map is None else {"share": round(people_map.share, 4)},
            "can_adapt": method.is_adaptable,
            "can_export": current.has_loras,
            "read_only": read_only,
            "notice": NOTICE,
            "limits": {
                "texts": limits.texts,
                "characters": limits.characters,
                "rows": limits.rows,
                "interval_rows": limits.interval_rows,
            },
        }

    @router.get("/v1/annotators", tags=["run"], responses={401: PROBLEMS[401]})
    async def annotators(
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> JSONResponse:
        """Who is in the run: ids, attributes, and places on the map of their vectors."""
        directory = served.current.directory
        n = len(directory.vocabulary)
        some = range(min(offset, n), min(offset + limit, n))
        found = [directory.described(index) for index in some]
        return JSONResponse({"n_annotators": n, "offset": offset, "annotators": found})

    @router.post(
        "/v1/predict",
        tags=["run"],
        response_class=JSONResponse,
        responses={200: {"model": PredictAnswer}, **PROBLEMS},
    )
    async def predict(asked: PredictRequest) -> JSONResponse:
        """What annotators, a jury or nobody in particular would say of texts."""
        return JSONResponse(await predicted(asked, served, limits))

    return router
