"""Which layers to adapt, and in how many of them people deviate: score against time.

    python benchmarks/layers.py --data ../shared/data/perspectives

Every cell is a run of `hyperlora` with other `adapted_layers` and `deviating_layers`, on some of
the texts of a data set; beside them plain LoRA in all layers, which is not told who is asked. The
choice is by the nll on dev, and test is reported too. Time is processor time of the training
process on one thread, so that what else the machine does counts little. The first seed runs all
choices of layers, the others those of `SEVERAL`. Finished cells are kept in
benchmarks/results/layers.json; `--table` runs nothing and writes docs/tables/layers.md.
"""

import argparse
import fcntl
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import store

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "layers.json"
TABLE = HERE.parent / "docs" / "tables" / "layers.md"
# Data set → how many of its texts.
DATASETS = {"popquorn_offensiveness": 600, "crehate": 200, "hs_brexit": 600}
# Adapted layers, counted from the top, and in how many of them people deviate; of six.
LAYERS = ((2, 1), (1, 1), (2, 2), (4, 1), (4, 4), (6, 1), (6, 6))
# What runs with all seeds: few layers, a middle way, all layers, and plain LoRA in all layers.
PLAIN = ("text-only", 6, 0)
SEVERAL = (("hyperlora", 2, 1), ("hyperlora", 4, 1), ("hyperlora", 6, 6), PLAIN)
METRICS = {
    "dev nll": ("dev", "nll"),
    "test nll": ("test", "nll"),
    "macro-F1": ("test", "macro_f1"),
    "annotator macro-F1": ("test", "annotator_macro_f1"),
}


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        dataset: Name of the data set.
        method: ``"hyperlora"``, or ``"text-only"``, which is plain LoRA.
        adapted: Number of adapted layers.
        deviating: In how many of them people deviate.
        seed: The seed.
    """

    dataset: str
    method: str
    adapted: int
    deviating: int
    seed: int

    @property
    def name(self) -> str:
        """Its name in the results."""
        return "/".join(str(value) for value in vars(self).values())

    @classmethod
    def of(cls, name: str) -> "Cell":
        """The cell of that name."""
        dataset, method, adapted, deviating, seed = name.split("/")
        return cls(dataset, method, int(adapted), int(deviating), int(seed))


def cells(seeds: list[int]) -> list[Cell]:
    """All cells; the first seed has more of them."""
    ways = (*(("hyperlora", *layers) for layers in LAYERS), PLAIN)
    return [
        Cell(dataset, *way, seed)
        for seed in seeds
        for dataset in DATASETS
        for way in (ways if seed == seeds[0] else SEVERAL)
    ]


def run(cell: Cell, data: Path, runs: Path) -> dict[str, Any]:
    """Scores and time of a cell."""
    import hyperadapters as ha
    from hyperadapters.cli.progress import PlainProgress

    output = runs / cell.name.replace("/", "-")
    shutil.rmtree(output, ignore_errors=True)  # half a run has half of the time
    table = store.some_texts(cell.dataset, DATASETS[cell.dataset], data)
    # Of all six layers, 0 stands for all.
    layers = {"adapted_layers": cell.adapted % 6, "deviating_layers": cell.deviating % 6}
    layers |= {"deviation": "lora"}
    started = time.process_time()
    made = ha.fit(
        table,
        output=output,
        method=cell.method,
        seed=cell.seed,
        allow_leaks=True,  # crehate has texts in two of its authors' splits
        progress=PlainProgress(),
        **layers,
    )
    seconds = time.process_time() - started
    steps = [json.loads(line) for line in (output / "log.jsonl").read_text("utf-8").splitlines()]
    return {
        "scores": store.values_of(made.scores, METRICS),
        "processor_seconds": round(seconds, 1),
        "epochs": steps[-1]["epoch"],
        "rows": len(table),
        "versions": made.record.versions,
        "hardware": store.hardware(),
    }


@contextmanager
def claimed(cell: Cell, runs: Path) -> Iterator[bool]:
    """Whether no other process is running this cell; none will begin it in this block."""
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / f"{cell.name.replace('/', '-')}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def table(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    frame = pd.DataFrame(
        [
            {
                **vars(Cell.of(name)),
                **cell["scores"],
                "rows": cell["rows"],
                "seconds": cell["processor_seconds"] / cell["epochs"],
            }
            for name, cell in found.items()
        ]
    )
    lines = [
        "# Layers, scores and time",
        "",
        "`hyperlora` with `deviation=lora` (by default only the head's weights deviate) on the "
        "built-in encoder of six layers; mean over seeds, with half the range. "
        "Seconds are processor time of an epoch on one thread, evaluation and what is read once "
        "per text included.",
    ]
    for dataset, part in frame.groupby("dataset"):
        lines += ["", f"## {dataset}: {part['rows'].iloc[0]:,} ratings of some texts", ""]
        lines += _rows(part)
    some = next(iter(found.values()))
    versions = ", ".join(f"{k} {v}" for k, v in some["versions"].items())
    lines += ["", f"Made by `python benchmarks/layers.py` on {some['hardware']}; {versions}.", ""]
    return "\n".join(lines)


def _rows(part: pd.DataFrame) -> list[str]:
    keys = ["method", "adapted", "deviating"]
    head = ["method", "layers adapted", "in which people deviate", "seeds", *METRICS]
    head.append("seconds an epoch")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for (method, adapted, deviating), same in part.groupby(keys):
        shown = [method, str(adapted), str(deviating), str(len(same))]
        shown += [_spread(same[name]) for name in METRICS]
        lines.append(f"| {' | '.join(shown)} | {same['seconds'].mean():.0f} |")
    return lines


def _spread(values: pd.Series) -> str:
    half = (values.max() - values.min()) / 2
    return f"{values.mean():.3f}" + (f" ± {half:.3f}" if len(values) > 1 else "")


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--runs", type=Path, default=Path("runs/layers"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=DATASETS)
    parser.add_argument("--table", action="store_true", help="run nothing")
    given = parser.parse_args()
    for cell in cells(given.seeds) if not given.table else ():
        with claimed(cell, given.runs) as is_ours:
            with store.results(RESULTS) as found:
                done = cell.name in found
            if is_ours and not done and given.only in (None, cell.dataset):
                print(f"== {cell.name}", flush=True)
                made = run(cell, given.data, given.runs)
                with store.results(RESULTS) as found:
                    found[cell.name] = made
    if found := store.read(RESULTS):
        TABLE.write_text(table(found), encoding="utf-8")


if __name__ == "__main__":
    main()
