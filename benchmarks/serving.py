"""How many requests a server answers when they are joined, and what hostile ones do to it.

    python benchmarks/serving.py [--quick] [--beside WORDS]

A run of 262 people on the built-in encoder is served in a process of its own. 32 clients on this
machine send single texts, each for one person drawn at random, over connections that stay open;
then one client does the same, one after the other; then 32 clients again, with every request put
through the model alone. So it goes round several times; what counts is the ratio within a round.
Answers are not cached by text: the server has no such cache. Then one client asks everyone about
one text, as the explorer does. Last come requests that are refused, round after round, and the
memory of the server is looked at.

Writes benchmarks/results/serving.json and docs/tables/serving.md of it; `--quick` asks less and
writes nothing. `--table` writes the table anew.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hostile import KINDS, memory_of, rounds
from store import read, results

TABLE = Path(__file__).parents[1] / "docs" / "tables" / "serving.md"
RESULTS = Path(__file__).parent / "results" / "serving.json"
N_PEOPLE = 262
N_CLIENTS = 32
JOINED, ONE, ALONE = (
    "32 clients",
    "1 client, one after the other",
    "32 clients, one by one in the model",
)
SERVER = """
import sys
from pathlib import Path
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.server import serve
alone = Limits(batch_rows=1, join_seconds=0.0)
ready = lambda address: print(address, flush=True)
serve(Path(sys.argv[1]), "127.0.0.1", 0, read_only=True, ready=ready,
      limits=alone if sys.argv[2] == "alone" else None)
"""


def make_run(folder: Path) -> list[str]:
    """Train a run of 262 invented people for a moment; returns texts."""
    import hyperadapters as ha
    from hyperadapters.data.demo import load_comments

    comments = load_comments()
    rng = np.random.default_rng(0)
    rows = [
        (text_id, text, f"p{person:03}", ("fine", "toxic")[int(severity > rng.normal(2, 1))])
        for person in range(N_PEOPLE)
        for text_id, text, severity in comments[["text_id", "text", "severity"]]
        .sample(8, random_state=person)
        .to_numpy()
    ]
    ratings = pd.DataFrame(rows, columns=["text_id", "text", "annotator", "label"])
    ha.fit(ratings, output=folder, epochs=2)
    return comments["text"].tolist()


class Server:
    """A server in a process of its own, with as many threads as it takes by itself."""

    def __init__(self, run: Path, how: str) -> None:
        free = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS",)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(run), how],
            stdout=subprocess.PIPE,
            text=True,
            env=free,
        )
        assert self.process.stdout is not None  # noqa: S101
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)

    def cpu_seconds(self) -> float:
        """Time of processors that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def request(text: str, annotators: object) -> bytes:
    """A question, ready to be sent: clients shall cost next to nothing."""
    body = json.dumps({"texts": [text], "annotators": annotators}).encode()
    head = f"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"content-type: application/json\r\n\r\n" + body


def ask(client: socket.socket, sent: bytes) -> float:
    """Seconds that one request takes."""
    start = time.perf_counter()
    client.sendall(sent)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(head.decode())
    left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) - len(body)
    while left > 0:
        left -= len(client.recv(65536))
    return time.perf_counter() - start


def load(
    server: Server, texts: Sequence[str], n_clients: int, n_requests: int, seed: int
) -> dict[str, Any]:
    """Requests a second, the seconds of each, and what the server's processors did for one."""
    seconds: list[float] = []
    share = n_requests // n_clients
    begin = threading.Barrier(n_clients + 1)

    def client(number: int) -> None:
        rng = np.random.default_rng([seed, number])
        drawn = [(str(rng.choice(texts)), int(rng.integers(N_PEOPLE))) for _ in range(share)]
        requests = [request(text, [f"p{who:03}"]) for text, who in drawn]
        with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
            begin.wait()
            seconds.extend(ask(connection, one) for one in requests)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(n_clients)]
    for thread in threads:
        thread.start()
    begin.wait()
    start, used = time.perf_counter(), server.cpu_seconds()
    for thread in threads:
        thread.join()
    wall, used = time.perf_counter() - start, server.cpu_seconds() - used
    if len(seconds) != share * n_clients:
        raise SystemExit("a client has failed")
    return {"rate": len(seconds) / wall, "cpu": used / len(seconds), "seconds": seconds}


