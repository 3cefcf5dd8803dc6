"""How many requests a server answers when they are joined, and how long one text takes.

    python benchmarks/serving.py [--quick]

A run of 262 people on the built-in encoder is served twice, in processes of their own: as it is,
and with every request put through the model alone. 32 clients on this machine send single texts,
each for one person, over connections that stay open; then one client does the same, one after the
other. What counts is the ratio. Last, one client asks everyone about one text, as the explorer
does. Writes docs/tables/serving.md; `--quick` prints it only, and asks less.
"""

import argparse
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd

TABLE = Path(__file__).parents[1] / "docs" / "tables" / "serving.md"
N_PEOPLE = 262
N_CLIENTS = 32
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
    """A server in a process of its own."""

    def __init__(self, run: Path, how: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(run), how], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None  # noqa: S101
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)


def ask(client: http.client.HTTPConnection, text: str, annotators: object) -> float:
    """Seconds that one request takes."""
    start = time.perf_counter()
    body = json.dumps({"texts": [text], "annotators": annotators})
    client.request("POST", "/v1/predict", body, {"content-type": "application/json"})
    answer = client.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"status {answer.status}")
    return time.perf_counter() - start


def load(port: int, texts: list[str], n_clients: int, n_requests: int) -> tuple[float, list[float]]:
    """Requests a second, and the seconds of each."""
    seconds: list[float] = []
    share = n_requests // n_clients

    def client(number: int) -> None:
        rng = np.random.default_rng(number)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for _ in range(share):
            who = [f"p{rng.integers(N_PEOPLE):03}"]
            seconds.append(ask(connection, str(rng.choice(texts)), who))
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(n_clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(seconds) != share * n_clients:
        raise SystemExit("a client has failed")
    return len(seconds) / (time.perf_counter() - start), seconds


def measured(run: Path, texts: list[str], n_requests: int) -> list[tuple[str, float, list[float]]]:
    """Name, requests a second, and seconds of each, for every way."""
    found = []
    for how, name in (("joined", "joined"), ("alone", "one by one in the model")):
        with Server(run, how) as server:
            load(server.port, texts, 4, 40)  # warm
            found.append((f"32 clients, {name}", *load(server.port, texts, N_CLIENTS, n_requests)))
            if how == "joined":
                one = load(server.port, texts, 1, max(32, n_requests // 8))
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
                ask(connection, texts[0], "all")
                every = [ask(connection, text, "all") for text in texts[1:21]]
    found.append(("1 client, one after the other", *one))
    found.append((f"1 client, everyone ({N_PEOPLE} people)", 1 / statistics.mean(every), every))
    return found


def table(found: list[tuple[str, float, list[float]]]) -> str:
    """The numbers as Markdown."""
    joined = found[0][1]
    lines = [
        f"Made by `python benchmarks/serving.py` on {os.cpu_count()} CPU cores "
        f"({platform.machine()}), clients on the same machine.",
        "",
        "| single texts | requests a second | joined is faster by | p50 | p99 |",
        "|---|---|---|---|---|",
    ]
    for name, rate, seconds in found:
        p50, p99 = (1000 * float(np.percentile(seconds, p)) for p in (50, 99))
        ratio = "" if "everyone" in name else f"{joined / rate:.1f} times"
        lines.append(f"| {name} | {rate:.0f} | {ratio} | {p50:.0f} ms | {p99:.0f} ms |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="ask less, write nothing")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        texts = make_run(run)
        found = measured(run, texts, 320 if asked.quick else 3200)
    print(table(found))
    if not asked.quick:
        TABLE.write_text(table(found), encoding="utf-8")


if __name__ == "__main__":
    main()
