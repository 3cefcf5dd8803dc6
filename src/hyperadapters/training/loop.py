"""The training loop: stages of epochs of batches, with early stopping on the dev nll.

Data order, dropout and noise depend on the seed and the position alone, so that a run that was
stopped anywhere and resumed ends with the same numbers as one that was not.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from hyperadapters.data.batches import RowBatch, training_batches
from hyperadapters.hypernetworks import CentredHypernetwork
from hyperadapters.methods import AnnotatorClassifier, Examples, Settings
from hyperadapters.training.checkpoint import (
    Checkpoint,
    Position,
    load_optimizer,
    load_trainable,
    optimizer_state,
    trainable_state,
)
from hyperadapters.training.optimizer import build_optimizer, rate_factor, stage_rates
from hyperadapters.training.progress import Progress, Step
from hyperadapters.training.shrinkage import Shrinkage

SECONDS_BETWEEN_CHECKPOINTS = 30.0
LOG = "log.jsonl"


@dataclass(frozen=True)
class Stage:
    """A part of training with an optimiser of its own.

    Attributes:
        name: What it is called in the log.
        epochs: Passes over the training rows, at most.
        deviates: Whether annotators' deviations of the LoRA weights are applied and trained.
    """

    name: str
    epochs: int
    deviates: bool


def stages_of(settings: Settings, *, staged: bool) -> list[Stage]:
    """Shared adapter first, deviations afterwards; or everything at once."""
    deviation = min(settings.deviation_epochs, settings.epochs - 1) if staged else 0
    if not deviation:
        return [Stage("train", settings.epochs, deviates=True)]
    return [
        Stage("shared", settings.epochs - deviation, deviates=False),
        Stage("deviation", deviation, deviates=True),
    ]


class Trainer:
    """Trains a classifier and leaves it at its best evaluation on dev.

    Args:
        classifier: What is trained.
        train: Training rows; all have a label.
        dev: Rows for early stopping; those without a label are left out.
        folder: Where checkpoint and log are written.
        seed: Fixes order, dropout and noise.
        progress: Who watches.
    """

    def __init__(
        self,
        classifier: AnnotatorClassifier,
        train: Examples,
        dev: Examples,
        folder: Path,
        seed: int,
        progress: Progress | None = None,
    ) -> None:
        self.classifier = classifier
        self.settings = classifier.settings
        self.train = train
        self.dev = dev
        self.folder = folder
        self.seed = seed
        self.progress = progress or Progress()
        self.accelerator = Accelerator()
        self.model = self.accelerator.prepare_model(classifier.model)
        self.stages = stages_of(self.settings, staged=classifier.method.is_staged)
        network = classifier.network
        centred = isinstance(network.hypernetwork, CentredHypernetwork)
        self._hypernetwork = network.hypernetwork if centred else None
        self.shrinkage = Shrinkage(network, train.annotators, self.settings.shrinkage)
        self.position = Position()
        self.best: dict[str, torch.Tensor] = {}
        self._saved_at = time.monotonic()

    def fit(self, checkpoint: Checkpoint | None = None) -> Position:
        """Train, from the beginning or from a checkpoint.

        Returns:
            Where training ended, with the best evaluation.

        Raises:
            KeyboardInterrupt: As it came, after a checkpoint was written.
        """
        torch.manual_seed(self.seed)
        if checkpoint is not None:
            self.position, self.best = checkpoint.position, checkpoint.best
        with self.classifier.states_of(self.train), self.classifier.states_of(self.dev):
            for number in range(self.position.stage, len(self.stages)):
                resumed = checkpoint if number == self.position.stage else None
                if resumed is None or number != resumed.position.stage:
                    self._start(number)
                self._run(self.stages[number], resumed)
                checkpoint = None
        load_trainable(self.model, self.best)
        return self.position

    def _start(self, number: int) -> None:
        """Every stage begins at the best state of the one before."""
        if self.best:
            load_trainable(self.model, self.best)
        kept = {"best_nll": self.position.best_nll, "best": self.position.best}
        self.position = replace(Position(), stage=number, **kept)

    def _run(self, stage: Stage, checkpoint: Checkpoint | None) -> None:
        if self._hypernetwork is not None:
            self._hypernetwork.deviates = stage.deviates
        rates = stage_rates(self.settings, deviates=stage.name == "deviation")
        optimizer = build_optimizer(self.model, rates, self.settings.weight_decay)
        base_rates = [group["lr"] for group in optimizer.param_groups]
        if checkpoint is not None:
            load_trainable(self.model, checkpoint.current)
            load_optimizer(optimizer, checkpoint.optimizer)
            torch.set_rng_state(checkpoint.random)
        try:
            while self.position.epoch < stage.epochs and not self._is_over(stage):
                self._epoch(stage, optimizer, base_rates)
        except KeyboardInterrupt:
            self._save(optimizer)
            raise
        finally:
            self.progress.stage_end(stage.name)

    def _is_over(self, stage: Stage) -> bool:
        return self.position.waited >= self.settings.patience

    def _epoch(
        self, stage: Stage, optimizer: torch.optim.Optimizer, base_rates: list[float]
    ) -> None:
        batches = self._batches()
        n_steps = len(batches) * stage.epochs
        warmup = min(round(self.settings.warmup_epochs * len(batches)), n_steps // 2)
        per_epoch = self.settings.evaluations_per_epoch
        evaluate_at = {round(len(batches) * k / per_epoch) for k in range(1, per_epoch + 1)}
        while self.position.batch < len(batches):
            factor = rate_factor(self.position.step, n_steps, warmup, self.settings.schedule)
            for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
                group["lr"] = rate * factor
            loss = self._step(batches[self.position.batch], optimizer)
            self._advance(stage, n_steps, loss)
            if self.position.batch in evaluate_at:
                self._evaluate(stage)
            if time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                self._save(optimizer)
            if self._is_over(stage):
                break
        self.position.epoch += 1
        self.position.batch = 0
        self._save(optimizer)

    def _batches(self) -> list[RowBatch]:
        train, settings = self.train, self.settings
        # Without grouping every row counts as a text of its own.
        text = train.text_of_row if settings.batches_by_text else np.arange(len(train))
        lengths = train.tokens.lengths
        lengths = lengths if settings.batches_by_text else lengths[train.text_of_row]
        seeds = (self.seed, self.position.stage, self.position.epoch)
        batches = training_batches(text, lengths, settings.batch_size, seeds)
        if settings.batches_by_text:
            return batches
        return [RowBatch.of(b.rows, train.text_of_row) for b in batches]

    def _step(self, batch: RowBatch, optimizer: torch.optim.Optimizer) -> float:
        self.model.train()
        batch, logits = self._logits(batch)
        labels = torch.from_numpy(self.train.labels[batch.rows]).to(logits.device)
        annotators = torch.from_numpy(self.train.annotators[batch.rows]).to(logits.device)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        self.accelerator.backward(loss + self.shrinkage(annotators))
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        self.accelerator.clip_grad_norm_(trained, self.settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _logits(self, batch: RowBatch) -> tuple[RowBatch, torch.Tensor]:
        """Logits, some rows perhaps without the deviation; and the batch in their order."""
        hypernetwork, share = self._hypernetwork, self.settings.deviation_dropout
        if hypernetwork is None or not hypernetwork.deviates or not share:
            return batch, self.classifier.logits(self.train, batch)
        without = (torch.rand(len(batch.rows)) < share).numpy()
        parts: list[torch.Tensor] = []
        rows: list[np.ndarray] = []
        for deviates, chosen in ((True, batch.rows[~without]), (False, batch.rows[without])):
            if len(chosen):
                part = RowBatch.of(chosen, self.train.text_of_row)
                with hypernetwork.deviating(deviates):
                    parts.append(self.classifier.logits(self.train, part))
                rows.append(chosen)
        return RowBatch.of(np.concatenate(rows), self.train.text_of_row), torch.cat(parts)

    def _advance(self, stage: Stage, n_steps: int, loss: float) -> None:
        position = self.position
        position.batch += 1
        position.step += 1
        position.loss_sum += loss
        position.loss_steps += 1
        self.progress.step(Step(stage.name, position.epoch + 1, position.step, n_steps, loss))

    def _evaluate(self, stage: Stage) -> None:
        probabilities = self.classifier.probabilities(self.dev)
        nll = _nll(probabilities, self.dev.labels)
        position = self.position
        record = {
            "stage": stage.name,
            "epoch": position.epoch + 1,
            "step": position.step,
            "train_loss": position.loss_sum / max(1, position.loss_steps),
            "dev_nll": nll,
        }
        position.loss_sum, position.loss_steps = 0.0, 0
        better = nll < position.best_nll
        position.waited = 0 if better else position.waited + 1
        if better:
            position.best_nll, position.best = nll, record
            self.best = trainable_state(self.model)
        record = {**record, "best": better}
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        self.progress.evaluation(record)

    def _save(self, optimizer: torch.optim.Optimizer) -> None:
        self._saved_at = time.monotonic()
        Checkpoint(
            self.position,
            trainable_state(self.model),
            self.best,
            optimizer_state(optimizer),
            torch.get_rng_state(),
        ).write(self.folder)


def _nll(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood (natural logarithm) of the rows that have a label."""
    labelled = labels >= 0
    chosen = probabilities[labelled, labels[labelled]]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


