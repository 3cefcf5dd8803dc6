"""The table of methods on real ratings: runs what is missing, then writes the Markdown table.

    python benchmarks/perspectives.py --data ../shared/data/perspectives

Every run lies in its own folder under --runs and is kept; a run that was stopped is resumed. The
scores of all finished runs go to benchmarks/results/perspectives.json, the table to
docs/tables/perspectives.md and, between its markers, into README.md. `--only DATASET` and
`--method M` run a part; `--table` runs nothing.
"""

import argparse
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "perspectives.json"
TABLE = HERE.parent / "docs" / "tables" / "perspectives.md"
README = HERE.parent / "README.md"
MARKERS = ("<!-- table: perspectives -->\n", "<!-- end of table -->")
COMMAND = "python benchmarks/perspectives.py --data ../shared/data/perspectives"

METHODS = (
    "hyperlora", "hyperlora-paper", "intercept", "text-only", "annotator-mode", "global-mode",
)  # fmt: skip
DATASETS = {
    "popquorn_offensiveness": (0, 1, 2),
    "hs_brexit": (0, 1, 2),
    "convabuse": (0, 1, 2),
    "md_agreement": (0,),
}
# All runs but the published recipe: the layers adapted by default when the table was begun.
# Half of a table cannot have others.
LAYERS = {"adapted_layers": 2}
# The published recipe trains for 20 epochs at all layers: more than two cores can do for all sets.
BUDGET = {
    "hyperlora-paper": {"epochs": 2, "evaluations_per_epoch": 1, "precision": "bfloat16"},
}
METRICS = {
    "nll": ("nll ↓", 3),
    "accuracy": ("accuracy", 3),
    "macro_f1": ("pooled macro-F1", 3),
    "annotator_macro_f1": ("annotator macro-F1", 3),
    "minority_accuracy": ("minority accuracy", 3),
}


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    dataset: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Its folder below --runs."""
        return f"{self.dataset}/{self.method}-{self.seed}"


def cells() -> Iterator[Cell]:
    """All runs; the ones a reader asks for first come first."""
    for method in METHODS:
        for dataset, seeds in DATASETS.items():
            for seed in seeds:
                yield Cell(dataset, method, seed)


def run(cell: Cell, data: Path, folder: Path) -> None:
    """Run a cell, or what is left of it."""
    import hyperadapters as ha
    from hyperadapters.cli.progress import PlainProgress

    output = folder / cell.name
    record = output / "run.json"
    if record.exists() and json.loads(record.read_text())["complete"]:
        return
    print(f"== {cell.name}", flush=True)
    ratings = ha.read_annotations(data / f"{cell.dataset}.parquet", allow_leaks=True)
    ha.fit(
        ratings,
        output=output,
        method=cell.method,
        seed=cell.seed,
        resume=record.exists(),
        allow_leaks=True,  # convabuse has texts in two official splits
        progress=PlainProgress(),
        **BUDGET.get(cell.method, LAYERS),
    )


def collect(folder: Path) -> list[dict[str, object]]:
    """Scores on test, and costs, of all finished runs."""
    found = []
    for cell in cells():
        record_path = folder / cell.name / "run.json"
        if not record_path.exists():
            continue
        record = json.loads(record_path.read_text())
        if not record["complete"]:
            continue
        scores = pd.read_json(folder / cell.name / "scores.json")
        test = scores[(scores["split"] == "test") & (scores["slice"] == "all")]
        found.append(
            {
                "dataset": cell.dataset,
                "method": cell.method,
                "seed": cell.seed,
                "scores": dict(zip(test["metric"], test["value"], strict=True)),
                "by_source": _sources(scores[scores["split"] == "test"]),
                "trainable_parameters": record["results"]["trainable_parameters"],
                "seconds": record["results"]["seconds"],
                "best_epoch": record["results"].get("best", {}).get("epoch"),
                "settings": record["settings"],
                "data_sha256": record["data"]["sha256"],
                "versions": record["versions"],
            }
        )
    return found


def _sources(scores: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Rows, nll and macro-F1 of the slices by source, where both occur."""
    found = {}
    for source in ("known", "population"):
        part = scores[scores["slice"] == source].set_index("metric")
        if not part.empty:
            found[source] = {name: float(part["value"][name]) for name in ("nll", "macro_f1")}
            found[source]["n"] = int(part["n"]["nll"])
    return found


