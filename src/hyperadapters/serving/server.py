"""The process that listens: where, for whom, and how it stops."""

import asyncio
import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from hyperadapters.errors import ConfigError
from hyperadapters.serving.app import create_app
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.served import settle

KEY = "HYPERADAPTERS_API_KEY"
HEADER_SECONDS = 10.0
"""How long the head of a request may take."""

STOP_SECONDS = 30
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class ImpatientProtocol(H11Protocol):
    """Closes connections on which no request is finished being announced in time."""

    _waits: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore
        """A client has come."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Something of a request has come."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._expect()
        elif self._waits is not None:
            self._waits.cancel()
            self._waits = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        if self._waits is not None:
            self._waits.cancel()
        super().connection_lost(exc)

    def _expect(self) -> None:
        if self._waits is None:
            self._waits = self.loop.call_later(HEADER_SECONDS, self.transport.close)


def serve(
    run: Path,
    host: str,
    port: int,
    *,
    read_only: bool = False,
    limits: Limits | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a run until somebody stops it.

    What is under way when it is stopped is finished first.

    Args:
        run: The run folder.
        host: Address to listen on.
        port: Port; 0 for any that is free.
        read_only: Whether nobody may come or go.
        limits: The limits.
        ready: Is told the address once the run is open.

    Raises:
        ConfigError: The address cannot be listened on, or is not a loopback one and no key is set.
        RunError: It is not a run folder, or its files are damaged.
    """
    limits, key = limits or Limits(lanes=n_lanes()), os.environ.get(KEY) or None
    local = is_loopback(host)
    if key is None and not local:
        raise ConfigError(
            f"{host} can be reached from other machines: set {KEY} to a key that callers must "
            "send, or serve on 127.0.0.1"
        )
    leave_a_core()
    with listening(host, port) as listener:
        hosts = {*LOOPBACK, host} if local else None
        app = create_app(run, limits=limits, key=key, hosts=hosts, read_only=read_only)
        settle()
        if ready is not None:
            shown = f"[{host}]" if ":" in host else host
            ready(f"http://{shown}:{listener.getsockname()[1]}")
        server_of(app, limits).run(sockets=[listener])


def leave_a_core() -> None:
    """Let the model leave one core to the rest of the server, unless OMP_NUM_THREADS says more.

    Threads of a product wait for each other: where they share their cores with somebody else, all
    are as slow as the one that has to wait.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() - 1))


def n_lanes() -> int:
    """How many batches the server lets run at the same time, where nothing else is said.

    Two on a machine of two cores, where the model has one thread (see `leave_a_core`) and under
    load the other core has time to spare. With more cores the threads of a product share the work.
    """
    return 2 if "OMP_NUM_THREADS" not in os.environ and os.cpu_count() == 2 else 1


def server_of(app: Any, limits: Limits) -> uvicorn.Server:
    """The server, with limits on connections; nothing of a request is logged."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=ImpatientProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    )


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: The address is none of this machine, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, answers do not wait for what the client has to confirm (TCP_NODELAY).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot listen on {host}, port {port}: {reason}; see --port") from None
    return listener


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
