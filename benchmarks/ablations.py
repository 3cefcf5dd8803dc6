"""What each part of `hyperlora` is worth: one thing changed at a time, chosen by the nll on dev.

    python benchmarks/ablations.py --data ../shared/data/perspectives

Every cell is a run on some of the texts of a data set, with the defaults but for what its name
says; beside them the baselines. The defaults are set by this table: by dev, never by test, which is
shown too. Finished cells are kept in benchmarks/results/ablations.json; `--only WORD` runs the
variations whose names hold the word; `--table` runs nothing and writes docs/tables/ablations.md.
"""

import argparse
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import store

from hyperadapters.backbones.load import built_in_folder

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "ablations.json"
TABLE = HERE.parent / "docs" / "tables" / "ablations.md"
# Data set → how many of its texts.
DATASETS = {"popquorn_offensiveness": 600, "crehate": 200, "hs_brexit": 600}
METRICS = {
    "dev nll": ("dev", "nll"),
    "dev macro-F1": ("dev", "macro_f1"),
    "test nll": ("test", "nll"),
    "test macro-F1": ("test", "macro_f1"),
    "test annotator macro-F1": ("test", "annotator_macro_f1"),
}
BASE = "hyperlora"
LORA = {"deviation": "lora"}


@dataclass(frozen=True)
class Variation:
    """A method, and what is changed of its settings.

    Attributes:
        method: The method.
        settings: What is changed.
        first_token: Whether the head reads what BERT's pooler makes of the first token, in the
            place of the mean over tokens.
    """

    method: str = BASE
    settings: Mapping[str, Any] = field(default_factory=dict)
    first_token: bool = False


def _of(**settings: Any) -> tuple[str, Variation]:
    shown = {k: v if isinstance(v, str) else f"{v:g}" for k, v in settings.items()}
    return ", ".join(f"{k}={v}" for k, v in shown.items()), Variation(settings=settings)


VARIATIONS: dict[str, Variation] = dict(
    [
        (BASE, Variation()),
        ("intercept", Variation("intercept")),
        ("annotator-embedding", Variation("annotator-embedding")),
        ("text-only", Variation("text-only")),
        _of(**LORA),
        _of(**LORA, deviation_learning_rate=0.0),
        _of(**LORA, averaging=0.25),
        _of(**LORA, averaging=0.5),
        _of(**LORA, averaging=1.0),
        _of(**LORA, averaging=0.5, evaluations_per_epoch=2, patience=3),
        _of(averaging=0.25),
        _of(averaging=0.5),
        _of(averaging=1.0),
        ("intercept, averaging=0.5", Variation("intercept", {"averaging": 0.5})),
        (
            "annotator-embedding, averaging=0.5",
            Variation("annotator-embedding", {"averaging": 0.5}),
        ),
        ("text-only, averaging=0.5", Variation("text-only", {"averaging": 0.5})),
        _of(taste_rank=0),
        _of(taste_rank=64),
        _of(shrinkage=0.1),
        _of(shrinkage=1.0),
        _of(condition_noise=0.0),
        _of(condition_noise=0.6),
        _of(condition_width=16),
        _of(condition_width=128),
        _of(condition_learning_rate=1e-2),
        _of(condition_learning_rate=5e-2),
        _of(learning_rate=5e-4),
        _of(learning_rate=2e-3),
        _of(head_dropout=0.4),
        _of(condition_dropout=0.1),
        _of(weight_decay=0.1),
        _of(r=8),
        _of(batch_size=32),
        _of(stop_by="annotators"),
        _of(label_balance=0.5),
        _of(label_balance=1.0),
        ("pooling=first token", Variation(first_token=True)),
    ]
)


@dataclass(frozen=True)
class Cell:
    """One run."""

    dataset: str
    variation: str
    seed: int

    @property
    def name(self) -> str:
        """Its name in the results."""
        return f"{self.dataset}/{self.variation}/{self.seed}"


