"""A mixture of tasks in, a run folder out: read, train, answer, score."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from hyperadapters.backbones import BUILT_IN_SEQ2SEQ
from hyperadapters.backbones.load import quietly
from hyperadapters.data.tasks import TaskTokens
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.evaluation.tasks import evaluate_tasks
from hyperadapters.experiments.folder import read_json, refuse_existing, write_json
from hyperadapters.experiments.record import versions
from hyperadapters.experiments.tasks.answers import (
    answered,
    dev_sample,
    dev_scorer,
    tokens_of,
    truncation_lines,
)
from hyperadapters.experiments.tasks.checks import check_model
from hyperadapters.experiments.tasks.data import MixtureData
from hyperadapters.experiments.tasks.folder import TaskFolder
from hyperadapters.experiments.tasks.record import (
    TaskRecord,
    mixture_data,
    selection_of,
)
from hyperadapters.experiments.tasks.run import TaskRun
from hyperadapters.methods.recipes import DEFAULT_RECIPE, TaskModel, TaskSettings, find_recipe
from hyperadapters.tables import write_scores
from hyperadapters.tables.task_predictions import write_task_predictions
from hyperadapters.tasks import Mixture
from hyperadapters.training import Checkpoint, Progress
from hyperadapters.training.tasks import TaskPosition, TaskTrainer


@dataclass(frozen=True)
class Plan:
    """What a run is, but for its data.

    Attributes:
        recipe: Name of the recipe.
        settings: Its settings.
        backbone: Name of the backbone.
        seed: The seed.
    """

    recipe: str
    settings: TaskSettings
    backbone: str
    seed: int

    @classmethod
    def of(cls, recipe: str, backbone: str, seed: int, changes: dict[str, Any]) -> "Plan":
        """A plan.

        Raises:
            ConfigError: Unknown recipe or setting, or a seed out of range.
        """
        if not 0 <= seed < 2**32:
            raise ConfigError(f"seed must be from 0 to 4294967295, got {seed}")
        return cls(recipe, find_recipe(recipe).settings.changed(changes), backbone, seed)

    def record(self, data: MixtureData) -> TaskRecord:
        """What `run.json` says at the start."""
        return TaskRecord(
            recipe=self.recipe,
            backbone=self.backbone,
            seed=self.seed,
            settings=self.settings.to_dict(),
            mixture=mixture_data(data.mixture),
            tasks=list(data.known.order),
            data=data.fingerprint,
            selection=selection_of(self.settings.dev_limit),
            versions=versions(),
        )


def fit_tasks(
    mixture: Mixture | str | PathLike[str],
    *,
    output: str | PathLike[str],
    recipe: str = DEFAULT_RECIPE,
    backbone: str = BUILT_IN_SEQ2SEQ,
    seed: int = 0,
    resume: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> TaskRun:
    """Train one model on a mixture of tasks, answer the dev and test splits, and score them.

    The model that is kept is the one with the highest dev average: the mean over the trained tasks
    of the mean of each task's metrics, on at most `dev_limit` dev examples of each.

    Args:
        mixture: The mixture, or its YAML file.
        output: The run folder, which must not exist yet.
        recipe: Name of a recipe, see `hyperadapters.methods.recipes.RECIPES`.
        backbone: ``"minilm2minilm"`` (built in) or the name or folder of an encoder-decoder.
        seed: Fixes adapters, order and dropout; on a CPU the result is the same to the bit. Splits
            and limits of the data do not depend on it.
        resume: Go on with a run that was stopped; data and settings must be the same.
        progress: Who watches.
        **settings: Fields of `TaskSettings`, as ``steps=500``.

    Returns:
        The finished run.

    Raises:
        DataError: The data cannot be used; names all faults.
        ConfigError: Unknown recipe, backbone or setting, a mixture that cannot be used, or label
            words that the tokenizer cannot write.
        RunError: The output exists, cannot be resumed, or training diverged.
    """
    plan = Plan.of(recipe, backbone, seed, settings)
    if not resume:
        refuse_existing(Path(output))
    data = MixtureData.read(mixture)
    return fit_data(data, plan, Path(output), resume=resume, progress=progress or Progress())


def fit_data(
    data: MixtureData,
    plan: Plan,
    output: Path,
    *,
    resume: bool,
    progress: Progress,
    begins: Callable[[], None] = lambda: None,
) -> TaskRun:
    """As `fit_tasks`, with what has been read and settled already.

    `begins` is called when nothing can go wrong any more but training, before anything is written.
    """
    folder = TaskFolder(output)
    record = plan.record(data)
    checkpoint = _where_it_stopped(folder, record) if resume else None
    # All that can go wrong without training goes wrong before anything is written.
    ready = _Ready.of(data, plan)
    begins()
    if not (resume and folder.record.exists()):
        folder.create()
    write_json(folder.record, record.to_dict())
    write_json(folder.tasks, data.known.to_dict())
    started = time.monotonic()
    results = _train(ready, folder, progress, checkpoint)
    progress.message(f"answering dev and test: {len(ready.scored):,} examples")
    predictions = answered(
        ready.task_model,
        ready.scored,
        data.known,
        seed=plan.seed,
        tokens=ready.scored_tokens,
        progress=progress,
    )
    write_task_predictions(predictions, folder.predictions, overwrite=True)
    only = data.known.evaluation_only
    scores = evaluate_tasks(predictions, data.known.tasks, evaluation_only=only)
    write_scores(scores, folder.scores, overwrite=True)
    # Of all sessions, those that were stopped included.
    before = checkpoint.position.seconds if checkpoint else 0.0
    results["seconds"] = round(before + time.monotonic() - started, 1)
    write_json(folder.record, replace(record, complete=True, results=results).to_dict())
    folder.checkpoint.unlink(missing_ok=True)
    return TaskRun.open(folder.path, ready.task_model)


@dataclass(frozen=True)
class _Ready:
    """A run about to begin.

    Attributes:
        data: The mixture and its examples.
        plan: What the run is.
        task_model: The untrained model.
        train: Training rows.
        scored: EXAMPLES of dev and test.
        scored_tokens: Their tokens.
    """

    data: MixtureData
    plan: Plan
    task_model: TaskModel
    train: TaskTokens
    scored: pd.DataFrame
    scored_tokens: TaskTokens

    @classmethod
    def of(cls, data: MixtureData, plan: Plan) -> "_Ready":
        known = data.known
        task_model = TaskModel.build(
            plan.recipe, plan.settings, plan.backbone, known.order, plan.seed
        )
        check_model(task_model, known)
        train = tokens_of(task_model, data.rows("train"), known, with_targets=True)
        if not len(train):
            raise ConfigError("keep_nulls=false leaves no training row: no window has an answer")
        scored = data.rows("dev", "test")
        tokens = tokens_of(task_model, scored, known, with_targets=False)
        return cls(data, plan, task_model, train, scored, tokens)

    def told(self) -> list[str]:
        """What a user should know before training starts."""
        counts, plan = self.task_model.parameter_counts(), self.plan
        lines = [
            f"{plan.recipe} on {plan.backbone}: {counts['trainable_parameters']:,} trainable "
            f"parameters; {len(self.train):,} training rows of {len(self.data.mixture.parts)} tasks"
        ]
        settings = plan.settings
        train = self.data.rows("train")
        cuts = [("train", line) for line in truncation_lines(self.train, train, settings)]
        found = truncation_lines(self.scored_tokens, self.scored, settings)
        cuts += [("dev and test", line) for line in found]
        lines += [f"{split}: {line}" for split, line in cuts]
        lines += [
            f"{name} has no dev rows: the choice of the best model does not look at it"
            for name in self.data.without_dev
        ]
        return lines


def _where_it_stopped(folder: TaskFolder, record: TaskRecord) -> Checkpoint[TaskPosition] | None:
    """The checkpoint of the same run; `None` where there is none, or not even a run."""
    if not folder.record.exists():
        refuse_existing(folder.path)
        return None
    before = TaskRecord.from_dict(read_json(folder.record), str(folder.record))
    if before.complete:
        raise RunError(f"{folder.path} is complete; there is nothing to resume")
    if changed := record.differences(before):
        what = ", ".join(changed)
        raise RunError(f"cannot resume: the run was started with another {what}")
    return Checkpoint.read(folder.path, TaskPosition)


def _train(
    ready: _Ready,
    folder: TaskFolder,
    progress: Progress,
    checkpoint: Checkpoint[TaskPosition] | None,
) -> dict[str, Any]:
    task_model, data, plan = ready.task_model, ready.data, ready.plan
    for line in ready.told():
        progress.message(line)
    sample = dev_sample(data.examples, data.known, plan.settings.dev_limit)
    trainer = TaskTrainer(
        task_model,
        ready.train,
        data.mixture.sampling,
        dev_scorer(task_model, sample, data.known, progress),
        folder.path,
        plan.seed,
        progress,
    )
    position = trainer.fit(checkpoint)
    with quietly():  # a whole backbone is written with a bar
        task_model.save(folder.path)
    truncated = {"train": ready.train.truncated, "dev and test": ready.scored_tokens.truncated}
    return {
        **task_model.parameter_counts(),
        "best": position.best,
        "truncated": truncated,
        "training_seconds": round(position.seconds, 1),
    }
