"""The table of methods on real ratings: runs what is missing, then writes the Markdown tables.

    python benchmarks/perspectives.py --data ../shared/data/perspectives

For each data set the runs lie in a folder as `hyperadapters compare` makes it, and are put side by
side as it does: means over seeds, and paired differences from `hyperlora`. A run that was stopped
is resumed. What is found goes to benchmarks/results/perspectives.json, data set by data set; all
tables to docs/tables/perspectives.md and the short one, between its markers, into README.md.
`--only DATASET`, `--method M` and `--seed N` run a part; `--collect` runs nothing and collects what
is finished; `--table` only writes the tables.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import store

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "perspectives.json"
TABLE = HERE.parent / "docs" / "tables" / "perspectives.md"
README = HERE.parent / "README.md"
MARKERS = ("<!-- table: perspectives -->\n", "<!-- end of table -->")
COMMAND = "python benchmarks/perspectives.py --data ../shared/data/perspectives"
OURS = "hyperlora"
FEW_ROWS = 100
"""Rows by unknown people, below which no table tells of them."""

WITH_LORA = "hyperlora, deviation=lora"
METHODS = (
    *("hyperlora", WITH_LORA, "hyperlora-paper", "annotator-embedding", "multi-head", "user-token"),
    *("lora-per-annotator", "intercept", "text-only", "majority", "annotator-mode", "global-mode"),
)
# Nothing of the text is shared between annotators: one seed is what two cores can do.
ONE_SEED = (WITH_LORA, "hyperlora-paper", "user-token", "lora-per-annotator")
# The published recipe trains for 20 epochs at all layers: more than two cores can do for all sets.
BUDGET: Mapping[str, Mapping[str, Any]] = {
    "hyperlora-paper": {"epochs": 2, "evaluations_per_epoch": 1, "precision": "bfloat16"},
    "user-token": {"epochs": 3},
    WITH_LORA: {"deviation": "lora"},
}
METRICS = {
    "nll": "nll ↓",
    "macro_f1": "macro-F1 ↑",
    "annotator_macro_f1": "annotator macro-F1 ↑",
    "minority_accuracy": "minority accuracy ↑",
}
DIFFERENCES = ("nll", "macro_f1", "annotator_macro_f1", "minority_accuracy", "accuracy")


@dataclass(frozen=True)
class Source:
    """How a data set is read.

    Attributes:
        seeds: The seeds of its runs.
        text: Column of the text, or two of a pair.
        without: Labels that are no answer.
        further: Metrics that its table shows beside the others.
        join_labels: Whether several labels of a person for a text are one answer.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    text: tuple[str, ...] = ("text",)
    without: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    join_labels: bool = False


OF_SCALES = ("soft_wasserstein", "absolute_distance")
DATASETS = {
    "popquorn_offensiveness": Source(),
    "crehate": Source(without=("2",)),  # don't know
    "md_agreement": Source(),
    "hs_brexit": Source(),
    "convabuse": Source(),
    "csc_devtest": Source((0,), further=OF_SCALES),
    "paraphrase": Source((0,), ("Question1", "Question2"), further=OF_SCALES),
    "varierr_nli": Source((0,), further=("soft_manhattan", "error_rate"), join_labels=True),
    "dense_toxicity": Source((0,)),
    "hatecheck": Source((0,), further=("accuracy",)),
}


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    dataset: str
    method: str
    seed: int

    @property
    def folder(self) -> str:
        """Its folder below --runs."""
        return f"{self.dataset}/{self.method.replace(', ', '-')}/seed-{self.seed}"


def cells() -> Iterator[Cell]:
    """All runs; first the first seed of all methods, those last that take long."""
    for long in (False, True):
        for seed in (0, 1, 2):
            for dataset, source in DATASETS.items():
                for method in METHODS:
                    seeds = source.seeds[:1] if method in ONE_SEED else source.seeds
                    if seed in seeds and (method in ONE_SEED) == long:
                        yield Cell(dataset, method, seed)


def ratings(dataset: str, data: Path) -> pd.DataFrame:
    """ANNOTATIONS of a data set."""
    import hyperadapters as ha

    source = DATASETS[dataset]
    found = ha.read_annotations(
        data / f"{dataset}.parquet",
        text=source.text if len(source.text) > 1 else source.text[0],
        allow_leaks=True,  # some texts stand in two of their authors' splits
        join_labels=source.join_labels,
    )
    return found[~found["label"].astype(str).isin(source.without)].reset_index(drop=True)


