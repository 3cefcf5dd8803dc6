"""People whom no method has seen, from 0 to 32 labels: runs what is missing, writes the table.

    python benchmarks/adapt.py --data ../shared/data/perspectives

The protocol is that of `hyperadapters compare --unseen`: people of fold 0 (column `fold` of the
tables of annotators) are held out, k of their labels become known, at random or suggested, and they
are asked about texts of test. Runs and predictions are kept in `--runs`, and what is finished is
not run again; results go to benchmarks/results/adapt.json; `--table` runs nothing and writes
docs/tables/adapt.md.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import store

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "adapt.json"
TABLE = HERE.parent / "docs" / "tables" / "adapt.md"
# Data set → attributes of its annotators.
DATASETS = {
    "popquorn_offensiveness": "gender,race,age,occupation,education",
    "crehate": "nationality,age,education,ethnicity,gender,politic,religion",
    "dense_toxicity": "race,age,gender,political",
}
METHODS = ("hyperlora", "intercept", "annotator-embedding", "text-only")
DESCRIBED = ("hyperlora+attributes", "attributes-only")
"""Methods that are told attributes, run where there are any."""

COUNTS = (0, 1, 2, 4, 8, 16, 32)
FOLD, LEAST = 0, 8
SHOWN = {
    "nll": "nll ↓",
    "macro_f1": "pooled macro-F1 ↑",
    "annotator_macro_f1": "annotator macro-F1 ↑",
}


def ratings_of(dataset: str, data: Path, n_texts: int | None) -> pd.DataFrame:
    """Ratings of a data set, with folds and attributes of annotators."""
    import hyperadapters as ha

    # crehate has texts in two of its authors' splits, and "don't know" as a label.
    files = (data / f"{dataset}.parquet", data / f"{dataset}_annotators.parquet")
    found = ha.read_annotations(*files, allow_leaks=True)
    if dataset == "crehate":
        found = found[found["label"].astype(str) != "2"]
    if n_texts:
        texts = found["text"].drop_duplicates().sample(n_texts, random_state=0)
        found = found[found["text"].isin(texts)]
    return found.reset_index(drop=True)


def run(dataset: str, given: argparse.Namespace) -> dict[str, Any]:
    """Scores of a data set: method → k → metric → values of all seeds."""
    import hyperadapters as ha
    from hyperadapters.cli.progress import PlainProgress

    told = {"attributes": DATASETS[dataset]} if DATASETS[dataset] else {}
    methods = [*given.methods, *(DESCRIBED if told else ())]
    found = ha.compare_unseen(
        *(ratings_of(dataset, given.data, given.texts), methods, given.seeds),
        given.runs / dataset,
        split=ha.SplitBy("both", FOLD, "fold"),
        counts=given.counts,
        least=LEAST,
        resume=True,
        allow_leaks=True,
        progress=PlainProgress(),
        **told,
        **dict(pair.split("=", 1) for pair in given.set),
    )
    rows = found.scores[found.scores["metric"].isin(list(SHOWN))]
    scores: dict[str, Any] = {}
    for row in rows.to_dict("records"):
        of_k = scores.setdefault(row["method"], {}).setdefault(row["slice"], {})
        of_k.setdefault(row["metric"], []).append(float(row["value"]))
    some = ha.load(found.folder.cell(methods[0], given.seeds[0]))
    return {
        "scores": scores,
        "people": found.n_people,
        "versions": some.record.versions,
        "hardware": store.hardware(),
    }


def table(found: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = ["# People whom no method has seen", ""]
    lines += [
        f"People of fold {FOLD} are held out; k labels of each are known, of texts of train, and",
        f"they are asked about texts of test. All have at least {LEAST} such labels; who has fewer",
        "than k gives all of them. Mean ± standard deviation over seeds.",
    ]
    for dataset in (name for name in DATASETS if name in found):
        of, people = found[dataset]["scores"], found[dataset]["people"]
        counts = list(next(iter(of.values())))
        for metric, name in SHOWN.items():
            lines += ["", f"**{dataset}**, {people} people, {name}", ""]
            lines += [f"| method | {' | '.join(counts)} |", "|---" * (len(counts) + 1) + "|"]
            for method, of_k in of.items():
                cells = [_cell(of_k[k][metric]) for k in counts]
                lines.append(f"| {method} | {' | '.join(cells)} |")
    some = next(iter(found.values()))
    versions = ", ".join(f"{name} {version}" for name, version in some["versions"].items())
    made = f"Made by `python benchmarks/adapt.py` on {some['hardware']}; {versions}."
    return "\n".join([*lines, "", made, ""])


def _cell(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/perspectives"))
    parser.add_argument("--runs", type=Path, default=Path("runs/adapt"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--output", type=Path, default=TABLE)
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--texts", type=int, help="only so many of the texts, to try it out")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings")
    parser.add_argument("--table", action="store_true", help="run nothing")
    given = parser.parse_args()
    for dataset in [] if given.table else given.datasets:
        print(f"== {dataset}", flush=True)
        made = run(dataset, given)
        with store.results(given.results) as found:
            found[dataset] = made
    if found := store.read(given.results):
        given.output.write_text(table(found), encoding="utf-8")


if __name__ == "__main__":
    main()
