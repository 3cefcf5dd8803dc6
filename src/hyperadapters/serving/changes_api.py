"""The endpoints about single people: learned, removed, taken along."""

from typing import Any

import pandas as pd
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from hyperadapters.experiments.export import folder_name
from hyperadapters.serving.api import PROBLEMS
from hyperadapters.serving.asking import awaited, check_names, check_text, checked_texts
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.refusals import RefusedError
from hyperadapters.serving.schemas import (
    AdaptRequest,
    ExportRequest,
    ForgetRequest,
    NewcomerRequest,
    Problem,
    Rating,
)
from hyperadapters.serving.served import Current, Served, check_known
from hyperadapters.serving.summaries import DIGITS

_CHANGES: dict[int | str, dict[str, Any]] = {
    **PROBLEMS,
    403: {"model": Problem, "description": "The server was started read-only."},
    409: {"model": Problem, "description": "The run folder cannot be changed; nothing was."},
}


def people_routes(served: Served, limits: Limits, *, read_only: bool) -> APIRouter:
    """The endpoints about single people.

    Args:
        served: The run.
        limits: The limits.
        read_only: Whether people can come and go.
    """
    router = APIRouter(tags=["people"])

    @router.post("/v1/adapt", response_class=JSONResponse, responses=_CHANGES)
    async def adapt(asked: AdaptRequest) -> dict[str, Any]:
        """Learn people from all their labels, and put them into the run folder.

        Whoever was learned before is learned anew. The folder is replaced in one step.
        """
        _check_open(read_only)
        ratings = frame_of(asked.ratings, served.current, limits)
        ratings["annotator"] = [rating.annotator for rating in asked.ratings]
        check_names(ratings["annotator"].unique().tolist())
        for name in sorted({name for rating in asked.ratings for name in rating.attributes}):
            if name not in served.current.directory.attributes:
                raise RefusedError(422, f"the run is told no attribute {name!r}")
            ratings[name] = [rating.attributes.get(name) for rating in asked.ratings]
        current = await awaited(served.adapt(ratings, asked.known), limits, patiently=True)
        learned = [name for name in current.directory.adapted if name in set(ratings["annotator"])]
        return {
            "learned": {name: current.directory.adapted[name] for name in learned},
            "n_annotators": len(current.run.vocabulary),
        }

    @router.post("/v1/newcomer", response_class=JSONResponse, responses=PROBLEMS)
    async def newcomer(asked: NewcomerRequest) -> JSONResponse:
        """What somebody would say, by labels that are sent along; nothing is kept or changed."""
        current = served.current
        texts, pairs = checked_texts(asked.texts, current, limits)
        table = pd.DataFrame({"text": texts, **({} if pairs is None else {"text_pair": pairs})})
        ratings = frame_of(asked.ratings, current, limits)
        found = await awaited(served.glimpse(ratings, table), limits)
        people_map = current.directory.map
        place = None if people_map is None else people_map.place_of(found.vector)
        return JSONResponse(
            {
                "labels": list(current.run.labels.names),
                "place": None if place is None else [round(float(x), 5) for x in place],
                "texts": [
                    {
                        "p": found.p[text].round(DIGITS).tolist(),
                        "low": found.low[text].round(DIGITS).tolist(),
                        "high": found.high[text].round(DIGITS).tolist(),
                    }
                    for text in range(len(texts))
                ],
            }
        )

    @router.post("/v1/forget", response_class=JSONResponse, responses=_CHANGES)
    async def forget(asked: ForgetRequest) -> dict[str, Any]:
        """Remove people from the run folder, in one step.

        What the parameters that all share learned from their ratings stays.
        """
        _check_open(read_only)
        check_known(served.current, asked.annotators)
        names = list(dict.fromkeys(asked.annotators))
        current = await awaited(served.forget(names), limits, patiently=True)
        return {"n_annotators": len(current.run.vocabulary)}

    @router.post(
        "/v1/export",
        response_class=Response,
        responses={200: {"content": {"application/zip": {}}}, **PROBLEMS},
    )
    async def export(asked: ExportRequest) -> Response:
        """Somebody's adapter as an ordinary PEFT LoRA folder, in a zip file."""
        check_known(served.current, [asked.annotator])
        content = await awaited(served.export(asked.annotator, include_head=asked.head), limits)
        name = f"{folder_name(asked.annotator)}-lora.zip"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type="application/zip", headers=headers)

    return router


def frame_of(ratings: "list[Any]", current: Current, limits: Limits) -> pd.DataFrame:
    """Ratings as a table: `text`, `label`, for pairs `text_pair`.

    Raises:
        RefusedError: There are too many, a text is empty or too long, or pairs stand where the run
            reads single texts or the other way round.
    """
    if len(ratings) > limits.labels:
        raise RefusedError(
            422, f"{len(ratings):,} labels; at most {limits.labels:,} go in a request"
        )
    table = pd.DataFrame(
        {
            "text": pd.Series([rating.text for rating in ratings], dtype=object),
            "label": pd.Series([_label_of(rating, current) for rating in ratings], dtype=object),
        }
    )
    for number, rating in enumerate(ratings, start=1):
        check_text(rating.text, f"text {number}", limits)
        if (rating.text_pair is not None) != current.run.reads_pairs:
            wanted = "pairs: text and text_pair" if current.run.reads_pairs else "single texts"
            raise RefusedError(422, f"the run reads {wanted}; rating {number} is not")
        if rating.text_pair is not None:
            check_text(rating.text_pair, f"second text {number}", limits)
    if current.run.reads_pairs:
        table["text_pair"] = [rating.text_pair for rating in ratings]
    return table


def _label_of(rating: Rating, current: Current) -> str | int:
    """A label as the run writes it, whether it was sent as a number or as text."""
    labels = current.run.labels.names
    found = next((name for name in labels if str(name) == str(rating.label)), None)
    if found is None:
        raise RefusedError(
            422, f"labels are {', '.join(map(str, labels))}; got {str(rating.label)!r}"
        )
    return found


def _check_open(read_only: bool) -> None:
    if read_only:
        raise RefusedError(403, "this server was started read-only; nobody comes or goes")
