"""From a request to a checked question, and from the model's answer to that of the server."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Int

from hyperadapters.errors import ConfigError
from hyperadapters.evaluation.jury import verdicts_of
from hyperadapters.inference import ALL, POPULATION
from hyperadapters.serving.bounds import Bounds, check_bounds
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.refusals import RefusedError
from hyperadapters.serving.schemas import NOTICE, Jury, PredictRequest
from hyperadapters.serving.served import Answer, Current, Question, Served, check_known
from hyperadapters.serving.summaries import DIGITS, summaries_of

Found = TypeVar("Found")


async def awaited(future: "Future[Found]", limits: Limits, *, patiently: bool = False) -> Found:
    """What a future brings, within the time of an answer.

    Args:
        future: The future.
        limits: The limits.
        patiently: Whether it is waited for however long it takes: what changes the run cannot be
            given up half way, and whoever asked for it wants to know whether it was done.

    Raises:
        RefusedError: It takes too long; whoever still waits in the queue is taken out of it.
    """
    seconds = None if patiently else limits.answer_seconds
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
    except TimeoutError:
        detail = f"there was no answer within {seconds:g} seconds; ask for less"
        raise RefusedError(503, detail) from None


def checked_texts(
    texts: Sequence[str | list[str]], current: Current, limits: Limits
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """First texts and second texts.

    Raises:
        RefusedError: There are too many, one is empty or too long, or pairs stand where the run
            reads single texts or the other way round.
    """
    if len(texts) > limits.texts:
        raise RefusedError(422, f"{len(texts):,} texts; at most {limits.texts:,} go in a request")
    pairs = current.run.reads_pairs
    for number, text in enumerate(texts, start=1):
        if isinstance(text, list) != pairs:
            wanted = "pairs of texts, [first, second]" if pairs else "single texts"
            raise RefusedError(422, f"the run reads {wanted}; text {number} is not")
        for part in text if isinstance(text, list) else [text]:
            check_text(part, f"text {number}", limits)
    if not pairs:
        return tuple(map(str, texts)), None
    return tuple(text[0] for text in texts), tuple(text[1] for text in texts)


def check_text(text: str, what: str, limits: Limits) -> None:
    """Refuse what no model could read.

    Raises:
        RefusedError: The text is empty or too long.
    """
    if not text.strip():
        raise RefusedError(422, f"{what} is empty")
    if len(text) > limits.characters:
        most = f"{limits.characters:,}"
        raise RefusedError(422, f"{what} has {len(text):,} characters; at most {most}")
    if not is_unicode(text):
        raise RefusedError(422, f"{what} holds half a character (a lone surrogate)")


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; JSON may hold halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_rows(n_texts: int, n_annotators: int, limits: Limits) -> None:
    """Refuse what would keep the machine busy for too long.

    Raises:
        RefusedError: There are too many texts times annotators.
    """
    if n_texts * n_annotators > limits.rows:
        raise RefusedError(
            422,
            f"{n_texts:,} texts times {n_annotators:,} annotators are more than {limits.rows:,}; "
            "send several requests, or a table to /v1/tables",
        )


def members_of(jury: Jury, current: Current) -> tuple[tuple[str, ...], np.ndarray]:
    """Who sits on a jury, and how much each counts.

    Raises:
        ConditionError: An id is unknown.
        RefusedError: Nobody is left, or nobody counts.
    """
    directory = current.directory
    names = list(dict.fromkeys(jury.people or current.run.vocabulary.names))
    check_known(current, [*names, *jury.weights])
    for attribute, values in jury.where.items():
        if attribute not in directory.attributes:
            known = ", ".join(directory.attributes) or "none"
            raise RefusedError(
                422, f"nobody has an attribute {attribute!r}; the run knows: {known}"
            )
        names = [name for name in names if directory.value_of(name, attribute) in values]
    if not names:
        raise RefusedError(422, "nobody is like that; the jury would be empty")
    if jury.size is not None:
        if jury.size > len(names):
            raise RefusedError(422, f"{jury.size} are to be drawn from {len(names)} people")
        drawn = np.random.default_rng(jury.seed).choice(len(names), jury.size, replace=False)
        names = [names[place] for place in np.sort(drawn)]
    weights = np.array([jury.weights.get(name, 1.0) for name in names])
    if not weights.sum() > 0:
        raise RefusedError(422, "nobody on the jury counts: all weights are 0")
    return tuple(names), weights


async def predict(asked: PredictRequest, served: Served, limits: Limits) -> dict[str, Any]:
    """The answer to `POST /v1/predict`, see `schemas.PredictAnswer`."""
    current = served.current
    texts, pairs = checked_texts(asked.texts, current, limits)
    weights, who = None, asked.annotators
    if asked.jury is not None:
        who, weights = members_of(asked.jury, current)
    elif not isinstance(who, str):
        who = tuple(dict.fromkeys(who))
        if not who:
            raise RefusedError(422, "nobody is asked: annotators is empty")
    if not isinstance(who, str):
        if len(who) > limits.annotators:
            raise RefusedError(422, f"{len(who):,} annotators; at most {limits.annotators:,}")
        check_known(current, who)
    check_rows(len(texts), served.n_asked(who), limits)
    question, bounds = Question(texts, pairs, who), None
    answer = await awaited(served.ask(question), limits)
    if asked.intervals:
        check_bounds(len(texts), answer.annotators, answer.current.directory, limits)
        bounds = await awaited(served.bounds(question, answer), limits)
    found = answered(answer, bounds, people=asked.people)
    if asked.jury is not None and weights is not None:
        verdicts = await asyncio.to_thread(_verdicts, answer, bounds, weights, asked.jury)
        found["members"] = [
            {"annotator": name, "weight": float(weight)}
            for name, weight in zip(answer.annotators, weights, strict=True)
        ]
        for text, verdict in zip(found["texts"], verdicts, strict=True):
            text["verdict"] = verdict
    return found


def answered(answer: Answer, bounds: Bounds | None, *, people: bool) -> dict[str, Any]:
    """An answer as it is sent."""
    labels, directory = answer.current.run.labels, answer.current.directory
    decided = decided_of(answer)
    texts: list[dict[str, Any]] = [
        {"summary": summary} for summary in summaries_of(answer.p, decided, labels)
    ]
    if people:
        names = labels.decode(decided).tolist()
        sources = [directory.source_of(name) for name in answer.annotators]
        for told, says, rows in zip(texts, names, answer.p.round(DIGITS).tolist(), strict=True):
            each = zip(answer.annotators, says, rows, sources, strict=True)
            told["people"] = [
                {"annotator": name, "predicted": label, "p": p, "source": source}
                for name, label, p, source in each
            ]
    if people and bounds is not None:
        for text, told in enumerate(texts):
            for place, person in enumerate(told["people"]):
                if (ends := bounds.of(text, place)) is not None:
                    person["low"], person["high"] = _rounded(ends)
    return {
        "labels": list(labels.names),
        "notice": NOTICE,
        "simulated": directory.simulated,
        "texts": texts,
    }


def _rounded(ends: tuple[list[float], list[float]]) -> list[list[float]]:
    return [[round(end, DIGITS) for end in side] for side in ends]


def decided_of(answer: Answer) -> Int[np.ndarray, "texts annotators"]:
    """Which label is predicted of each person."""
    flat = answer.p.reshape(-1, answer.p.shape[2])
    found = answer.current.run.labels.decide(flat, answer.current.run.decision)
    return found.reshape(answer.p.shape[:2])


def frame_of(answer: Answer, bounds: Bounds | None = None) -> pd.DataFrame:
    """Answers as rows: `text_id` (a number), `annotator`, `predicted`, probabilities, intervals."""
    run = answer.current.run
    n_texts, n_people, n_labels = answer.p.shape
    flat, ends = answer.p.reshape(-1, n_labels), {}
    for side in () if bounds is None else ("low", "high"):
        of_labels = getattr(bounds, side).reshape(-1, n_labels).T
        ends |= {f"{side}_{name}": of_labels[i] for i, name in enumerate(run.labels.names)}
    return pd.DataFrame(
        {
            "text_id": np.repeat(np.arange(n_texts), n_people),
            "annotator": np.tile(np.asarray(answer.annotators, object), n_texts),
            "predicted": run.labels.decode(decided_of(answer).ravel()),
            **dict(zip(run.labels.columns, flat.T, strict=True)),
            **ends,
        }
    )


def _verdicts(
    answer: Answer, bounds: Bounds | None, weights: np.ndarray, jury: Jury
) -> list[dict[str, Any]]:
    run = answer.current.run
    record = run.record
    rows = frame_of(answer, bounds).assign(split="test", method=record.method, seed=record.seed)
    counting = {
        name: float(weight)
        for name, weight in zip(answer.annotators, weights, strict=True)
        if weight > 0
    }
    heard = rows.loc[rows["annotator"].isin(counting)]
    found = verdicts_of(heard, counting, run.labels, decision=run.decision, seed=jury.seed)
    # One member alone: nothing is known of other juries.
    found = found.round(DIGITS).astype(object).where(found.notna(), None)
    return [
        {
            "verdict": row["verdict"],
            **{
                ends: [row[f"{ends}_{label}"] for label in run.labels.names]
                for ends in ("p", "low", "high", "share")
            },
            "dissent": row["dissent"],
            "disagreement": row["disagreement"],
        }
        for row in found.to_dict("records")
    ]


def check_names(names: Sequence[str]) -> None:
    """Refuse ids that could not be told apart from something else.

    Raises:
        ConfigError: One is.
    """
    for name in names:
        if name != name.strip() or not name.isprintable():
            raise ConfigError("a name has spaces around it, or characters that cannot be printed")
        if name in (ALL, POPULATION, "rows"):
            raise ConfigError(f"{name!r} means something else; choose another name")
