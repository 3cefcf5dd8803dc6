"""The Markdown tables of `tasks.py`: arms × tasks, and how far recipes are from their controls."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

HERE = Path(__file__).parent


def averages(cells_found: Mapping[str, Any], mixture: str) -> pd.DataFrame:
    """One row per arm and seed: what every task scored, and the average."""
    rows = []
    for name, cell in cells_found.items():
        of, arm, seed = name.split("/")
        if of != mixture:
            continue
        for at_test in (None, "shuffled"):
            scores = [row for row in cell["scores"] if row.get("at_test") == at_test]
            if not scores:
                continue
            shown = arm if at_test is None else f"{arm}, shuffled at test"
            tasks: dict[str, list[float]] = {}
            for row in scores:
                if row["slice"] == "all":
                    tasks[row["metric"]] = [row["value"]]
                elif row["metric"] != "length":
                    tasks.setdefault(row["slice"], []).append(row["value"])
            means = {task: float(np.mean(values)) for task, values in tasks.items()}
            rows.append({"arm": shown, "seed": int(seed), **cell["results"], **means})
    return pd.DataFrame(rows)


def tables(found: Mapping[str, Any], mixtures: Mapping[str, Any]) -> str:
    """The Markdown tables of what there is."""
    lines = ["# Recipes on mixtures of tasks", ""]
    for mixture, budget in mixtures.items():
        frame = averages(found, mixture)
        if frame.empty:
            continue
        tasks = [c for c in frame if c not in ("arm", "seed", "average") and "_par" not in c]
        tasks = [c for c in tasks if not c.endswith("seconds") and not c.startswith("average")]
        shown = "Per cent: the mean of each task's metrics on the test split, mean over seeds; "
        shown += "seconds of the clock, beside other work"
        lines += [f"## {mixture}", "", f"{shown} (with half the range). Budget: "]
        lines[-1] += ", ".join(f"{k}={v}" for k, v in budget.settings.items()) + "."
        if budget.pretrained:
            weights = {c["backbone"] for n, c in found.items() if n.startswith(f"{mixture}/")}
            lines[-1] += f" The backbone is that of `pretrain.py` ({', '.join(sorted(weights))}); "
            lines[-1] += "all of it is frozen."
        only = [task for task in tasks if task in only_scored(budget.file or mixture)]
        of_only = "average_evaluation_only"
        if only:
            lines[-1] += f" {', '.join(only)} are of domains or kinds that no arm was trained on: "
            lines[-1] += "in their own average, and not in the first."
        head = ["arm", "seeds", "average", *(["average of others"] if only else []), *tasks]
        head += ["adapter parameters", "seconds"]
        lines += ["", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        order = frame.groupby("arm")["average"].mean().sort_values(ascending=False).index
        for arm in order:
            rows = frame[frame["arm"] == arm]
            cells = [arm, str(len(rows)), _spread(rows["average"])]
            cells += [_spread(rows[of_only])] if only else []
            cells += [f"{100 * rows[task].mean():.1f}" for task in tasks]
            parameters, seconds = rows["adapter_parameters"], rows["seconds"]
            cells += [f"{parameters.mean() / 1e6:.2f} M", f"{seconds.mean():.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
        lines += gains(frame)
        some = next(cell for name, cell in found.items() if name.startswith(f"{mixture}/"))
        versions = ", ".join(f"{k} {v}" for k, v in some["versions"].items())
        of_backbone = " --backbone runs/pretrained/backbone" if budget.pretrained else ""
        lines += [
            "",
            f"Made by `python benchmarks/tasks.py --mixture {mixture}{of_backbone}` on "
            f"{some['hardware']};",
        ]
        lines += [f"{versions}.", ""]
    return "\n".join(lines)


def only_scored(mixture: str) -> list[str]:
    """The tasks of a mixture that nothing is trained on."""
    text = (HERE / "mixtures" / f"{mixture}.yaml").read_text("utf-8")
    tasks = yaml.safe_load(text)["tasks"]
    return [name for name, entry in tasks.items() if entry.get("evaluate_only")]


def gains(frame: pd.DataFrame) -> list[str]:
    """By how much the recipes that read the input differ from their controls, seed by seed."""
    average = frame.set_index(["arm", "seed"])["average"]
    rows = []
    for recipe in ("hyperdecoder-lora", "hyperdecoder"):
        for other in (
            *(f"{recipe}, {control}" for control in ("shuffled", "shuffled at test", "constant")),
            *("single-adapter", "adapter-per-task", "hyperformer"),
        ):
            known = {arm: average[arm] for arm in (recipe, other) if arm in average.index}
            if len(known) == 2:
                difference = 100 * (known[recipe] - known[other]).dropna()
                of_seeds = ", ".join(f"{value:+.1f}" for value in difference)
                if of_seeds:
                    shown = [recipe, other, f"{difference.mean():+.1f}", of_seeds]
                    rows.append(f"| {' | '.join(shown)} |")
    if not rows:
        return []
    head = ["recipe", "less", "difference of the averages", "of each seed"]
    return ["", f"| {' | '.join(head)} |", "|" + "---|" * len(head), *rows]


def _spread(values: pd.Series) -> str:
    half = 50 * (values.max() - values.min())
    return f"{100 * values.mean():.1f}" + (f" ± {half:.1f}" if len(values) > 1 else "")
