"""Thresholds chosen on dev: what they would do for the runs that `perspectives.py` keeps.

    python benchmarks/thresholds.py --data ../shared/data/perspectives

Every label but the first gets an offset that is added to its log-probability before the most
probable label is taken; the offsets are those with the highest pooled macro-F1 on dev, found label
by label on a grid. Probabilities, and with them nll, stay as they are. It runs nothing anew, writes
benchmarks/results/thresholds.json and docs/tables/thresholds.md; `--table` only the latter.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kept
import numpy as np
import pandas as pd
import store

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "thresholds.json"
TABLE = HERE.parent / "docs" / "tables" / "thresholds.md"
METHODS = ("hyperlora", "annotator-embedding", "multi-head", "intercept", "text-only")
SHOWN = {
    "macro_f1": "macro-F1",
    "annotator_macro_f1": "annotator macro-F1",
    "accuracy": "accuracy",
    "minority_accuracy": "minority accuracy",
}
GRID = np.linspace(-2, 2, 41)
ROUNDS = 3
LEAST_ROWS = 5
"""Rows that somebody needs to count among the annotators, as in SCORES."""


def offsets(rows: pd.DataFrame) -> np.ndarray:
    """Offsets of log-probabilities with the highest macro-F1 on some rows, shape ``(labels,)``."""
    logs, truth = _logs(rows), _truth(rows)
    chosen = np.zeros(logs.shape[1])
    best = macro_f1(truth, logs.argmax(1))
    for _ in range(ROUNDS):
        for label in range(1, logs.shape[1]):
            for value in GRID:
                other = chosen.copy()
                other[label] = value
                score = macro_f1(truth, (logs + other).argmax(1))
                if score > best + 1e-4:
                    best, chosen = score, other
    return chosen


def scores(rows: pd.DataFrame, added: np.ndarray) -> dict[str, float | None]:
    """Metrics of the labels that are most probable after the offsets; None if nobody has enough."""
    from hyperadapters.evaluation.counts import CodedRows
    from hyperadapters.evaluation.majority import minority_accuracy
    from hyperadapters.tables.predictions import label_space_of

    truth, predicted = _truth(rows), (_logs(rows) + added).argmax(1)
    labels = label_space_of(rows)
    names = [_names(rows).index(column) for column in labels.columns]
    answered = rows.assign(predicted=labels.decode(np.argsort(names)[predicted]))
    people = rows.groupby("annotator", sort=True).indices.values()
    of_people = [macro_f1(truth[i], predicted[i]) for i in people if len(i) >= LEAST_ROWS]
    return {
        "macro_f1": macro_f1(truth, predicted),
        "annotator_macro_f1": float(np.mean(of_people)) if of_people else None,
        "accuracy": float((truth == predicted).mean()),
        "minority_accuracy": minority_accuracy(CodedRows.of(answered, labels)).value,
    }


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean F1 over the labels that are given or predicted (scikit-learn's ``f1_score``)."""
    n = int(max(truth.max(), predicted.max())) + 1
    confusion = np.bincount(truth * n + predicted, minlength=n * n).reshape(n, n)
    either = confusion.sum(0) + confusion.sum(1)
    return float((2 * np.diag(confusion)[either > 0] / either[either > 0]).mean())


def _names(rows: pd.DataFrame) -> list[str]:
    return [name for name in rows.columns if name.startswith("p_")]


def _logs(rows: pd.DataFrame) -> np.ndarray:
    return np.log(np.clip(rows[_names(rows)].to_numpy(np.float64), 1e-12, 1))


def _truth(rows: pd.DataFrame) -> np.ndarray:
    return ("p_" + rows["label"].astype(str)).map(_names(rows).index).to_numpy(np.int64)


def measure(data: Path) -> dict[str, Any]:
    """Data set, method and seed → test scores before and after."""
    import perspectives
    import perspectives_grid as grid

    found = {}
    for dataset in grid.DATASETS:
        cells = [c for c in grid.cells() if c.dataset == dataset and c.method in METHODS]
        cells = [c for c in cells if kept.is_kept(perspectives.KEPT / c.folder)]
        of_all = perspectives.ratings(dataset, data) if cells else pd.DataFrame()
        for cell in cells:
            predictions = kept.read(perspectives.KEPT / cell.folder, of_all).predictions
            dev, test = (predictions[predictions["split"] == name] for name in kept.SPLITS)
            added = offsets(dev)
            found[f"{dataset}/{cell.method}/{cell.seed}"] = {
                "before": scores(test, np.zeros_like(added)),
                "after": scores(test, added),
                "offsets": added.round(2).tolist(),
            }
    return found


def table(found: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    heads = ["data set", "method", "seeds", *SHOWN.values()]
    lines = [
        "# Thresholds chosen on dev",
        "",
        "Test split, means over seeds: the most probable label, and after the arrow the one after "
        "offsets that give the highest pooled macro-F1 on dev.",
        "",
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
    ]
    for dataset, method in dict.fromkeys(tuple(name.split("/")[:2]) for name in found):
        cells = [c for name, c in found.items() if name.startswith(f"{dataset}/{method}/")]
        row = [dataset, method, str(len(cells))]
        for metric in SHOWN:
            values = [[c[k][metric] for c in cells] for k in ("before", "after")]
            known = None not in values[0]
            row.append(" → ".join(f"{np.mean(v):.3f}" for v in values) if known else "-")
        lines.append(f"| {' | '.join(row)} |")
    command = "python benchmarks/thresholds.py --data ../shared/data/perspectives"
    made = (
        f"Made by `{command}` from the runs that [methods on real ratings](perspectives.md) keeps."
    )
    return "\n".join([*lines, "", made, ""])


if __name__ == "__main__":
    store.remake(__doc__.splitlines()[0], measure, table, (RESULTS, TABLE))
