"""The training loop for mixtures of tasks: so many steps, selection by the average over dev.

Order and dropout depend on the seed and on how many steps were made, and on nothing else, so that
a run that was stopped anywhere and resumed ends with the same numbers as one that was not.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from hyperadapters.data.tasks import TaskTokens, epoch_batches
from hyperadapters.data.tasks.parts import parts_of_like_length
from hyperadapters.errors import ConditionError, RunError
from hyperadapters.methods.recipes import TaskModel
from hyperadapters.tasks import Sampling
from hyperadapters.training.checkpoint import (
    Checkpoint,
    Standing,
    load_optimizer,
    load_trainable,
    optimizer_state,
    trainable_state,
)
from hyperadapters.training.log import LOG, shorten_log
from hyperadapters.training.optimizer import rate_factor
from hyperadapters.training.progress import Progress, Step
from hyperadapters.training.tasks.loss import decoder_inputs, smoothed_loss
from hyperadapters.training.tasks.optimizer import ADAPTER, GENERATOR, NEW, build_optimizer

SECONDS_BETWEEN_CHECKPOINTS = 30.0
CONTROL_ROWS = 512


@dataclass
class TaskPosition(Standing):
    """Where the training of a mixture stands.

    Attributes:
        best_average: Highest dev average so far.
        seconds: Time spent on training, evaluations included, over all sessions.
    """

    best_average: float = -math.inf
    seconds: float = 0.0


@dataclass(frozen=True)
class DevScores:
    """What an evaluation on dev found.

    Attributes:
        average: Mean over tasks of the mean of each task's metrics: what selects.
        tasks: Task → metric → value.
    """

    average: float
    tasks: Mapping[str, Mapping[str, float]]


class TaskTrainer:
    """Trains a model on a mixture of tasks and leaves it at its best evaluation on dev.

    AdamW over `settings.steps` steps, with a linear warm-up and then `settings.schedule`. The best
    evaluation is the one with the highest dev average (the mean over the trained tasks of the mean
    of each task's metrics), the earlier of two equals; with ``loss="sum"`` the loss of a batch is
    summed over its target tokens (the paper's, whose gradient is nearly always clipped), with
    ``"mean"`` it is the mean over the target tokens of a step.

    Args:
        task_model: What is trained.
        tokens: Training rows, with labels.
        sampling: How tasks share the batches.
        score_dev: Scores the model, as it is, on the dev rows that selection looks at.
        folder: Where checkpoint and log are written.
        seed: Fixes order and dropout.
        progress: Who watches.
    """

    def __init__(
        self,
        task_model: TaskModel,
        tokens: TaskTokens,
        sampling: Sampling,
        score_dev: Callable[[], DevScores],
        folder: Path,
        seed: int,
        progress: Progress | None = None,
    ) -> None:
        self.task_model = task_model
        self.settings = task_model.settings
        self.tokens = tokens
        self.sampling = sampling
        self.score_dev = score_dev
        self.folder = folder
        self.seed = seed
        self.progress = progress or Progress()
        self.accelerator = Accelerator()
        self.model: nn.Module = self.accelerator.prepare_model(task_model.model)
        self.position = TaskPosition()
        self.best: dict[str, torch.Tensor] = {}
        self._lengths = np.array([len(row) for row in tokens.labels or ()], dtype=np.int64)
        self._source_lengths = np.asarray(tokens.lengths, dtype=np.int64)
        self._batches: tuple[int, list[np.ndarray]] = (-1, [])
        self._saved_at = self._clock = time.monotonic()

    def fit(self, checkpoint: Checkpoint[TaskPosition] | None = None) -> TaskPosition:
        """Train, from the beginning or from a checkpoint.

        Returns:
            Where training ended, with the best evaluation.

        Raises:
            RunError: The loss is no longer a number.
            KeyboardInterrupt: As it came. It may come in the middle of a step, when nothing fits
                together, so that the last checkpoint is where training can go on.
        """
        settings, position = self.settings, self.position
        optimizer = self._optimizer()
        peaks = [group["lr"] for group in optimizer.param_groups]
        # Before a checkpoint is loaded: what is read is then the same in every session.
        self.task_model.read_before_training(self._control_batches())
        if checkpoint is not None:
            position = self.position = checkpoint.position
            self.best = checkpoint.best
            load_trainable(self.model, checkpoint.current)
            load_optimizer(optimizer, checkpoint.optimizer)
            self.task_model.control.banks = dict(checkpoint.extra)
        shorten_log(self.folder, position.evaluations)
        warmup = min(settings.warmup_steps, settings.steps // 2)
        self._clock = time.monotonic()
        self.model.train()
        while position.step < settings.steps:
            factor = rate_factor(position.step, settings.steps, warmup, settings.schedule)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            self._advance(self._step(optimizer))
            if position.step % settings.evaluate_every == 0 or position.step == settings.steps:
                self._evaluate()
                self._save(optimizer)
            elif time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                self._save(optimizer)
        load_trainable(self.model, self.best)
        self.model.eval()
        self.task_model.renew_control(self._control_batches())
        return position

    def _optimizer(self) -> torch.optim.AdamW:
        settings = self.settings
        general = settings.learning_rate
        rates = {
            ADAPTER: general,
            NEW: settings.new_learning_rate or general,
            GENERATOR: settings.generator_learning_rate or general,
        }
        new = self.task_model.new_modules
        return build_optimizer(self.model, rates, settings.weight_decay, new)

    def _next_batches(self) -> list[np.ndarray]:
        """The batches of a step; an epoch that ends in the middle of it is followed by the next."""
        position, settings = self.position, self.settings
        taken: list[np.ndarray] = []
        while len(taken) < settings.accumulation:
            if self._batches[0] != position.epoch:
                batches = epoch_batches(
                    self.tokens.task,
                    settings.batch_size,
                    self.sampling,
                    self.seed,
                    position.epoch,
                )
                self._batches = (position.epoch, batches)
            if position.batch == len(self._batches[1]):
                position.epoch, position.batch = position.epoch + 1, 0
                continue
            taken.append(self._batches[1][position.batch])
            position.batch += 1
        return taken

    def _step(self, optimizer: torch.optim.Optimizer) -> float:
        """One step of the optimiser; returns its loss per target token."""
        seeds = np.random.SeedSequence([self.seed, self.position.step])
        torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]))
        batches = self._next_batches()
        n_tokens = int(self._lengths[np.concatenate(batches)].sum())
        divisor = self.settings.accumulation if self.settings.loss == "sum" else max(1, n_tokens)
        total = 0.0
        for rows in (part for batch in batches for part in self._parts(batch)):
            loss = self._loss(rows)
            total += float(loss.detach())
            self.accelerator.backward(loss / divisor)
        if not math.isfinite(total):
            raise _diverged(self.position.step + 1, f"the loss is {total}")
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        self.accelerator.clip_grad_norm_(trained, self.settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total / max(1, n_tokens)

    def _parts(self, rows: np.ndarray) -> list[np.ndarray]:
        if self.settings.conditioning == "shuffled":
            # Rows are given the vectors of others of the whole batch.
            return [rows]
        return parts_of_like_length(rows, self._source_lengths[rows])

    def _loss(self, rows: np.ndarray) -> torch.Tensor:
        """Smoothed loss of a batch, summed over its target tokens."""
        inputs, labels = self._inputs(rows)
        with self._precision():
            logits = self.model(**inputs).logits
        return smoothed_loss(logits, labels, self.settings.label_smoothing)[0]

    def _inputs(self, rows: np.ndarray) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Arguments of the model, without labels, and the labels."""
        device = self.accelerator.device
        batch = self.tokens.batch(rows, device)
        labels = batch.pop("labels")
        conditions = self.task_model.conditions(torch.from_numpy(self.tokens.task[rows]).to(device))
        shifted = decoder_inputs(self.task_model.model, labels)
        return {**batch, "decoder_input_ids": shifted, **conditions}, labels

    def _control_batches(self) -> Iterator[dict[str, torch.Tensor]]:
        """Some training rows, as many of each task."""
        generator = np.random.default_rng(self.seed)
        tasks = np.unique(self.tokens.task)
        each = -(-CONTROL_ROWS // len(tasks))
        drawn = [generator.permutation(np.flatnonzero(self.tokens.task == t))[:each] for t in tasks]
        rows = generator.permutation(np.concatenate(drawn))[:CONTROL_ROWS]
        size = self.settings.eval_batch_size
        for start in range(0, len(rows), size):
            yield self._inputs(rows[start : start + size])[0]

    def _precision(self) -> AbstractContextManager[Any]:
        if self.settings.precision == "float32":
            return nullcontext()
        dtype = getattr(torch, self.settings.precision)
        return torch.autocast(self.accelerator.device.type, dtype=dtype)

    def _advance(self, loss: float) -> None:
        position = self.position
        position.step += 1
        position.loss_sum += loss
        position.loss_steps += 1
        self.progress.step(Step(position.epoch + 1, position.step, self.settings.steps, loss))

    def _evaluate(self) -> None:
        # What the control holds was made by the model of the last evaluation.
        try:
            self.task_model.renew_control(self._control_batches())
            scores = self.score_dev()
        except ConditionError as error:  # what the encoder makes of the input is no number any more
            raise _diverged(self.position.step, str(error)) from error
        position = self.position
        self._keep_time()
        record = {
            "epoch": position.epoch + 1,
            "step": position.step,
            "train_loss": position.loss_sum / max(1, position.loss_steps),
            "dev_average": _or_none(scores.average),
            "dev": {
                task: {metric: _or_none(value) for metric, value in values.items()}
                for task, values in scores.tasks.items()
            },
            "seconds": round(position.seconds, 1),
        }
        position.evaluations += 1
        position.loss_sum, position.loss_steps = 0.0, 0
        # The first is kept in any case: an average that is not a number is worse than any other.
        better = not self.best or scores.average > position.best_average
        if better:
            position.best_average = -math.inf if math.isnan(scores.average) else scores.average
            position.best = record
            self.best = trainable_state(self.model)
        record = {**record, "best": better}
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        self.progress.evaluation(record)

    def _keep_time(self) -> None:
        now = time.monotonic()
        self.position.seconds += now - self._clock
        self._clock = now

    def _save(self, optimizer: torch.optim.Optimizer) -> None:
        self._keep_time()
        Checkpoint(
            self.position,
            trainable_state(self.model),
            self.best,
            optimizer_state(optimizer),
            torch.get_rng_state(),
            extra=dict(self.task_model.control.banks),
        ).write(self.folder)
        self._saved_at = time.monotonic()


def _diverged(step: int, how: str) -> RunError:
    return RunError(
        f"training diverged at step {step}: {how}; lower learning_rate, or give it more "
        "warmup_steps"
    )


def _or_none(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if math.isnan(value) else value
