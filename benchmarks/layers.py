"""Which layers to adapt, and in how many of them people deviate: score against time.

    python benchmarks/layers.py --data ../shared/data/perspectives

Every cell is a run of `hyperlora` with other `adapted_layers` and `deviating_layers`, chosen by the
nll on dev and reported on test too. Time is processor time of the training process on one thread,
so that what else the machine does counts little. Finished cells are kept in
benchmarks/results/layers.json; `--table` runs nothing and writes docs/tables/layers.md.
"""

import argparse
import json
import os
import platform
import shutil
import time
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "layers.json"
TABLE = HERE.parent / "docs" / "tables" / "layers.md"
DATASETS = ("hs_brexit", "popquorn_offensiveness", "convabuse")
# Adapted layers, counted from the top, and in how many of them people deviate.
LAYERS = ((2, 1), (1, 1), (2, 2), (4, 1), (4, 2), (4, 4), (6, 1), (6, 6))
METRICS = {"dev nll": ("dev", "nll"), "test nll": ("test", "nll"), "macro-F1": ("test", "macro_f1")}


def run(dataset: str, adapted: int, deviating: int, seed: int, data: Path, runs: Path) -> Any:
    """Scores and time of a cell."""
    import hyperadapters as ha
    from hyperadapters.cli.progress import PlainProgress

    output = runs / f"{dataset}-{adapted}-{deviating}-{seed}"
    shutil.rmtree(output, ignore_errors=True)  # half a run has half of the time
    ratings = ha.read_annotations(data / f"{dataset}.parquet", allow_leaks=True)
    settings = {"adapted_layers": adapted % 6, "deviating_layers": deviating % 6}
    started = time.process_time()
    made = ha.fit(
        ratings,
        output=output,
        seed=seed,
        allow_leaks=True,  # convabuse has texts in two official splits
        progress=PlainProgress(),
        **settings,
    )
    seconds = time.process_time() - started
    scores = made.scores
    values = {}
    for name, (split, metric) in METRICS.items():
        chosen = scores[(scores["split"] == split) & (scores["slice"] == "all")]
        values[name] = float(chosen.set_index("metric")["value"][metric])
    steps = [json.loads(line) for line in (output / "log.jsonl").read_text("utf-8").splitlines()]
    return {
        "scores": values,
        "processor_seconds": round(seconds, 1),
        "epochs": steps[-1]["epoch"],
        "versions": made.record.versions,
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores, 1 thread a run",
    }


def write(results: dict[str, Any]) -> None:
    """Write the results, whole or not at all."""
    part = RESULTS.with_suffix(".json.tmp")
    part.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(RESULTS)


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "# Layers, scores and time",
        "",
        "`hyperlora` on the built-in encoder of six layers; mean over seeds. Seconds are processor "
        "time of an epoch, evaluation and what is read once per text included.",
    ]
    rows = []
    for name, cell in results.items():
        dataset, adapted, deviating, seed = name.split("/")
        per_epoch = cell["processor_seconds"] / cell["epochs"]
        where = {"adapted": int(adapted), "deviating": int(deviating), "seed": int(seed)}
        rows.append({"dataset": dataset, **where, **cell["scores"], "seconds": per_epoch})
    frame = pd.DataFrame(rows)
    for dataset, cells in frame.groupby("dataset"):
        head = ["layers adapted", "in which people deviate", "seeds", *METRICS, "seconds an epoch"]
        lines += ["", f"## {dataset}", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for (adapted, deviating), same in cells.groupby(["adapted", "deviating"]):
            values = [f"{same[name].mean():.3f}" for name in METRICS]
            told = [str(adapted), str(deviating), str(len(same)), *values]
            lines.append(f"| {' | '.join(told)} | {same['seconds'].mean():.0f} |")
    some = next(iter(results.values()))
    versions = ", ".join(f"{k} {v}" for k, v in some["versions"].items())
    lines += ["", f"Made by `python benchmarks/layers.py` on {some['hardware']}; {versions}.", ""]
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--runs", type=Path, default=Path("runs/layers"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", choices=DATASETS)
    parser.add_argument("--table", action="store_true", help="run nothing")
    given = parser.parse_args()
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    cells = [
        (dataset, adapted, deviating, seed)
        for seed in given.seeds
        for dataset in ([given.only] if given.only else DATASETS)
        for adapted, deviating in LAYERS
    ]
    for cell in cells if not given.table else ():
        name = "/".join(map(str, cell))
        if name not in results:
            print(f"== {name}", flush=True)
            results[name] = run(*cell, given.data, given.runs)
            write(results)
    if results:
        TABLE.write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()