def run(cell: Cell, data: Path, runs: Path) -> None:
    """Run a cell, or what is left of it."""
    import hyperadapters as ha
    from hyperadapters.cli.progress import PlainProgress

    output = runs / cell.folder
    record = output / "run.json"
    if is_finished(output):
        return
    print(f"== {cell.folder}", flush=True)
    ha.fit(
        ratings(cell.dataset, data),
        output=output,
        method=cell.method.split(",")[0],
        seed=cell.seed,
        resume=record.exists(),
        allow_leaks=True,
        progress=PlainProgress(),
        **BUDGET.get(cell.method, {}),
    )


def is_finished(output: Path) -> bool:
    """Whether a folder holds a finished run."""
    record = output / "run.json"
    return record.exists() and json.loads(record.read_text("utf-8"))["complete"]


def collect(dataset: str, runs: Path) -> dict[str, Any]:
    """What the finished runs of a data set say, put side by side; nothing if there are none."""
    import hyperadapters as ha
    from hyperadapters.experiments.comparison import tabulate

    done = [c for c in cells() if c.dataset == dataset and is_finished(runs / c.folder)]
    made = [ha.load(runs / cell.folder) for cell in done]
    if not made:
        return {}
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
        "rows": {name: _row(table.rows[name]) for name in METHODS if name in table.rows},
        "differences": [row for rows in differences for row in rows],
        "helped_and_hurt": _records(people),
        "by_source": _by_source(scores),
        "data": made[0].record.data,
        "settings": {record.method: record.settings for record in records},
        "versions": made[0].record.versions,
        "hardware": store.hardware(),
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


def short_table(found: Mapping[str, Any]) -> str:
    """Methods × the first data sets: nll and both macro-F1, for the README."""
    shown = [name for name in list(DATASETS)[:5] if name in found]
    names = [m for m in METHODS if any(m in found[d]["rows"] for d in shown)]
    lines = [f"| method | {' | '.join(shown)} | parameters |", "|" + "---|" * (2 + len(shown))]
    for method in names:
        cells = []
        for dataset in shown:
            row = found[dataset]["rows"].get(method)
            metrics = [m for m in METRICS if m != "minority_accuracy"]
            cells.append(" / ".join(_mean(row["cells"][m]) for m in metrics) if row else "")
        sizes = [
            found[d]["rows"][method]["parameters"] for d in shown if method in found[d]["rows"]
        ]
        span = (
            f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
        )
        lines.append(f"| {shown_name(method)} | {' | '.join(cells)} | {span} |")
    return "\n".join(lines) + "\n"


def _mean(cell: Sequence[Any]) -> str:
    mean, _, best, near = cell
    text = "-" if mean is None else f"{mean:.3f}"
    return f"**{text}**" if best else f"{text} ≈" if near else text


def table_of(dataset: str, found: Mapping[str, Any]) -> list[str]:
    """One data set: the methods, and how far they are from ours."""
    metrics = {**METRICS, **{m: m.replace("_", " ") for m in DATASETS[dataset].further}}
    heads = ["method", *metrics.values(), "parameters", "seconds", "seeds"]
    data = found["data"]
    lines = [
        f"## {dataset}",
        "",
        f"{data['rows']:,} ratings of {data['texts']:,} texts by {data['annotators']:,} people.",
        "",
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
    ]
    for method in _methods(found):
        row = found["rows"][method]
        cells = [_spread(row["cells"].get(m)) for m in metrics]
        rest = [f"{row['parameters']:,}", f"{row['seconds']:,.0f}", str(len(row["seeds"]))]
        lines.append(f"| {' | '.join([shown_name(method), *cells, *rest])} |")
    return [*lines, "", *_from_ours(found), *_sources(found)]


def _methods(found: Mapping[str, Any]) -> list[str]:
    return [name for name in METHODS if name in found["rows"]]


def _spread(cell: Sequence[Any] | None) -> str:
    if cell is None or cell[0] is None:
        return "-"
    mean, spread, best, near = cell
    text = f"{mean:.3f}" if spread is None else f"{mean:.3f} ± {spread:.3f}"
    return f"**{text}**" if best else f"{text} ≈" if near else text


