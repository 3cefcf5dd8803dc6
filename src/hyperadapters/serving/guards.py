"""What stands before every request: sizes, times, keys, and where it came from."""

import asyncio
import hmac
import logging
import time
import traceback
from collections.abc import AsyncIterator, Collection
from urllib.parse import urlsplit

from hyperadapters.serving.batcher import BusyError
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.metrics import Metrics
from hyperadapters.serving.refusals import (
    App,
    Message,
    Receive,
    RefusedError,
    Scope,
    Send,
    refusal_of,
    send_refusal,
)

TABLES = "/v1/tables"
PROTECTED = ("/v1", "/metrics")
"""Paths that need the key, where there is one; the page itself holds nothing of a run."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]

MAX_DISCARDED = 64 * 2**20
"""A body larger than this is not even thrown away, but cut off."""

logger = logging.getLogger("hyperadapters.serving")


class Watched:
    """Counts requests, adds headers, and answers what went wrong with a line.

    Texts of requests are not logged: of an error of ours its kind and place, not its message.
    """

    def __init__(self, app: App, metrics: Metrics, seconds: float) -> None:
        self._app, self._metrics, self._seconds = app, metrics, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        try:
            # Also whoever does not take their answer is let go at last.
            async with asyncio.timeout(self._seconds):
                await self._app(scope, receive, noted)
        except Exception as error:
            refused = refusal_of(error)
            if refused.status == 500:
                places = "".join(traceback.format_tb(error.__traceback__))
                logger.error("unexpected %s\n%s", type(error).__name__, places)
            if not status:
                await send_refusal(noted, refused)
        finally:
            path = getattr(scope.get("route"), "path", None) or "other"
            self._metrics.requests.labels(scope["method"], path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - start)


class Gate:
    """Lets through whom the server is for.

    Args:
        app: What lies behind.
        key: The API key, if there is one.
        hosts: Names under which the server may be called; `None` for any. A page elsewhere whose
            name was made to point here is recognised by it.
    """

    def __init__(self, app: App, key: str | None, hosts: Collection[str] | None) -> None:
        self._app, self._key, self._hosts = app, key, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            headers = {name: value for name, value in scope["headers"]}
            self._check_origin(headers)
            if self._key is not None and scope["path"].startswith(PROTECTED):
                self._check_key(headers, self._key)
        await self._app(scope, receive, send)

    def _check_origin(self, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts is not None and (_name_of(host) not in self._hosts):
            raise RefusedError(
                421, "this server is called localhost; it does not answer to other names"
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        # Other pages may not use the server in the name of whoever looks at them.
        if origin and urlsplit(origin).netloc != host:
            raise RefusedError(403, "requests from other pages are not answered")

    def _check_key(self, headers: dict[bytes, bytes], key: str) -> None:
        given = headers.get(b"x-api-key")
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if given is None and scheme.lower() == b"bearer":
            given = token.strip()
        if given is None:
            raise RefusedError(
                401, "an API key is wanted: Authorization: Bearer KEY, or X-API-Key: KEY"
            )
        if not hmac.compare_digest(given, key.encode()):
            raise RefusedError(401, "the API key is another")


class Bounded:
    """Reads a request's body as a whole, within bounds of size and time."""

    def __init__(self, app: App, limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        of_table = scope["path"].startswith(TABLES)
        most = self._limits.table_bytes if of_table else self._limits.body_bytes
        body = bytearray()
        try:
            if await self._read(scope, receive, most, body):
                await self._go_on(scope, receive, send, bytes(body))
        finally:
            self._held -= len(body)

    async def _read(self, scope: Scope, receive: Receive, most: int, body: bytearray) -> bool:
        """Read the body; whether the client is still there."""
        seconds = self._limits.body_seconds
        try:
            async with asyncio.timeout(seconds):
                async for part in _parts(scope, receive, most):
                    body += part
                    self._held += len(part)
                    if self._held > self._limits.held_bytes:
                        raise BusyError("too much is being sent at the same time")
        except TimeoutError:
            detail = f"the request did not arrive within {seconds:g} seconds"
            raise RefusedError(408, detail) from None
        except ConnectionResetError:
            return False
        return True

    async def _go_on(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


async def _parts(scope: Scope, receive: Receive, most: int) -> AsyncIterator[bytes]:
    """The parts of a body.

    Raises:
        RefusedError: All of it is, or would be, too large.
        ConnectionResetError: The client has gone.
    """
    too_large = RefusedError(413, f"the request is larger than {most:,} bytes")
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value) > MAX_DISCARDED):
            raise too_large
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size <= most:
            yield part
        elif size > MAX_DISCARDED:
            raise too_large
    # Read to its end, and thrown away: a client that is still sending would not see the answer.
    if size > most:
        raise too_large


def _name_of(host: str) -> str:
    """A host without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()
