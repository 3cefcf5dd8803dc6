r"""What pooled vectors and generated weights say of task and label: probes and maps.

    python benchmarks/embeddings.py runs/tasks/glue_like/hyperdecoder-0 \
        --mixture runs/tasks/glue_like.yaml

For test rows of all tasks: the pooled input that the generator reads, what its MLP makes of it, and
the weights that are written from it (a random projection to 512 dimensions, which keeps distances),
each with a linear probe's accuracy in five folds for the task, and for the label within each task;
beside them the same of the plain backbone, and of shuffled labels. Coordinates (PCA, t-SNE) go to a
CSV file, the maps to PNG files, the accuracies to benchmarks/results/embeddings.json and, as a
table, to docs/tables/embeddings.md.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hyperadapters.adapters import GroupWeights
from hyperadapters.data.tasks import read_examples
from hyperadapters.experiments.tasks import load_tasks
from hyperadapters.experiments.tasks.answers import tokens_of
from hyperadapters.methods.recipes.build import ENCODED
from hyperadapters.tasks import read_mixture
from hyperadapters.tuner import adapter_network
from hyperadapters.tuner.conditioning import conditioning_of

mpl.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "embeddings.json"
TABLE = HERE.parent / "docs" / "tables" / "embeddings.md"
PROJECTED = 512
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")


@torch.no_grad()
def read(model: Any, batch: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Vectors of a batch: name → array of shape (rows, width)."""
    network, conditioning = adapter_network(model.model), conditioning_of(model.model)
    encoder = model.model.get_base_model().get_encoder()
    found: dict[str, torch.Tensor] = {}

    def keep(name: str, pooled: torch.Tensor) -> torch.Tensor:
        found["pooled input"] = pooled
        return pooled

    before, conditioning.control = conditioning.control, keep
    start = torch.full((len(batch["input_ids"]), 1), model.tokenizer.cls_token_id)
    try:
        model.model(**batch, decoder_input_ids=start)
    finally:
        conditioning.control = before
    name = next(name for name in network.encoders if name.startswith(ENCODED))
    found["read by the MLP"] = network.encoders[name](found["pooled input"])
    written = network({ENCODED: found["pooled input"]})
    flat = [
        tensor.flatten(1)
        for group in written.groups
        if isinstance(group, GroupWeights)
        for site in group.sites
        for tensor in site
        if tensor is not None and len(tensor) == len(start)
    ]
    found["generated weights"] = projected(torch.cat(flat, dim=1))
    with model.model.disable_adapter():
        states = encoder(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    found["plain backbone"] = (states * mask).sum(1) / mask.sum(1)
    return {name: value.float().numpy() for name, value in found.items()}


def projected(weights: torch.Tensor) -> torch.Tensor:
    """A Gaussian random projection (Johnson & Lindenstrauss), in blocks so that it stays small."""
    out = weights.new_zeros(len(weights), PROJECTED)
    for number, block in enumerate(weights.split(65536, dim=1)):
        generator = torch.Generator().manual_seed(number)
        out += block @ torch.randn(block.shape[1], PROJECTED, generator=generator)
    return out / PROJECTED**0.5


def probe(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of logistic regression in five folds."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, C=0.1))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(model, vectors, labels, cv=folds).mean())


def probes(vectors: np.ndarray, rows: pd.DataFrame) -> dict[str, Any]:
    """Accuracies for the task, and for the label within each task that has few of them."""
    shuffled = np.random.default_rng(0).permutation(rows["task"].to_numpy())
    found: dict[str, Any] = {
        "task": probe(vectors, rows["task"].to_numpy()),
        "task, shuffled": probe(vectors, shuffled),
    }
    for task, part in rows.groupby("task"):
        counts = part["target"].value_counts()
        if len(counts) <= 6 and counts.min() >= 10:
            labels = part["target"].to_numpy()
            found[f"label of {task}"] = probe(vectors[part.index], labels)
            found[f"label of {task}, most frequent"] = float(counts.max() / counts.sum())
    return found


def draw(maps: pd.DataFrame, column: str, path: Path) -> None:
    """Both maps, coloured by a column."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for axis, kind in zip(axes, ("pca", "tsne"), strict=True):
        for colour, (value, part) in zip(COLOURS * 3, maps.groupby(column), strict=False):
            axis.scatter(part[f"{kind}_1"], part[f"{kind}_2"], s=6, c=colour, label=str(value))
        axis.set(title={"pca": "PCA", "tsne": "t-SNE"}[kind], xticks=[], yticks=[])
    axes[1].legend(fontsize=8, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=130)
    plt.close(figure)


def table(record: dict[str, Any]) -> str:
    """The accuracies of all runs as Markdown."""
    lines = ["# What vectors and weights tell", ""]
    lines += [
        "Accuracy of a linear probe (logistic regression, five folds) on test rows, per cent: for "
        "the task, and for the label within a task. Chance: what a probe finds of shuffled tasks, "
        "and the share of the most frequent label. The encoder's adapters are at work in all but "
        "the plain backbone.",
    ]
    for run, results in record.items():
        names = list(results)
        of_first = results[names[0]]
        asked = [name for name in of_first if not name.endswith((", most frequent", ", shuffled"))]
        lines += ["", f"## {run}", "", f"| | {' | '.join(names)} | chance |"]
        lines.append("|" + "---|" * (len(names) + 2))
        for name in asked:
            shown = [f"{100 * results[of][name]:.0f}" for of in names]
            chance = of_first.get(f"{name}, most frequent", of_first.get(f"{name}, shuffled"))
            lines.append(f"| {name} | {' | '.join(shown)} | {100 * chance:.0f} |")
    command = "python benchmarks/embeddings.py RUN --mixture runs/tasks/glue_like.yaml"
    lines += ["", f"Made by `{command}` for each of these runs of `benchmarks/tasks.py`.", ""]
    return "\n".join(lines)


def main() -> None:
    """Read vectors, probe them, draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--mixture", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/embeddings"))
    parser.add_argument("--rows", type=int, default=150, help="test rows of each task")
    given = parser.parse_args()
    made = load_tasks(given.run)
    model = made.task_model
    model.model.eval()
    examples = read_examples(read_mixture(given.mixture))
    test = examples[examples["split"] == "test"]
    rows = test.groupby("task").head(given.rows).reset_index(drop=True)
    tokens = tokens_of(model, rows, made.known, with_targets=False)
    parts = [read(model, tokens.batch(r)) for r in np.array_split(np.arange(len(tokens)), 20)]
    given.output.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for name in parts[0]:
        vectors = np.concatenate([part[name] for part in parts])
        results[name] = probes(vectors, rows)
        print(name, {k: round(v, 3) for k, v in results[name].items()})
        reduced = PCA(min(50, vectors.shape[1]), random_state=0).fit_transform(vectors)
        maps = rows[["task", "text_id", "target"]].copy()
        maps[["pca_1", "pca_2"]] = reduced[:, :2]
        maps[["tsne_1", "tsne_2"]] = TSNE(random_state=0, init="pca").fit_transform(reduced)
        slug = name.replace(" ", "-")
        maps.to_csv(given.output / f"{slug}.csv", index=False)
        draw(maps, "task", given.output / f"{slug}-task.png")
        for task, part in maps.groupby("task"):
            if part["target"].nunique() <= 6:
                draw(part, "target", given.output / f"{slug}-{task}.png")
    record = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    record[given.run.name] = results
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    TABLE.write_text(table(record), encoding="utf-8")


if __name__ == "__main__":
    main()
