"""The table of methods on real ratings: runs what is missing, then writes the Markdown tables.

    python benchmarks/perspectives.py --data ../shared/data/perspectives

A run that was stopped is resumed; what a finished one predicted is kept below
benchmarks/results/perspectives, so that the table fills up over many sessions. The runs of a data
set are put side by side as `hyperadapters compare` does it: means over seeds, and paired
differences from `hyperlora`. What is found goes to benchmarks/results/perspectives.json, all tables
to docs/tables/perspectives.md and the short one, between its markers, into README.md. `--only
DATASET`, `--method M` and `--seed N` run a part; `--collect` runs nothing and puts side by side
what is kept; `--table` only writes the tables.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import kept
import numpy as np
import pandas as pd
import perspectives_grid as grid
import store
from perspectives_grid import DIFFERENCES, OURS, Cell, cells
from perspectives_tables import tables

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "perspectives.json"
TABLE = HERE.parent / "docs" / "tables" / "perspectives.md"
README = HERE.parent / "README.md"
KEPT = HERE / "results" / "perspectives"


def ratings(dataset: str, data: Path) -> pd.DataFrame:
    """ANNOTATIONS of a data set."""
    import hyperadapters as ha

    source = grid.DATASETS[dataset]
    found = ha.read_annotations(
        data / f"{dataset}.parquet",
        text=source.text if len(source.text) > 1 else source.text[0],
        allow_leaks=True,  # some texts stand in two of their authors' splits
        join_labels=source.join_labels,
    )
    return found[~found["label"].astype(str).isin(source.without)].reset_index(drop=True)


def run(cell: Cell, data: Path, runs: Path) -> None:
    """Run a cell, or what is left of it, and keep what it predicted."""
    import hyperadapters as ha
    from hyperadapters.cli.progress import PlainProgress

    if kept.is_kept(KEPT / cell.folder):
        return
    output, of_all = runs / cell.folder, ratings(cell.dataset, data)
    record = output / "run.json"
    print(f"== {cell.folder}", flush=True)
    told: dict[str, str] = {}
    if cell.method in grid.DESCRIBED:
        names = grid.DATASETS[cell.dataset].attributes
        people = pd.read_parquet(data / f"{cell.dataset}_annotators.parquet")
        columns = people[["annotator", *names]].astype({"annotator": str})
        of_all = of_all.merge(columns, on="annotator", how="left", validate="many_to_one")
        told = {"attributes": ",".join(names)}
    if record.exists() and "calibration" not in json.loads(record.read_text("utf-8"))["settings"]:
        told["calibration"] = "none"  # begun before there were temperatures; `kept` finds one
    if not is_finished(record):
        ha.fit(
            of_all,
            output=output,
            method=cell.method.split(",")[0],
            seed=cell.seed,
            resume=record.exists(),
            allow_leaks=True,
            progress=PlainProgress(),
            **{**grid.SHARED, **grid.BUDGET.get(cell.method, {}), **told},
        )
    kept.keep(ha.load(output), of_all, KEPT / cell.folder)


def is_finished(record: Path) -> bool:
    """Whether a `run.json` is that of a finished run."""
    return record.exists() and json.loads(record.read_text("utf-8"))["complete"]


def collect(dataset: str, data: Path) -> dict[str, Any]:
    """What the kept runs of a data set say, put side by side; nothing if there are none."""
    from hyperadapters.experiments.comparison import tabulate

    done = [c for c in cells() if c.dataset == dataset and kept.is_kept(KEPT / c.folder)]
    if not done:
        return {}
    of_all = ratings(dataset, data)
    made = [kept.read(KEPT / cell.folder, of_all) for cell in done]
    names = [cell.method for cell in done]  # some are a method with a setting of its own
    scores, predictions = (
        pd.concat([f.assign(method=n) for f, n in zip(frames, names, strict=True)])
        for frames in ([one.scores for one in made], [one.predictions for one in made])
    )
    records = [replace(one.record, method=n) for one, n in zip(made, names, strict=True)]
    table, _, people = tabulate(scores, predictions, records)
    test = predictions[predictions["split"] == table.split].reset_index(drop=True)
    others = [name for name in dict.fromkeys(names) if name != OURS]
    differences = [_from_ours_of(test, other) for other in others if OURS in names]
    return {
        "rows": {name: _row(table.rows[name]) for name in grid.METHODS if name in table.rows},
        "differences": [row for rows in differences for row in rows],
        "helped_and_hurt": _records(people),
        "by_source": _by_source(scores),
        "shared_task": _shared_task(test, grid.DATASETS[dataset].shared_task),
        "data": made[0].record.data,
        "settings": {record.method: record.settings for record in records},
        "versions": made[0].record.versions,
        "hardware": store.hardware(),
    }


def _shared_task(test: pd.DataFrame, task: grid.SharedTask | None) -> dict[str, list[float]]:
    """Method → its scores in the two tasks, with the answers that the second asks for."""
    if task is None:
        return {}
    import hyperadapters as ha
    from hyperadapters.tables.predictions import label_space_of

    labels = label_space_of(test)
    shares = test[list(labels.columns)].to_numpy(np.float64)
    # Methods that count answer with what they counted.
    chosen = np.where(
        test["method"].isin(["annotator-mode", "global-mode"]),
        labels.decide(shares),
        labels.decide(shares, task.decision),
    )
    scores = ha.evaluate(test.assign(predicted=labels.decode(chosen)), intervals=False)
    means = scores[scores["slice"] == "all"].groupby(["method", "metric"])["value"].mean()
    return {
        method: [float(means[method, name]) for name in (task.soft, task.perspectivist)]
        for method in dict.fromkeys(test["method"])
    }


def _from_ours_of(test: pd.DataFrame, other: str) -> list[dict[str, Any]]:
    """Paired differences of a method from ours, by the seeds that both have."""
    import hyperadapters as ha

    both = test[test["method"].isin([OURS, other])]
    seeds = set.intersection(*(set(part["seed"]) for _, part in both.groupby("method")))
    if not seeds:
        return []
    same = both[both["seed"].isin(seeds)].reset_index(drop=True)
    return _records(ha.paired_differences(same, OURS, metrics=DIFFERENCES))


def _row(row: Any) -> dict[str, Any]:
    numbers = {
        name: [_number(c.mean), _number(c.spread), c.is_best, c.is_near_best]
        for name, c in row.cells.items()
    }
    named = {"parameters": row.parameters, "seconds": row.seconds, "seeds": list(row.seeds)}
    return {"cells": numbers, **named}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _by_source(scores: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Method and source → rows, nll and macro-F1, where some annotators are unknown."""
    test = scores[(scores["split"] == "test") & scores["slice"].isin(["known", "population"])]
    found: dict[str, dict[str, float]] = {}
    for (method, source), part in test.groupby(["method", "slice"]):
        values = part.groupby("metric")["value"].mean()
        rows = int(part.loc[part["metric"] == "nll", "n"].iloc[0])
        named = {name: float(values[name]) for name in ("nll", "macro_f1")}
        found[f"{method}/{source}"] = {**named, "n": rows}
    return found


def main() -> None:
    """Run the grid and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--runs", type=Path, default=Path("runs/perspectives"))
    parser.add_argument("--only", action="append", choices=list(grid.DATASETS))
    parser.add_argument("--method", action="append", choices=grid.METHODS)
    parser.add_argument("--seed", action="append", type=int)
    parser.add_argument("--collect", action="store_true", help="run nothing, collect")
    parser.add_argument("--table", action="store_true", help="only write the tables")
    given = parser.parse_args()
    wanted = [
        cell
        for cell in cells()
        if cell.dataset in (given.only or [cell.dataset])
        and cell.method in (given.method or [cell.method])
        and cell.seed in (given.seed or [cell.seed])
    ]
    if not (given.table or given.collect):
        for cell in wanted:
            run(cell, given.data, given.runs)
    if not given.table:
        for dataset in dict.fromkeys(cell.dataset for cell in wanted):
            if found := collect(dataset, given.data):
                with store.results(RESULTS) as kept:
                    kept[dataset] = found
    short, page = tables(store.read(RESULTS))
    TABLE.write_text(page, encoding="utf-8")
    store.put_between(README, "perspectives", short)
    print(f"the tables are in {TABLE}")


if __name__ == "__main__":
    main()