def table(results: list[dict[str, object]]) -> str:
    """The Markdown table: mean over seeds, and the sample standard deviation after ±."""
    frame = pd.DataFrame(results)
    scores = pd.json_normalize(frame["scores"].tolist()).set_index(frame.index)
    frame = pd.concat([frame.drop(columns="scores"), scores], axis=1)
    lines = []
    for dataset in DATASETS:
        part = frame[frame["dataset"] == dataset]
        if part.empty:
            continue
        headings = ["method", *(heading for heading, _ in METRICS.values()), "parameters", "seeds"]
        lines += [f"\n**{dataset}**, test split\n", "| " + " | ".join(headings) + " |"]
        lines.append("|---" * len(headings) + "|")
        for method in METHODS:
            rows = part[part["method"] == method]
            if rows.empty:
                continue
            values = [_value(rows[metric], digits) for metric, (_, digits) in METRICS.items()]
            parameters = f"{int(rows['trainable_parameters'].iloc[0]):,}"
            lines.append(
                f"| {_shown(method)} | {' | '.join(values)} | {parameters} | {len(rows)} |"
            )
    return "\n".join(lines) + "\n"


def by_source(results: list[dict[str, object]]) -> str:
    """Where some test annotators are unknown: scores of their rows and of the others."""
    lines = []
    for dataset in DATASETS:
        runs = [r for r in results if r["dataset"] == dataset and r["by_source"]]
        if not runs:
            continue
        rows = runs[0]["by_source"]
        lines.append(
            f"\n**{dataset}**, test split by whether the annotator has training rows "
            f"({rows['known']['n']:,} rows known, {rows['population']['n']:,} answered from the "
            "population)\n"
        )
        lines.append("| method | nll ↓ known | population | macro-F1 known | population |")
        lines.append("|---|---|---|---|---|")
        for method in METHODS:
            part = [r["by_source"] for r in runs if r["method"] == method]
            if part:
                cells = [
                    _value(pd.Series([p[source][metric] for p in part]), 3)
                    for metric in ("nll", "macro_f1")
                    for source in ("known", "population")
                ]
                lines.append(f"| {_shown(method)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shown(method: str) -> str:
    epochs = BUDGET.get(method, {}).get("epochs")
    return f"{method} ({epochs} epochs)" if epochs else method


def _value(values: pd.Series, digits: int) -> str:
    text = f"{values.mean():.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {values.std(ddof=1):.{digits}f}"


def put_into_readme(text: str) -> None:
    """Replace what stands between the markers."""
    readme = README.read_text()
    before, _, rest = readme.partition(MARKERS[0])
    _, end, after = rest.partition(MARKERS[1])
    if end:
        README.write_text(before + MARKERS[0] + "\n" + text + "\n" + end + after)


def hardware() -> str:
    """The machine in words."""
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), no GPU"


def main() -> None:
    """Run the grid and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--runs", type=Path, default=Path("runs/perspectives"))
    parser.add_argument("--only", action="append", choices=list(DATASETS))
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--seed", action="append", type=int)
    parser.add_argument("--table", action="store_true", help="only collect and write")
    options = parser.parse_args()
    if not options.table:
        for cell in cells():
            wanted = not options.only or cell.dataset in options.only
            wanted &= not options.method or cell.method in options.method
            wanted &= not options.seed or cell.seed in options.seed
            if wanted:
                run(cell, options.data, options.runs)
    results = collect(options.runs)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(
        json.dumps({"command": COMMAND, "hardware": hardware(), "runs": results}, indent=1) + "\n"
    )
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    text = (
        f"Made by `{COMMAND}` on\n{hardware()}; mean ± standard deviation over seeds.\n"
        + table(results)
        + by_source(results)
    )
    TABLE.write_text(text)
    put_into_readme(text)
    print(f"{len(results)} runs in {TABLE}")


if __name__ == "__main__":
    main()