def run(cell: Cell, data: Path, runs: Path) -> dict[str, Any]:
    """Scores of a cell."""
    import hyperadapters as ha
    from hyperadapters.cli.progress import PlainProgress

    output = runs / cell.name.replace("/", "-").replace(" ", "")
    shutil.rmtree(output, ignore_errors=True)
    variation = VARIATIONS[cell.variation]
    # By its folder it is loaded as Transformers' own classifier, with the pooler that it has.
    backbone = {"backbone": str(built_in_folder())} if variation.first_token else {}
    made = ha.fit(
        store.some_texts(cell.dataset, DATASETS[cell.dataset], data),
        output=output,
        method=variation.method,
        seed=cell.seed,
        allow_leaks=True,  # crehate has texts in two of its authors' splits
        progress=PlainProgress(),
        keep_states="disk",
        **backbone,
        **variation.settings,
    )
    results = made.record.results
    scores = store.values_of(made.scores, METRICS)
    shutil.rmtree(output)
    return {
        "scores": scores,
        "parameters": results["trainable_parameters"],
        "best_epoch": results["best"]["epoch"],
        "versions": made.record.versions,
        "hardware": store.hardware(),
    }


def table(found: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    names = [name.split("/") for name in found]
    frame = pd.DataFrame(
        [
            {"dataset": d, "variation": v, "seed": int(s), **found[f"{d}/{v}/{s}"]["scores"]}
            for d, v, s in names
        ]
    )
    lines = [
        "# What each part of hyperlora is worth",
        "",
        "Some of the texts of each data set; the defaults but for what is named. Means over seeds. "
        "The last column is the mean over data sets of the difference of the dev nll from that of "
        f"`{BASE}` with the same seeds, in thousandths: below zero is better. Test is shown, and "
        "chose nothing.",
        "",
        f"| variation | seeds | {' | '.join(f'{d}: dev nll, test nll, macro-F1' for d in DATASETS)}"
        " | Δ dev nll |",
        "|" + "---|" * (3 + len(DATASETS)),
    ]
    base = frame[frame["variation"] == BASE].set_index(["dataset", "seed"])["dev nll"]
    rows = []
    for variation in VARIATIONS:
        part = frame[frame["variation"] == variation]
        if part.empty:
            continue
        cells, gains = [], []
        for dataset in DATASETS:
            of = part[part["dataset"] == dataset].set_index(["dataset", "seed"])
            shown = [of[m].mean() for m in ("dev nll", "test nll", "test macro-F1")]
            cells.append(", ".join(f"{value:.3f}" for value in shown) if len(of) else "")
            if len(of):
                gains.append((of["dev nll"] - base.reindex(of.index)).mean())
        is_whole = len(gains) == len(DATASETS) and np.isfinite(gains).all()
        gain = f"{1000 * np.mean(gains):+.0f}" if is_whole else ""
        seeds = str(part.groupby("dataset").size().min())
        rows.append(f"| {variation} | {seeds} | {' | '.join(cells)} | {gain} |")
    some = next(iter(found.values()))
    versions = ", ".join(f"{k} {v}" for k, v in some["versions"].items())
    end = f"Made by `python benchmarks/ablations.py` on {some['hardware']}; {versions}."
    return "\n".join([*lines, *rows, "", end, ""])


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--runs", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--table", action="store_true", help="run nothing")
    given = parser.parse_args()
    wanted = [] if given.table else [v for v in VARIATIONS if given.only in v]
    for seed in given.seeds:
        for variation in wanted:
            for dataset in DATASETS:
                cell = Cell(dataset, variation, seed)
                with store.results(RESULTS) as found:
                    done = cell.name in found
                if not done:
                    print(f"== {cell.name}", flush=True)
                    made = run(cell, given.data, given.runs)
                    with store.results(RESULTS) as found:
                        found[cell.name] = made
    if found := store.read(RESULTS):
        TABLE.write_text(table(found), encoding="utf-8")


if __name__ == "__main__":
    main()
