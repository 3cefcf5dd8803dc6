"""What is wrong with a request, as a status and one clear line."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from hyperadapters.errors import (
    ConditionError,
    ConfigError,
    DataError,
    HyperAdaptersError,
    RunError,
)
from hyperadapters.serving.batcher import BusyError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

RETRY_AFTER = "1"
MOST_CHARACTERS = 1000


class RefusedError(Exception):
    """A request that is not answered.

    Attributes:
        status: HTTP status.
        detail: What was got, and what was wanted.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


def refusal_of(error: Exception) -> RefusedError:
    """The refusal that an error stands for.

    Unknown people are 404, what cannot be used is 422, a folder that cannot be changed is 409, and
    a full queue is 503. Anything else is a fault of ours, 500, of which nothing is told.
    """
    if isinstance(error, RefusedError):
        return error
    statuses: tuple[tuple[type[Exception], int], ...] = (
        (ConditionError, 404),
        (RunError, 409),
        (DataError, 422),
        (ConfigError, 422),
        (HyperAdaptersError, 422),
        (BusyError, 503),
        (TimeoutError, 503),
    )
    for kind, status in statuses:
        if isinstance(error, kind):
            return RefusedError(
                status, shortened(str(error) or "the answer took too long; ask for less")
            )
    return RefusedError(500, "something went wrong on the server; its log says where")


def shortened(text: str) -> str:
    """A line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"


async def send_refusal(send: Send, refused: RefusedError) -> None:
    """Answer with a refusal, at the level of ASGI."""
    body = json.dumps({"detail": refused.detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *headers_of(refused.status),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def headers_of(status: int) -> list[tuple[bytes, bytes]]:
    """Headers that go with a status."""
    if status == 503:
        return [(b"retry-after", RETRY_AFTER.encode())]
    if status == 401:
        return [(b"www-authenticate", b"Bearer")]
    # What is left of a body that was too large or too slow is not read.
    return [(b"connection", b"close")] if status in (408, 413) else []
