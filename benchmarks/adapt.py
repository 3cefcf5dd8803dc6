"""New people from k labels: runs what is missing, then writes the table.

    python benchmarks/adapt.py --data ../shared/data/perspectives

People of fold 0 (column `fold` of the table of annotators) are held out: training never sees them.
A run is then adapted to k random ratings of each of them from the train split, and scored on their
ratings of the test split. Every k is scored on the same people: those with as many ratings in train
as the largest k. Finished cells are kept in benchmarks/results/adapt.json; `--table` runs nothing
and writes docs/tables/adapt.md.
"""

import argparse
import json
import os
import platform
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "adapt.json"
TABLE = HERE.parent / "docs" / "tables" / "adapt.md"
DATASETS = ("popquorn_offensiveness", "crehate")
METHODS = ("hyperlora", "intercept", "annotator-embedding")
COUNTS = (0, 1, 2, 4, 8, 16, 32)
FOLD = 0
SHOWN = {
    "nll": "nll ↓",
    "macro_f1": "pooled macro-F1 ↑",
    "annotator_macro_f1": "annotator macro-F1 ↑",
}


def parts(dataset: str, data: Path, n_texts: int | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ratings of the people of training, and those of the people who are held out."""
    import hyperadapters as ha

    ratings = ha.read_annotations(data / f"{dataset}.parquet", allow_leaks=True)
    people = pd.read_parquet(data / f"{dataset}_annotators.parquet")
    new = set(people.loc[people["fold"] == FOLD, "annotator"].astype(str))
    if n_texts:
        texts = ratings["text"].drop_duplicates().sample(n_texts, random_state=0)
        ratings = ratings[ratings["text"].isin(texts)]
    held_out = ratings["annotator"].isin(new)
    return tuple(ratings[rows].reset_index(drop=True) for rows in (~held_out, held_out))  # type: ignore[return-value]


def few(new: pd.DataFrame, counts: tuple[int, ...], seed: int) -> pd.DataFrame:
    """Ratings of train in random order, with the place of each among those of its person."""
    train = new[new["split"] == "train"].sample(frac=1, random_state=seed)
    train = train.assign(place=train.groupby("annotator").cumcount())
    enough = train.groupby("annotator")["place"].transform("max") >= max(counts) - 1
    return train[enough].drop(columns="split")


def run(
    dataset: str, method: str, seed: int, data: Path, runs: Path, given: argparse.Namespace
) -> dict[str, Any]:
    """Scores of a cell for every k."""
    import hyperadapters as ha
    from hyperadapters.cli.progress import PlainProgress

    counts = tuple(given.counts)
    old, new = parts(dataset, data, given.texts)
    output = runs / f"{dataset}-{method}-{seed}"
    for path in (output, *runs.glob(f"{output.name}-k*")):
        shutil.rmtree(path, ignore_errors=True)
    made = ha.fit(
        old,
        output=output,
        method=method,
        seed=seed,
        allow_leaks=True,
        progress=PlainProgress(),
        **dict(pair.split("=", 1) for pair in given.set),
    )
    ordered = few(new, counts, seed)
    asked = new[(new["split"] == "test") & new["annotator"].isin(ordered["annotator"])]
    found: dict[str, Any] = {}
    for k in counts:
        began, adapted = time.monotonic(), made
        if k:
            rows = ordered[ordered["place"] < k].drop(columns="place")
            adapted = made.adapt(rows, runs / f"{output.name}-k{k}")
        seconds = time.monotonic() - began
        answers = adapted.predict(asked, annotators="rows")
        scores = ha.evaluate(answers, intervals=False).query("slice == 'all'")
        of_metric = scores.set_index("metric")["value"]
        found[str(k)] = {name: float(of_metric[name]) for name in SHOWN} | {"seconds": seconds}
    return {
        "scores": found,
        "people": int(asked["annotator"].nunique()),
        "rows": len(asked),
        "versions": made.record.versions,
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def table(found: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = ["# New people from k labels", ""]
    lines += [
        f"People of fold {FOLD} are held out and learned from k random labels each; test split,",
        "mean over seeds. k = 0 is the population. Seconds are those of `adapt` for all of them.",
        "",
    ]
    lines += [f"| data | method | people | k | seeds | {' | '.join(SHOWN.values())} | seconds |"]
    lines += ["|" + "---|" * (6 + len(SHOWN))]
    for dataset in DATASETS:
        for method in METHODS:
            cells = [c for name, c in found.items() if name.startswith(f"{dataset}/{method}/")]
            for k in cells[0]["scores"] if cells else ():
                shown = [dataset, method, str(cells[0]["people"]), k, str(len(cells))]
                for metric, digits in (*((name, 3) for name in SHOWN), ("seconds", 1)):
                    mean = np.mean([cell["scores"][k][metric] for cell in cells])
                    shown.append(f"{mean:.{digits}f}")
                lines.append(f"| {' | '.join(shown)} |")
    some = next(iter(found.values()))
    versions = ", ".join(f"{name} {version}" for name, version in some["versions"].items())
    made = f"Made by `python benchmarks/adapt.py` on {some['hardware']}; {versions}."
    return "\n".join([*lines, "", made, ""])


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--runs", type=Path, default=Path("runs/adapt"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--output", type=Path, default=TABLE)
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--texts", type=int, help="only so many of the texts, to try it out")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings")
    parser.add_argument("--table", action="store_true", help="run nothing")
    given = parser.parse_args()
    results: Path = given.results
    found = json.loads(results.read_text("utf-8")) if results.exists() else {}
    grid = [(d, m, s) for s in given.seeds for d in given.datasets for m in given.methods]
    for cell in [] if given.table else grid:
        name = "/".join(map(str, cell))
        if name not in found:
            print(f"== {name}", flush=True)
            found[name] = run(*cell, given.data, given.runs, given)
            text = json.dumps(found, indent=1, sort_keys=True) + "\n"
            results.write_text(text, encoding="utf-8")
            given.output.write_text(table(found), encoding="utf-8")
    if found:
        given.output.write_text(table(found), encoding="utf-8")


if __name__ == "__main__":
    main()
