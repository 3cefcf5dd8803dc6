"""A model and examples in, TASK PREDICTIONS or dev scores out."""

import zlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from hyperadapters.data.tasks import TaskTokens, tokenise
from hyperadapters.evaluation.tasks import choose_windows, evaluate_tasks
from hyperadapters.experiments.tasks.known import KnownTasks
from hyperadapters.inference.tasks import write_answers
from hyperadapters.methods.recipes import TaskModel, TaskSettings
from hyperadapters.tables.frames import column_of
from hyperadapters.training import Progress
from hyperadapters.training.tasks import DevScores


def tokens_of(
    task_model: TaskModel, examples: pd.DataFrame, known: KnownTasks, *, with_targets: bool
) -> TaskTokens:
    """Tokens of examples, as the model's settings want them.

    Raises:
        ConfigError: Lengths leave no room, or the tokenizer lacks what is needed.
    """
    settings = task_model.settings
    return tokenise(
        examples,
        known.tasks,
        known.index,
        task_model.tokenizer,
        max_source=settings.max_source,
        max_target=settings.max_target,
        stride=settings.stride,
        with_targets=with_targets,
        keep_nulls=settings.keep_nulls or not with_targets,
    )


def answered(
    task_model: TaskModel,
    examples: pd.DataFrame,
    known: KnownTasks,
    *,
    seed: int,
    tokens: TaskTokens | None = None,
    progress: Progress | None = None,
    what: str = "answers",
) -> pd.DataFrame:
    """What the model answers to examples.

    Args:
        task_model: The model.
        examples: EXAMPLES; targets may be missing.
        known: Their tasks.
        seed: Seed of the run, for the column of that name.
        tokens: Their tokens, if they are at hand.
        progress: Who watches.
        what: What to call the work.

    Returns:
        TASK PREDICTIONS, one row for every example in their order.
    """
    if tokens is None:
        tokens = tokens_of(task_model, examples, known, with_targets=False)
    watching = progress or Progress()
    windows = write_answers(
        task_model,
        tokens,
        examples,
        known.tasks,
        seed=seed,
        told=lambda done, total: watching.part(what, done, total),
    )
    return choose_windows(windows)


def dev_sample(examples: pd.DataFrame, known: KnownTasks, limit: int) -> pd.DataFrame:
    """The dev rows that selection looks at: of the trained tasks, at most `limit` of each.

    Which they are depends on the examples alone, so that runs of all seeds and recipes look at the
    same.

    Args:
        examples: EXAMPLES.
        known: Their tasks.
        limit: Most rows of a task; 0: all.
    """
    task = column_of(examples, "task").to_numpy(object)
    on_dev = (column_of(examples, "split") == "dev").to_numpy(bool)
    kept: list[np.ndarray] = []
    for name in known.tasks:
        if name not in known.evaluation_only:
            rows = np.flatnonzero(on_dev & (task == name))
            generator = np.random.default_rng(zlib.crc32(name.encode()))
            kept.append(np.sort(generator.permutation(rows)[: limit or None]))
    return examples.iloc[np.concatenate(kept)].reset_index(drop=True)


def dev_scorer(
    task_model: TaskModel, sample: pd.DataFrame, known: KnownTasks, progress: Progress
) -> Callable[[], DevScores]:
    """Something that scores the model, as it then is, on the dev sample."""
    tokens = tokens_of(task_model, sample, known, with_targets=False)

    def score() -> DevScores:
        predictions = answered(
            task_model, sample, known, seed=0, tokens=tokens, progress=progress, what="dev"
        )
        return dev_scores(evaluate_tasks(predictions, known.tasks, intervals=False))

    return score


def dev_scores(scores: pd.DataFrame) -> DevScores:
    """SCORES of one model on one split, as training reads them."""
    average = float("nan")
    tasks: dict[str, dict[str, float]] = {}
    for row in scores.to_dict("records"):
        if row["slice"] != "all":
            tasks.setdefault(row["slice"], {})[row["metric"]] = float(row["value"])
        elif row["metric"] == "average":
            average = float(row["value"])
    return DevScores(average, tasks)


def truncation_lines(
    tokens: TaskTokens, examples: pd.DataFrame, settings: TaskSettings
) -> list[str]:
    """What was cut, in words; nothing about tasks of which nothing was.

    Args:
        tokens: Tokens of the examples.
        examples: EXAMPLES.
        settings: How long texts may be.
    """
    counts = Counter(column_of(examples, "task").tolist())
    longest = {
        "sources": settings.max_source,
        "questions": settings.max_source,
        "targets": settings.max_target,
    }
    return [
        f"{cut:,} of {counts[name]:,} {what} of {name} were cut at {longest[what]} tokens"
        for name, kinds in tokens.truncated.items()
        for what, cut in kinds.items()
        if cut
    ]
