"""Recipes on mixtures of tasks: runs what is missing, then writes the Markdown table.

    python benchmarks/tasks.py --data ../shared/data/tasks --mixture glue_like

Every cell (a recipe or control, with a seed) runs in a folder of its own under --runs; a cell that
was stopped is resumed, and its scores go to benchmarks/results/tasks.json when it is finished, so
that the grid can be filled over several sessions and several processes. `--only ARM` and
`--seed N` run a part; `--table` runs nothing and writes docs/tables/tasks.md. Mixtures named
`..._pretrained` need `--backbone`, the folder that `pretrain.py` has written. `--again` lets
finished models of --runs answer once more, as the mixture now says that answers are written.
"""

import argparse
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import store
from tasks_tables import tables

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "tasks.json"
TABLE = HERE.parent / "docs" / "tables" / "tasks.md"
BANK_ROWS = 512


@dataclass(frozen=True)
class Arm:
    """What is compared: a recipe, or a control of it.

    Attributes:
        recipe: Name of the recipe.
        settings: What differs from the recipe's own settings.
        shuffled_at_test: Whether the finished model is also scored with shuffled vectors.
    """

    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    shuffled_at_test: bool = False


ARMS = {
    "hyperdecoder-lora": Arm("hyperdecoder-lora", shuffled_at_test=True),
    "hyperdecoder": Arm("hyperdecoder", shuffled_at_test=True),
    "single-adapter": Arm("single-adapter"),
    "hyperdecoder-lora, shuffled": Arm("hyperdecoder-lora", {"conditioning": "shuffled"}),
    "hyperdecoder, shuffled": Arm("hyperdecoder", {"conditioning": "shuffled"}),
    "adapter-per-task": Arm("adapter-per-task"),
    "hyperformer": Arm("hyperformer"),
    "hyperdecoder, constant": Arm("hyperdecoder", {"conditioning": "constant"}),
    "hyperdecoder-lora, constant": Arm("hyperdecoder-lora", {"conditioning": "constant"}),
}


# Every pair of modes, in the published form; "encoder > decoder".
MODES = ("none", "learned", "per-task", "task-generated", "instance-generated")
GRID = {
    f"{encoder} > {decoder}": Arm("hyperdecoder", {"encoder": encoder, "decoder": decoder})
    for encoder in MODES
    for decoder in MODES
    if (encoder, decoder) != ("none", "none")
}
ALL_ARMS = ARMS | GRID


@dataclass(frozen=True)
class Mixture:
    """A mixture and the budget of its runs.

    Attributes:
        seeds: Which seeds are run.
        settings: The budget, the same for all arms.
        arms: Which arms; by default all.
        file: Name of its file, if it is not the mixture's.
        pretrained: Whether its backbone is the one of `pretrain.py`, all of it frozen.
    """

    seeds: tuple[int, ...]
    settings: Mapping[str, Any]
    arms: tuple[str, ...] = tuple(ARMS)
    file: str = ""
    pretrained: bool = False


SHARED = {"precision": "bfloat16", "batch_size": 32, "warmup_steps": 50}
QUICK = {"attention_dropout": False}
CORE = ("hyperdecoder-lora", "single-adapter", "hyperdecoder", "hyperdecoder-lora, shuffled")
MIXTURES = {
    "glue_like": Mixture(
        (0, 1, 2), {**SHARED, "steps": 300, "evaluate_every": 300, "dev_limit": 100}
    ),
    "extractive_qa": Mixture(
        (0,),
        {
            **{**SHARED, **QUICK, "batch_size": 16, "steps": 250, "evaluate_every": 250},
            **{"dev_limit": 30, "max_source": 192, "max_target": 24, "stride": 64},
        },
        (*CORE, "hyperformer", "adapter-per-task"),
    ),
    "summaries_nli": Mixture(
        (0,),
        {
            **{**SHARED, **QUICK, "batch_size": 16, "steps": 250, "evaluate_every": 250},
            **{"dev_limit": 30, "max_source": 192, "max_target": 48},
        },
        (*CORE, "hyperformer", "adapter-per-task"),
    ),
    "glue_like_pretrained": Mixture(
        (0, 1, 2),
        {**SHARED, **QUICK, "steps": 600, "evaluate_every": 600, "dev_limit": 100},
        (*CORE, "hyperdecoder, shuffled", "adapter-per-task", "hyperdecoder-lora, constant"),
        file="glue_like",
        pretrained=True,
    ),
    "extractive_qa_pretrained": Mixture(
        (0,),
        {
            **{**SHARED, **QUICK, "batch_size": 16, "steps": 400, "evaluate_every": 400},
            **{"dev_limit": 30, "max_source": 192, "max_target": 24, "stride": 64},
        },
        (*CORE, "hyperdecoder, shuffled", "adapter-per-task", "hyperformer"),
        file="extractive_qa",
        pretrained=True,
    ),
    "glue_grid": Mixture(
        (0,),
        {**SHARED, **QUICK, "steps": 100, "evaluate_every": 100, "dev_limit": 30},
        tuple(GRID),
    ),
}