def measured(run: Path, texts: list[str], n_rounds: int, n_requests: int) -> dict[str, Any]:
    """All that is measured."""
    found: dict[str, list[dict[str, Any]]] = {JOINED: [], ONE: [], ALONE: []}
    with Server(run, "joined") as joined, Server(run, "alone") as alone:
        ways = ((JOINED, joined, N_CLIENTS, 1), (ONE, joined, 1, 10), (ALONE, alone, N_CLIENTS, 4))
        for server in (joined, alone):
            load(server, texts, 4, 40, 10**6)  # warm
        for number in range(n_rounds):
            for name, server, n_clients, part in ways:
                n = max(n_clients, n_requests // part)
                found[name].append(load(server, texts, n_clients, n, number))
        with socket.create_connection(("127.0.0.1", joined.port), timeout=120) as client:
            ask(client, request(texts[0], "all"))
            every = [ask(client, request(text, "all")) for text in texts[1:31]]
        attacked = rounds(joined.port, joined.process.pid, 3 if n_rounds > 2 else 1)
        memory = memory_of(joined.process.pid)
    ways = {}
    for name, parts in found.items():
        seconds = np.concatenate([part["seconds"] for part in parts])
        ways[name] = {
            "rates": [part["rate"] for part in parts],
            "cpu_ms": 1000 * statistics.median(part["cpu"] for part in parts),
            "p50_ms": 1000 * float(np.percentile(seconds, 50)),
            "p99_ms": 1000 * float(np.percentile(seconds, 99)),
            "requests": len(seconds),
        }
    everyone = {f"p{p}_ms": 1000 * float(np.percentile(every, p)) for p in (50, 99)}
    return {"ways": ways, "everyone": everyone, "hostile": attacked, "memory_mib": memory}


def cpu_name() -> str:
    """What the processor calls itself."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(found: dict[str, Any]) -> str:
    """The numbers as Markdown."""
    ways = found["ways"]
    lines = [
        "# Serving",
        "",
        f"Made by `python benchmarks/serving.py` on {found['hardware']}"
        + (f"; {found['beside']}" if found["beside"] else "")
        + f"; clients on the same machine. {N_PEOPLE} people, `minilm`; no answer is cached by "
        f"text. Medians of {len(ways[JOINED]['rates'])} rounds; a ratio is that of the two ways "
        "in the same round.",
        "",
        "| single texts | requests a second | 32 clients are faster by (min to max) | p50 | p99 "
        "| processor time of the server, a request |",
        "|---|---|---|---|---|---|",
    ]
    for name, way in ways.items():
        pairs = zip(ways[JOINED]["rates"], way["rates"], strict=True)
        ratios = [ours / theirs for ours, theirs in pairs]
        told = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
        lines.append(
            f"| {name} | {statistics.median(way['rates']):.0f} | "
            f"{'' if name == JOINED else told} | {way['p50_ms']:.0f} ms | {way['p99_ms']:.0f} ms "
            f"| {way['cpu_ms']:.1f} ms |"
        )
    every = found["everyone"]
    lines += [
        "",
        f"One text to everyone ({N_PEOPLE} people), warm: p50 {every['p50_ms']:.0f} ms, "
        f"p99 {every['p99_ms']:.0f} ms.",
        "",
        "## Hostile requests",
        "",
        "Memory is that of the server process after each round of all of them; "
        f"{' → '.join(f'{m:.0f}' for m in found['hostile']['memory_mib'])} MiB. "
        "It answered `/healthz` and a question after every kind.",
        "",
        "| what | times a round | answers |",
        "|---|---|---|",
    ]
    for name, kind in found["hostile"]["kinds"].items():
        told = ", ".join(f"{status}: {n}" for status, n in sorted(kind["answers"].items()))
        lines.append(f"| {name} | {kind['times']} | {told} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="ask less, write nothing")
    parser.add_argument("--table", action="store_true", help="write the table anew, ask nothing")
    parser.add_argument("--beside", default="", help="what else the machine does, for the table")
    parser.add_argument("--run", type=Path, help="where the run lies, or is put, to be used again")
    asked = parser.parse_args()
    if not asked.table:
        with tempfile.TemporaryDirectory() as folder:
            run = asked.run or Path(folder) / "run"
            if run.exists():
                from hyperadapters.data.demo import load_comments

                texts = load_comments()["text"].tolist()
            else:
                texts = make_run(run)
            n_rounds, n_requests = (1, 320) if asked.quick else (7, 640)
            found = measured(run, texts, n_rounds, n_requests)
        hardware = f"{os.cpu_count()} cores ({cpu_name()})"
        found |= {"hardware": hardware, "beside": asked.beside, "kinds": list(KINDS)}
        print(table(found))
        if asked.quick:
            return
        with results(RESULTS) as kept:
            kept.clear()
            kept.update(found)
    TABLE.write_text(table(read(RESULTS)), encoding="utf-8")


if __name__ == "__main__":
    main()
