"""Requests that a server refuses, and what they leave in its memory; used by `serving.py`."""

import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\n"
JSON = b"content-type: application/json\r\n"


def sent(port: int, data: bytes, seconds: float = 90.0) -> str:
    """The status of the answer to some bytes; `closed` where there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        try:
            client.sendall(data)
            return _status(client.recv(65536))
        except (ConnectionError, TimeoutError):
            return "closed"


def _status(answer: bytes) -> str:
    return answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/") else "closed"


def post(path: str, body: bytes, head: bytes = JSON) -> bytes:
    """A whole request."""
    start = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n".encode()
    return start + head + f"content-length: {len(body)}\r\n\r\n".encode() + body


def asked(**fields: Any) -> bytes:
    """A question as it is sent."""
    return json.dumps({"texts": ["a"], **fields}).encode()


def slow(port: int) -> Counter[str]:
    """200 clients: half never end the head of a request, half never end its body."""
    body = HEAD + JSON + b"content-length: 1000\r\n\r\n{"
    clients = []
    for data in [HEAD] * 100 + [body] * 100:
        clients.append(socket.create_connection(("127.0.0.1", port), timeout=60))
        clients[-1].sendall(data)
    served = [sent(port, post("/v1/predict", asked())) for _ in range(5)]
    if set(served) != {"200"}:
        raise SystemExit(f"while 200 are slow, others get {served}")
    answers = Counter(_status(client.recv(65536)) for client in clients)
    for client in clients:
        client.close()
    return answers


def several(times: int, *requests: bytes) -> Callable[[int], Counter[str]]:
    """Send these so many times, one after the other."""

    def send(port: int) -> Counter[str]:
        return Counter(sent(port, one) for _ in range(times) for one in requests)

    return send


def _tricks() -> list[bytes]:
    names = ("../../etc/passwd", "/etc/passwd", "..\\..\\x", "a\x00b", "%2e%2e%2f", "u" * 200)
    found = [post("/v1/predict", asked(annotators=[name])) for name in names]
    found += [post("/v1/export", json.dumps({"annotator": name}).encode()) for name in names]
    for path in ("/static/../served.py", "/v1/tables/..%2f..%2fetc/csv", "/static/%2e%2e/api.py"):
        found.append(
            f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
        )
    return found


_NAN = (b"NaN", b"Infinity", b"-1", b"1e999")
_BAD = (b'{"texts": ["\xff\xfe"]}', b"\xff" * 1000, b"[" * 100_000, b"{")
_HTML = ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "=cmd|' /C calc'!A0")

KINDS: dict[str, tuple[int, Callable[[int], Counter[str]]]] = {
    "a body of 10 MB": (20, several(20, post("/v1/predict", asked(texts=["a" * 10**7])))),
    "10^5 texts": (20, several(20, post("/v1/predict", asked(texts=["a"] * 10**5)))),
    "invalid UTF-8, broken JSON": (100, several(25, *(post("/v1/predict", b) for b in _BAD))),
    "unknown people": (100, several(100, post("/v1/predict", asked(annotators=["nobody"])))),
    "weights that are NaN, infinite or negative": (
        100,
        several(
            25,
            *(
                post("/v1/predict", b'{"texts":["a"],"jury":{"weights":{"p000":' + w + b"}}}")
                for w in _NAN
            ),
        ),
    ),
    "paths in names and addresses": (75, several(5, *_tricks())),
    "HTML and formulas as texts (answered)": (
        99,
        several(33, *(post("/v1/predict", asked(texts=[text])) for text in _HTML)),
    ),
    "200 slow clients": (1, slow),
}


def memory_of(pid: int) -> float:
    """Memory that a process holds (resident), MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the server is gone")


def rounds(port: int, pid: int, n: int) -> dict[str, Any]:
    """Send everything so many times; the answers, and the memory before and after each round."""
    memory, kinds = [memory_of(pid)], {}
    for _ in range(n):
        for name, (times, send) in KINDS.items():
            answers = send(port)
            if sent(port, post("/v1/predict", asked())) != "200":
                raise SystemExit(f"after {name} the server does not answer")
            kinds[name] = {"times": times, "answers": dict(answers)}
        time.sleep(1)
        memory.append(memory_of(pid))
    return {"kinds": kinds, "memory_mib": memory}
