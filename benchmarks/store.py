"""What the scripts of this folder share: results that are kept cell by cell, and some of the texts.

Scripts are run as `python benchmarks/SCRIPT.py`, which finds this module beside them.
"""

import argparse
import fcntl
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd


def read(path: Path) -> dict[str, Any]:
    """The results so far."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


@contextmanager
def results(path: Path) -> Iterator[dict[str, Any]]:
    """The results so far, written back at the end of the block; one process at a time."""
    path.parent.mkdir(exist_ok=True)
    with path.with_suffix(".lock.tmp").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = read(path)
        yield found
        part = path.with_suffix(".json.tmp")
        part.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        part.replace(path)


def remake(
    told: str,
    measure: Callable[[Path], Mapping[str, Any]],
    table: Callable[[Mapping[str, Any]], str],
    into: tuple[Path, Path],
) -> None:
    """The command of a script that makes all of its results anew, then its table.

    Args:
        told: What it does, for `--help`.
        measure: Folder of the data → results.
        table: Results → Markdown.
        into: The files of results and table.
    """
    parser = argparse.ArgumentParser(description=told)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--table", action="store_true", help="measure nothing, write the table")
    given, (kept, page) = parser.parse_args(), into
    if not given.table:
        found = measure(given.data)
        with results(kept) as written:
            written.clear()
            written.update(found)
    page.write_text(table(read(kept)), encoding="utf-8")
    print(f"the table is in {page}")


def put_between(path: Path, name: str, text: str) -> None:
    """Replace what stands in a page between the two markers of a table."""
    start, end = f"<!-- table: {name} -->\n", f"<!-- end of table: {name} -->"
    before, _, rest = path.read_text("utf-8").partition(start)
    _, found, after = rest.partition(end)
    if found:
        path.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")


def hardware() -> str:
    """The machine in words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, 1 thread a run"


def some_texts(dataset: str, n_texts: int, data: Path) -> pd.DataFrame:
    """Ratings of some of the texts of a data set, without "don't know"."""
    import hyperadapters as ha

    # crehate has texts in two of its authors' splits.
    found = ha.read_annotations(data / f"{dataset}.parquet", allow_leaks=True)
    if dataset == "crehate":
        found = found[found["label"].astype(str) != "2"]
    texts = found["text"].drop_duplicates().sample(n_texts, random_state=0)
    return found[found["text"].isin(texts)].reset_index(drop=True)


def values_of(scores: pd.DataFrame, wanted: Mapping[str, tuple[str, str]]) -> dict[str, float]:
    """Name → value of a split's metric, over all of its rows."""
    whole = scores[scores["slice"] == "all"].set_index(["split", "metric"])["value"]
    return {name: float(whole[place]) for name, place in wanted.items()}
