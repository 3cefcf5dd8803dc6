"""The training loop, with early stopping on the dev nll.

The first epochs may train the shared adapter alone (`Settings.shared_epochs`): what all have in
common is settled at the price of a single adapter, and deviations are added to that.
Data order, dropout and noise depend on the seed and the position alone, so that a run that was
stopped anywhere and resumed ends with the same numbers as one that was not.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from hyperadapters.data.batches import RowBatch, training_batches
from hyperadapters.errors import RunError
from hyperadapters.hypernetworks import CentredHypernetwork
from hyperadapters.methods import AnnotatorClassifier, Examples
from hyperadapters.training.averaging import Averages
from hyperadapters.training.checkpoint import (
    Checkpoint,
    Position,
    load_optimizer,
    load_trainable,
    optimizer_state,
    trainable_state,
)
from hyperadapters.training.contrast import Contrast
from hyperadapters.training.large_tables import LARGE, LargeTables
from hyperadapters.training.log import LOG, shorten_log
from hyperadapters.training.nll import dev_nll, label_weights
from hyperadapters.training.optimizer import (
    RowAdamW,
    build_optimizer,
    clippable,
    learning_rates,
    rate_factor,
)
from hyperadapters.training.progress import Progress, Step
from hyperadapters.training.shrinkage import Shrinkage

SECONDS_BETWEEN_CHECKPOINTS = 30.0
# A checkpoint that takes longer to write is written as much less often.
SECONDS_TO_WRITE_ONE = 1.0


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
        network = classifier.network
        self._hypernetwork = next(
            (part for part in network.modules() if isinstance(part, CentredHypernetwork)), None
        )
        staged = self._hypernetwork is not None and classifier.method.is_staged(self.settings)
        # At least half of the epochs train what the method is about.
        self.shared_epochs = (
            min(self.settings.shared_epochs, self.settings.epochs // 2) if staged else 0
        )
        # Several processes exchange gradients, and can do so only if these are dense.
        alone = self.accelerator.num_processes == 1
        self.tables = LargeTables(self.model, LARGE if alone else sys.maxsize)
        self._base_rates: list[float] = []
        self.shrinkage = Shrinkage(
            network, train.annotators, self.settings.shrinkage, train.attributes
        )
        self.contrast = Contrast(network, self.settings.contrast, self.settings.vector_norm)
        horizon = self.settings.averaging * len(train) / self.settings.batch_size
        self.averages = Averages(self.model, horizon, self.tables.names)
        self._label_weights = label_weights(
            train.labels, len(classifier.labels), self.settings.label_balance
        )
        self.position = Position()
        self.best: dict[str, torch.Tensor] = {}
        self._saved_at = time.monotonic()
        self._slowness = 1.0

    def fit(self, checkpoint: Checkpoint | None = None) -> Position:
        """Train, from the beginning or from a checkpoint.

        Returns:
            Where training ended, with the best evaluation.

        Raises:
            RunError: Training diverged.
            KeyboardInterrupt: As it came. It may come in the middle of a step, when nothing fits
                together, so that the last checkpoint is where training can go on.
        """
        torch.manual_seed(self.seed)
        settings = self.settings
        optimizer = self.optimizer()
        self._base_rates = [group["lr"] for group in optimizer.param_groups]
        if checkpoint is not None:
            self._restore(checkpoint, optimizer)
        shorten_log(self.folder, self.position.evaluations)
        if self.classifier.keeps_states:
            n_texts = len(self.train.tokens) + len(self.dev.tokens)
            self.progress.message(f"{n_texts:,} texts go through the frozen layers once")
        with self.classifier.states_of(self.train), self.classifier.states_of(self.dev):
            while self.position.epoch < settings.epochs and not self._is_over():
                self._epoch(optimizer)
        if not self.best:
            raise RunError("training diverged: dev nll is not a number; lower the learning rates")
        load_trainable(self.model, self.best, self.tables.names)
        self.tables.restore()
        return self.position

    def optimizer(self) -> RowAdamW:
        """A new optimiser of the model, with the rates of the settings."""
        settings = self.settings
        rates = learning_rates(settings)
        return build_optimizer(self.model, rates, settings.weight_decay, self.tables)

    def _restore(self, checkpoint: Checkpoint, optimizer: torch.optim.Optimizer) -> None:
        self.position, self.best = checkpoint.position, checkpoint.best
        load_trainable(self.model, checkpoint.current, self.tables.names)
        self.tables.load(checkpoint.extra)
        self.averages.load(checkpoint.extra)
        load_optimizer(optimizer, checkpoint.optimizer)
        torch.set_rng_state(checkpoint.random)

    def _is_over(self) -> bool:
        """Whether the dev nll has stopped falling; deviations are given an epoch at least."""
        position = self.position
        tried = position.epoch > self.shared_epochs or not self.shared_epochs
        return tried and position.waited >= self.settings.patience

    def _epoch(self, optimizer: torch.optim.Optimizer) -> None:
        position, settings = self.position, self.settings
        if self._hypernetwork is not None:
            self._hypernetwork.deviates = position.epoch >= self.shared_epochs
        batches = self._batches()
        n_steps = len(batches) * settings.epochs
        warmup = min(round(settings.warmup_epochs * len(batches)), n_steps // 2)
        per_epoch = settings.evaluations_per_epoch
        evaluate_at = {round(len(batches) * k / per_epoch) for k in range(1, per_epoch + 1)}
        while position.batch < len(batches):
            factor = rate_factor(position.step, n_steps, warmup, settings.schedule)
            for group, rate in zip(optimizer.param_groups, self._base_rates, strict=True):
                group["lr"] = rate * factor
            loss = self._step(batches[position.batch], optimizer)
            self._advance(n_steps, loss)
            if position.batch in evaluate_at:
                self._evaluate()
                if self._is_over():
                    break
            if time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS * self._slowness:
                self._save(optimizer)
        position.epoch += 1
        position.batch = 0
        self._save(optimizer)

    def _batches(self) -> list[RowBatch]:
        train, settings = self.train, self.settings
        # Without grouping every row counts as a text of its own.
        text = train.text_of_row if settings.batches_by_text else np.arange(len(train))
        lengths = train.tokens.lengths
        lengths = lengths if settings.batches_by_text else lengths[train.text_of_row]
        seeds = (self.seed, self.position.epoch)
        batches = training_batches(text, lengths, settings.batch_size, seeds)
        if settings.batches_by_text:
            return batches
        return [RowBatch.of(b.rows, train.text_of_row) for b in batches]

    def _step(self, batch: RowBatch, optimizer: torch.optim.Optimizer) -> float:
        self.model.train()
        with self.tables.sparse_gradients():
            batch, logits = self._logits(batch)
            labels = torch.from_numpy(self.train.labels[batch.rows]).to(logits.device)
            annotators = torch.from_numpy(self.train.annotators[batch.rows]).to(logits.device)
            loss = self._mean_loss(logits, labels)
            texts = torch.from_numpy(batch.text_of_row).to(logits.device)
            attributes = torch.from_numpy(self.train.attributes[batch.rows]).to(logits.device)
            penalty = self.shrinkage(annotators, attributes)
            penalty = penalty + self.contrast(annotators, labels, texts)
            self.accelerator.backward(loss + penalty)
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        self.accelerator.clip_grad_norm_(clippable(trained), self.settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _mean_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self._label_weights is None:
            return torch.nn.functional.cross_entropy(logits, labels)
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        return (losses * self._label_weights.to(losses)[labels]).mean()

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

    def _advance(self, n_steps: int, loss: float) -> None:
        position = self.position
        position.batch += 1
        position.step += 1
        self.averages.update(position.step)
        position.loss_sum += loss
        position.loss_steps += 1
        self.progress.step(Step(position.epoch + 1, position.step, n_steps, loss))

    def _evaluate(self) -> None:
        with self.averages.applied():
            self._evaluate_as_it_is()

    def _evaluate_as_it_is(self) -> None:
        probabilities = self.classifier.probabilities(self.dev)
        nll = dev_nll(probabilities, self.dev, self.settings.stop_by)
        position = self.position
        record = {
            "epoch": position.epoch + 1,
            "step": position.step,
            "deviates": bool(self._hypernetwork is not None and self._hypernetwork.deviates),
            "train_loss": position.loss_sum / max(1, position.loss_steps),
            "dev_nll": nll,
        }
        position.evaluations += 1
        position.loss_sum, position.loss_steps = 0.0, 0
        better = nll < position.best_nll
        position.waited = 0 if better else position.waited + 1
        if better:
            position.best_nll, position.best = nll, record
            self.best = trainable_state(self.model, self.tables.names)
            self.tables.keep()
        record = {**record, "best": better}
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        self.progress.evaluation(record)

    def _save(self, optimizer: torch.optim.Optimizer) -> None:
        began = time.monotonic()
        Checkpoint(
            self.position,
            trainable_state(self.model, self.tables.names),
            self.best,
            optimizer_state(optimizer),
            torch.get_rng_state(),
            extra={**self.tables.state(), **self.averages.state()},
        ).write(self.folder)
        self._saved_at = time.monotonic()
        self._slowness = max(1.0, (self._saved_at - began) / SECONDS_TO_WRITE_ONE)