def _from_ours(found: Mapping[str, Any]) -> list[str]:
    if not found["differences"]:
        return []
    frame = pd.DataFrame(found["differences"])
    lines = [
        f"| `{OURS}` less | {' | '.join(DIFFERENCES)} |",
        "|" + "---|" * (1 + len(DIFFERENCES)),
    ]
    for method in _methods(found):
        part = frame[frame["method"] == method].set_index("metric")
        if part.empty:
            continue
        cells = []
        for metric in DIFFERENCES:
            if metric not in part.index or part.loc[metric, "difference"] is None:
                cells.append("-")
                continue
            middle, low, high = (float(part.loc[metric, c]) for c in ("difference", "low", "high"))
            text = f"{-middle:+.3f} ({-high:+.3f} to {-low:+.3f})"
            cells.append(f"**{text}**" if low > 0 or high < 0 else text)
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return [*lines, ""]


def _sources(found: Mapping[str, Any]) -> list[str]:
    of = found["by_source"]
    if not of:
        return []
    some = _methods(found)[0]
    known, unknown = (of[f"{some}/{source}"]["n"] for source in ("known", "population"))
    if unknown < FEW_ROWS:
        return []
    lines = [
        f"By whether the annotator has training rows ({known:,} rows) or not ({unknown:,} rows, "
        "answered for the population):",
        "",
        "| method | nll known | population | macro-F1 known | population |",
        "|---|---|---|---|---|",
    ]
    for method in _methods(found):
        cells = [
            f"{of[f'{method}/{source}'][metric]:.3f}"
            for metric in ("nll", "macro_f1")
            for source in ("known", "population")
        ]
        lines.append(f"| {shown_name(method)} | {' | '.join(cells)} |")
    return [*lines, ""]


def shown_name(method: str) -> str:
    """A method, with its budget where that is not its own."""
    epochs = BUDGET.get(method, {}).get("epochs")
    return f"{method} ({epochs} epochs)" if epochs else method


def tables(found: Mapping[str, Any]) -> tuple[str, str]:
    """The short table, and the page of all tables."""
    some = next(iter(found.values()))
    versions = ", ".join(f"{k} {v}" for k, v in some["versions"].items())
    seeds = " or ".join(
        sorted({str(len(row["seeds"])) for d in found.values() for row in d["rows"].values()})
    )
    how = (
        "Test split; means over seeds. The best mean is bold; ≈ may be as good: the 95 % interval "
        "of its paired difference from the best, over texts and annotators, holds zero."
    )
    made = f"Made by `{COMMAND}` on {some['hardware']}; {versions}."
    page = ["# Methods on real ratings", "", f"{how} After ±: standard deviation over seeds."]
    page += [
        "In the second tables, of the seeds that both have, what is bold differs by more than its "
        "95 % interval. Seconds are of a run, by the clock, beside other work and its breaks.",
        "",
    ]
    for dataset in DATASETS:
        if dataset in found:
            page += table_of(dataset, found[dataset])
    short = (
        f"nll ↓ / pooled macro-F1 ↑ / annotator macro-F1 ↑. {how}\n\n{short_table(found)}\n"
        f"{seeds} seeds, the first ones; spreads, intervals, cost and further data sets: "
        f"[all tables](docs/tables/perspectives.md). {made}\n"
    )
    return short, "\n".join([*page, made, ""])


def put_into_readme(text: str) -> None:
    """Replace what stands between the markers."""
    before, _, rest = README.read_text("utf-8").partition(MARKERS[0])
    _, end, after = rest.partition(MARKERS[1])
    if end:
        README.write_text(before + MARKERS[0] + "\n" + text + "\n" + end + after, encoding="utf-8")


def main() -> None:
    """Run the grid and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--runs", type=Path, default=Path("runs/perspectives"))
    parser.add_argument("--only", action="append", choices=list(DATASETS))
    parser.add_argument("--method", action="append", choices=METHODS)
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
            if found := collect(dataset, given.runs):
                with store.results(RESULTS) as kept:
                    kept[dataset] = found
    short, page = tables(store.read(RESULTS))
    TABLE.write_text(page, encoding="utf-8")
    put_into_readme(short)
    print(f"the tables are in {TABLE}")


if __name__ == "__main__":
    main()
