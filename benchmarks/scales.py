"""Heads and decisions for labels on a scale: runs what is missing, then writes the table.

    python benchmarks/scales.py --data ../shared/data/perspectives

Every cell is a run of a method with one kind of head; both decisions are taken of its answers.
Finished cells are kept in benchmarks/results/scales.json; `--table` runs nothing and writes
docs/tables/scales.md.
"""

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import store

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "scales.json"
TABLE = HERE.parent / "docs" / "tables" / "scales.md"
# Data set → its columns of text, and how many of its texts.
DATASETS = {
    "paraphrase": (("Question1", "Question2"), None),
    "popquorn_offensiveness": (("text",), 600),
}
METHODS = ("intercept", "hyperlora")
HEADS = ("softmax", "cumulative", "cumulative-scale")
DECISIONS = ("mode", "median")
SHOWN = {"nll": "nll ↓", "accuracy": "accuracy ↑", "mae": "mean absolute error ↓"}


def run(dataset: str, method: str, head: str, seed: int, data: Path, runs: Path) -> dict[str, Any]:
    """Scores of a cell under both decisions, on the test split."""
    import hyperadapters as ha
    from hyperadapters.cli.progress import PlainProgress
    from hyperadapters.labels import LabelSpace

    columns, n_texts = DATASETS[dataset]
    ratings = ha.read_annotations(data / f"{dataset}.parquet", text=columns, allow_leaks=True)
    if n_texts:
        texts = ratings["text"].drop_duplicates().sample(n_texts, random_state=0)
        ratings = ratings[ratings["text"].isin(texts)].reset_index(drop=True)
    output = runs / f"{dataset}-{method}-{head}-{seed}"
    shutil.rmtree(output, ignore_errors=True)
    made = ha.fit(
        ratings,
        output=output,
        method=method,
        seed=seed,
        head=head,
        allow_leaks=True,
        progress=PlainProgress(),
    )
    labels = LabelSpace.of(ratings["label"])
    test = made.predictions
    test = test[test["split"] == "test"].reset_index(drop=True)
    found: dict[str, Any] = {}
    for decision in DECISIONS:
        chosen = labels.decide(test[list(labels.columns)].to_numpy(np.float64), decision)
        decided = test.assign(predicted=labels.decode(chosen))
        scores = ha.evaluate(decided, intervals=False).query("slice == 'all'")
        of_metric = scores.set_index("metric")["value"]
        found[decision] = {name: float(of_metric[name]) for name in SHOWN}
    return {
        "scores": found,
        "versions": made.record.versions,
        "hardware": store.hardware(),
    }


def table(found: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = ["# Heads and decisions for labels on a scale", ""]
    lines += ["Test split; mean over seeds. Mode / median where the decision matters.", ""]
    lines += [f"| data | method | head | seeds | {' | '.join(SHOWN.values())} |"]
    lines += ["|" + "---|" * (4 + len(SHOWN))]
    for dataset in DATASETS:
        for method in METHODS:
            for head in HEADS:
                start = f"{dataset}/{method}/{head}/"
                cells = [cell["scores"] for name, cell in found.items() if name.startswith(start)]
                if not cells:
                    continue
                shown = [dataset, method, head, str(len(cells))]
                for metric in SHOWN:
                    means = [np.mean([c[d][metric] for c in cells]) for d in DECISIONS]
                    values = [f"{mean:.3f}" for mean in means]
                    shown.append(" / ".join(pd.unique(pd.Series(values))))
                lines.append(f"| {' | '.join(shown)} |")
    some = next(iter(found.values()))
    versions = ", ".join(f"{k} {v}" for k, v in some["versions"].items())
    texts = ", ".join(f"{n} of the texts of {d}" for d, (_, n) in DATASETS.items() if n)
    made = f"Made by `python benchmarks/scales.py` on {some['hardware']} ({texts}); {versions}."
    return "\n".join([*lines, "", made, ""])


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--runs", type=Path, default=Path("runs/scales"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="run nothing")
    given = parser.parse_args()
    found = store.read(RESULTS)
    grid = [(d, m, h, s) for s in given.seeds for d in DATASETS for m in METHODS for h in HEADS]
    for cell in [] if given.table else grid:
        name = "/".join(map(str, cell))
        if name not in found:
            print(f"== {name}", flush=True)
            made = run(*cell, given.data, given.runs)
            with store.results(RESULTS) as found:
                found[name] = made
            TABLE.write_text(table(found), encoding="utf-8")
    if found:
        TABLE.write_text(table(found), encoding="utf-8")


if __name__ == "__main__":
    main()
