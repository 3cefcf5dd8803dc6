"""A real server on a real port: slow clients, many clients, and how it stops."""

import json
import socket
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from hyperadapters.errors import ConfigError
from hyperadapters.serving import server as module
from hyperadapters.serving.app import create_app
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.server import is_loopback, listening, serve, server_of


@pytest.fixture
def running(quick_run):
    """Start a server of a run; gives its port and how to stop it."""
    started = []

    def start(**changes):
        limits = Limits(**changes)
        listener = listening("127.0.0.1", 0)
        server = server_of(create_app(quick_run, limits=limits, read_only=True), limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        started.append((server, thread, listener))
        return listener.getsockname()[1], server

    yield start
    for server, thread, listener in started:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


def ask(port, text="bad cruel", annotators="population"):
    body = json.dumps({"texts": [text], "annotators": annotators}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/predict", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["texts"][0]["people"][0]["p"]


def slow(port, sent):
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(sent)
    return client


HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\n"


def test_clients_at_the_same_time_get_what_they_asked_for(running):
    port, _ = running()
    texts = [f"bad good w{number % 4}" for number in range(32)]
    alone = {text: ask(port, text) for text in set(texts)}
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda text: ask(port, text), texts))
    assert all(
        p == pytest.approx(alone[text], abs=1e-5) for text, p in zip(texts, found, strict=True)
    )


def test_slow_clients_are_let_go_and_others_are_served(running, monkeypatch):
    monkeypatch.setattr(module, "HEADER_SECONDS", 0.5)
    port, _ = running(body_seconds=0.5)
    clients = [slow(port, HEAD) for _ in range(100)]
    body = HEAD + b"content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
    clients += [slow(port, body) for _ in range(100)]
    assert len(ask(port)) == 2
    answers = [client.recv(4096) for client in clients]
    assert answers[:100] == [b""] * 100
    assert all(b" 408 " in answer.split(b"\r\n")[0] for answer in answers[100:])
    for client in clients:
        client.close()
    assert len(ask(port)) == 2


def test_what_is_under_way_is_finished_when_it_stops(running):
    port, server = running()
    found = []
    thread = threading.Thread(target=lambda: found.append(ask(port, "good " * 30, "all")))
    thread.start()
    time.sleep(0.02)
    server.should_exit = True
    thread.join(30)
    assert len(found) == 1


def test_not_http_and_oversized_heads_do_not_matter(running):
    port, _ = running()
    for sent in (
        b"\x16\x03\x01\x00\xff\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 200_000 + b"\r\n\r\n",
    ):
        client = slow(port, sent)
        assert client.recv(4096).startswith(b"HTTP/1.1 400")
        client.close()
    assert len(ask(port)) == 2


def test_only_a_key_opens_other_addresses(quick_run, monkeypatch):
    monkeypatch.delenv(module.KEY, raising=False)
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(ConfigError, match="HYPERADAPTERS_API_KEY"):
            serve(quick_run, host, 0)
    monkeypatch.setenv(module.KEY, "")
    with pytest.raises(ConfigError, match="HYPERADAPTERS_API_KEY"):
        serve(quick_run, "0.0.0.0", 0)
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.8.8.8", "::1"))


def test_a_port_that_is_taken():
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}"):
            listening("127.0.0.1", port)
