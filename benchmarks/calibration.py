"""What one temperature, found on dev, does to how sure the runs of `perspectives.py` are.

    python benchmarks/calibration.py --data ../shared/data/perspectives

Of each kept run: its temperature, and nll and expected calibration error with and without it. On
dev a temperature is better by construction; so of dev the table shows what the temperature of one
half of its texts does to the other half. It runs nothing anew, writes
benchmarks/results/calibration.json and docs/tables/calibration.md; `--table` only the latter.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kept
import numpy as np
import pandas as pd
import store

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "calibration.json"
TABLE = HERE.parent / "docs" / "tables" / "calibration.md"
METRICS = ("nll", "ece")
SHOWN = {
    "dev_nll": "dev nll, from one half to the other ↓",
    "test_nll": "test nll ↓",
    "test_ece": "test ECE ↓",
}


def measure(data: Path) -> dict[str, Any]:
    """Data set, method and seed → temperature, and scores before and after."""
    import perspectives
    import perspectives_grid as grid

    found = {}
    for dataset in grid.DATASETS:
        cells = [c for c in grid.cells() if c.dataset == dataset]
        cells = [c for c in cells if kept.is_kept(perspectives.KEPT / c.folder)]
        of_all = perspectives.ratings(dataset, data) if cells else pd.DataFrame()
        for cell in cells:
            after = kept.read(perspectives.KEPT / cell.folder, of_all)
            if "temperature" not in after.record.results:
                continue
            before = after.uncalibrated
            dev = before.predictions[before.predictions["split"] == "dev"]
            scores = {
                "dev_nll": [_nll(_probabilities(dev), _labels(dev)), crossed(dev)],
                **{f"test_{m}": [_score(made, m) for made in (before, after)] for m in METRICS},
            }
            temperature = after.record.results["temperature"]
            found[f"{dataset}/{cell.method}/{cell.seed}"] = {"temperature": temperature, **scores}
    return found


def crossed(dev: pd.DataFrame) -> float:
    """Nll of rows at the temperature that suits the other half of the texts (softmax heads)."""
    from hyperadapters.training.temperature import at_temperature, temperature_of

    texts = dev["text_id"].drop_duplicates().sample(frac=0.5, random_state=0)
    half = dev["text_id"].isin(texts).to_numpy()
    p, labels = _probabilities(dev), _labels(dev)
    for mine in (half, ~half):
        p[mine] = at_temperature(p[mine], temperature_of(_probabilities(dev)[~mine], labels[~mine]))
    return _nll(p, labels)


def _probabilities(rows: pd.DataFrame) -> np.ndarray:
    return rows[[name for name in rows if str(name).startswith("p_")]].to_numpy(np.float64)


def _labels(rows: pd.DataFrame) -> np.ndarray:
    names = [name for name in rows if str(name).startswith("p_")]
    return ("p_" + rows["label"].astype(str)).map(names.index).to_numpy(np.int64)


def _nll(p: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(np.clip(p[np.arange(len(labels)), labels], 1e-12, 1)).mean())


def _score(made: kept.Kept, metric: str) -> float:
    scores = made.scores
    chosen = (scores["slice"] == "all") & (scores["metric"] == metric)
    return float(scores.loc[chosen, "value"].iloc[0])


def table(found: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    heads = ["data set", "method", "seeds", "temperature", *SHOWN.values()]
    lines = [
        "# One temperature, found on dev",
        "",
        "Means over seeds: as sure as training made the model, and after the arrow with the "
        "temperature of `calibration=temperature`, which is the default of all methods. Of dev: "
        "with that of the other half of its texts.",
        "",
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
    ]
    for dataset, method in dict.fromkeys(tuple(name.split("/")[:2]) for name in found):
        cells = [c for name, c in found.items() if name.startswith(f"{dataset}/{method}/")]
        sure = np.mean([c["temperature"] for c in cells])
        row = [dataset, method, str(len(cells)), f"{sure:.2f}"]
        for name in SHOWN:
            means = np.mean([c[name] for c in cells], axis=0)
            row.append(" → ".join(f"{value:.3f}" for value in means))
        lines.append(f"| {' | '.join(row)} |")
    changes = np.array([np.diff(c["dev_nll"])[0] for c in found.values()])
    command = "python benchmarks/calibration.py --data ../shared/data/perspectives"
    lines += [
        "",
        f"Of {len(changes)} runs the nll of the other half of dev is lower in {(changes < 0).sum()}"
        f"; the mean difference is {changes.mean():+.3f}.",
        "",
        f"Made by `{command}` from the runs that [methods on real ratings](perspectives.md) keeps.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    store.remake(__doc__.splitlines()[0], measure, table, (RESULTS, TABLE))