def cells(given: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Mixture, arm and seed of all runs; first the first seed of all arms, or of those named."""
    every = [name for name, of in MIXTURES.items() if given.backbone or not of.pretrained]
    for mixture in [given.mixture] if given.mixture else every:
        for seed in MIXTURES[mixture].seeds:
            for arm in MIXTURES[mixture].arms:
                if arm in (given.only or [arm]) and given.seed in (None, seed):
                    yield mixture, arm, seed


def key(mixture: str, arm: str, seed: int) -> str:
    """Name of a cell in the results."""
    return f"{mixture}/{arm}/{seed}"


def mixture_file(name: str, data: Path, folder: Path) -> Path:
    """The mixture with the paths of its files."""
    text = (HERE / "mixtures" / f"{name}.yaml").read_text("utf-8")
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    located = re.sub(r"([a-z_0-9]+\.parquet)", lambda m: str((data / m[1]).resolve()), text)
    part = path.with_suffix(f".{os.getpid()}.tmp")
    part.write_text(located, encoding="utf-8")
    part.replace(path)  # another process may be reading it
    return path


def run(cell: tuple[str, str, int], given: argparse.Namespace) -> None:
    """Run a cell, or what is left of it, and note its scores."""
    from hyperadapters.cli.progress import PlainProgress
    from hyperadapters.experiments.tasks import fit_tasks, load_tasks

    mixture, name, seed = cell
    arm, budget = ALL_ARMS[name], MIXTURES[mixture]
    output = given.runs / mixture / f"{name.replace(', ', '-').replace(' > ', '--')}-{seed}"
    path = mixture_file(budget.file or mixture, given.data, given.runs)
    backbone = {"backbone": str(given.backbone)} if budget.pretrained else {}
    record = output / "run.json"
    if record.exists() and json.loads(record.read_text("utf-8"))["complete"]:
        made = load_tasks(output)
        refuse_another(made, {**budget.settings, **arm.settings}, backbone)
    else:
        made = fit_tasks(
            path,
            output=output,
            recipe=arm.recipe,
            seed=seed,
            resume=record.exists(),
            progress=PlainProgress(),
            **backbone,
            **{**budget.settings, **arm.settings},
        )
    found = of_test(scores_again(made, path) if given.again else made.scores)
    if arm.shuffled_at_test:
        with shuffled_vectors(made, path):
            shuffled = of_test(scores_again(made, path))
        found += [{**row, "at_test": "shuffled"} for row in shuffled]
    with store.results(RESULTS) as kept:
        kept[key(mixture, name, seed)] = {
            "scores": found,
            "results": {
                k: v
                for k, v in made.record.results.items()
                if k.endswith(("parameters", "seconds"))
            },
            "settings": {**budget.settings, **arm.settings},
            **({"backbone": weights_of(given.backbone)} if budget.pretrained else {}),
            "versions": made.record.versions,
            "hardware": store.hardware(),
        }


def refuse_another(made: Any, settings: Mapping[str, Any], backbone: Mapping[str, str]) -> None:
    """A finished run of another budget or backbone must not pass for this one."""
    had = {"backbone": made.record.backbone, **made.record.settings}
    wanted = {**backbone, **settings}
    if other := [name for name, value in wanted.items() if had[name] != value]:
        raise SystemExit(f"{made.folder.path} was run with another {', '.join(other)}: remove it")


def weights_of(backbone: Path) -> str:
    """What tells one pretrained backbone from another."""
    return hashlib.sha256((backbone / "model.safetensors").read_bytes()).hexdigest()[:12]


def of_test(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """The scores of the test split, in short."""
    rows = scores[scores["split"] == "test"].to_dict("records")
    return [{n: row[n] for n in ("slice", "metric", "value", "low", "high", "n")} for row in rows]


def scores_again(made: Any, mixture: Path) -> pd.DataFrame:
    """Scores of a finished model on the test split, with answers as the mixture has them now."""
    from hyperadapters.data.tasks import read_examples
    from hyperadapters.evaluation.tasks import evaluate_tasks
    from hyperadapters.experiments.tasks.answers import answered
    from hyperadapters.experiments.tasks.known import KnownTasks
    from hyperadapters.tasks import read_mixture

    of_now = read_mixture(mixture)
    examples, known = read_examples(of_now), KnownTasks.of(of_now)
    if known.order != made.known.order:
        raise SystemExit("the mixture has other tasks by now, or another order of them")
    test = examples[examples["split"] == "test"].reset_index(drop=True)
    predictions = answered(made.task_model, test, known, seed=made.record.seed)
    return evaluate_tasks(predictions, known.tasks, evaluation_only=known.evaluation_only)


@contextmanager
def shuffled_vectors(made: Any, mixture: Path) -> Iterator[None]:
    """In the block a finished model gives every row the vector of some training row."""
    from hyperadapters.data.tasks import read_examples
    from hyperadapters.experiments.tasks.answers import tokens_of
    from hyperadapters.tasks import read_mixture
    from hyperadapters.training.tasks.loss import decoder_inputs
    from hyperadapters.tuner import read_inputs

    model, known = made.task_model, made.known
    examples = read_examples(read_mixture(mixture))
    train = examples[examples["split"] == "train"].sample(BANK_ROWS, random_state=0)
    tokens = tokens_of(model, train.reset_index(drop=True), known, with_targets=True)

    def batches() -> Iterator[dict[str, Any]]:
        for rows in np.array_split(np.arange(len(tokens)), max(1, len(tokens) // 64)):
            batch = tokens.batch(rows)
            labels = batch.pop("labels")
            yield {**batch, "decoder_input_ids": decoder_inputs(model.model, labels)}

    model.control.kind = "shuffled"
    model.control.fill(read_inputs(model.model, batches()))
    try:
        yield
    finally:
        model.control.kind = made.task_model.settings.conditioning


def table(found: Mapping[str, Any]) -> str:
    """The Markdown tables of what there is."""
    return tables(found, MIXTURES)


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/tasks"))
    parser.add_argument("--runs", type=Path, default=Path("runs/tasks"))
    parser.add_argument("--mixture", choices=list(MIXTURES))
    parser.add_argument("--only", action="append", choices=list(ALL_ARMS), metavar="ARM")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--backbone", type=Path, help="what pretrain.py has written")
    parser.add_argument("--again", action="store_true", help="finished models answer once more")
    parser.add_argument("--share", default="0/1", help="which cells: i/n takes every n-th from i")
    parser.add_argument("--table", action="store_true", help="run nothing")
    given = parser.parse_args()
    if given.mixture and MIXTURES[given.mixture].pretrained and not given.backbone:
        parser.error(f"{given.mixture} needs --backbone; see pretrain.py")
    index, count = map(int, given.share.split("/"))
    if not given.table:
        for number, cell in enumerate(cells(given)):
            with store.results(RESULTS) as found:
                done = key(*cell) in found
            if number % count == index and (given.again or not done):
                run(cell, given)
    TABLE.write_text(table(store.read(RESULTS)), encoding="utf-8")


if __name__ == "__main__":
    main()
