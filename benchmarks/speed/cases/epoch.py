"""An epoch on real ratings: plain LoRA in all layers on shuffled rows, beside our method."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd
import torch
from benchmarks.speed import models
from benchmarks.speed.pairs import Pairs, seconds
from benchmarks.speed.real import ratings
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting
from torch import nn
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding

from hyperadapters.backbones import load_backbone
from hyperadapters.conditions import Vocabulary
from hyperadapters.data import assign_splits
from hyperadapters.labels import LabelSpace
from hyperadapters.methods import AnnotatorClassifier, Settings, find_method
from hyperadapters.tables.frames import column_of, rows_of
from hyperadapters.training import Progress, Trainer
from hyperadapters.training.progress import Step

DATASETS = ("popquorn_offensiveness", "crehate")
METHOD = find_method("hyperlora")


def epoch(setting: Setting) -> list[Row]:
    """For each data set the mean over all epochs, the first one, and those after it."""
    return [row for dataset in DATASETS for row in _rows(setting, dataset)]


def _rows(setting: Setting, dataset: str) -> Iterator[Row]:
    sizes = setting.sizes
    table = assign_splits(ratings(setting.data, dataset, sizes.epoch_texts))
    settings = METHOD.settings.changed(
        {
            "r": models.RANK,
            "lora_alpha": float(models.ALPHA),
            "epochs": sizes.epochs,
            "patience": sizes.epochs,
        }
    )
    train = rows_of(table, column_of(table, "split") == "train")
    plain = _PlainEpoch(setting, settings, train)
    plain.warm_up()
    measured = [
        (seconds(plain, setting.device), _our_epochs(setting, settings, table))
        for _ in range(sizes.long_pairs)
    ]
    n_rows, n_texts = len(train), column_of(train, "text").nunique()
    shapes = (
        f"{sizes.backbone}, {dataset}: {n_rows:,} training rows, {n_rows / n_texts:.1f} ratings a "
        f"text, {settings.batch_size} rows a batch, r={models.RANK}"
    )
    parts = {
        "": (f"mean of {sizes.epochs} epochs", slice(None)),
        "/first": ("first epoch and the frozen layers", slice(1)),
        "/later": ("later epochs", slice(1, None)),
    }
    for name, (what, chosen) in parts.items():
        pairs = Pairs.of((theirs, mean(ours[chosen])) for theirs, ours in measured)
        ratio = f"plain LoRA in all layers / ours, {what}"
        yield Row(f"epoch/{dataset}{name}", ratio, shapes, pairs)


class _PlainEpoch:
    """A pass over all rows in shuffled batches: forward, backward, clipping, AdamW.

    Args:
        setting: The setting.
        settings: Settings of ours, of which the batch size and the like are the same.
        train: The training rows. They are tokenised here, before anything is timed.
    """

    def __init__(self, setting: Setting, settings: Settings, train: pd.DataFrame) -> None:
        labels = LabelSpace.of(train["label"])
        torch.manual_seed(0)
        loaded = load_backbone(setting.sizes.backbone, len(labels), settings.head_dropout)
        self.device = setting.device
        self.model: Any = models.plain_lora(loaded.model.to(setting.device))
        encoded = loaded.tokenizer(
            column_of(train, "text").tolist(), truncation=True, max_length=settings.max_length
        )
        rows = [
            {**{name: encoded[name][i] for name in encoded}, "labels": int(label)}
            for i, label in enumerate(labels.encode(column_of(train, "label")))
        ]
        collate = DataCollatorWithPadding(loaded.tokenizer)
        self.loader = DataLoader(
            rows,  # pyright: ignore[reportArgumentType]
            batch_size=settings.batch_size,
            shuffle=True,
            collate_fn=collate,
        )
        self.trained = list(models.trained(self.model))
        self.optimizer = torch.optim.AdamW(self.trained, lr=settings.learning_rate)
        self.max_grad_norm = settings.max_grad_norm

    def __call__(self) -> None:
        """Make the pass."""
        self.model.train()
        for inputs in self.loader:
            self._step(inputs)

    def warm_up(self) -> None:
        """One step."""
        self._step(next(iter(self.loader)))

    def _step(self, inputs: dict[str, torch.Tensor]) -> None:
        moved = {name: value.to(self.device) for name, value in inputs.items()}
        loss = self.model(**moved).loss
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained, self.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        float(loss.detach())  # as loops do that tell the loss


class _Clock(Progress):
    """Notes when epochs begin and when their last step was made."""

    def __init__(self) -> None:
        self.begun = [time.perf_counter()]
        self.last_step: dict[int, float] = {}

    def step(self, step: Step) -> None:
        self.last_step[step.epoch] = time.perf_counter()

    def evaluation(self, record: dict[str, Any]) -> None:
        self.begun.append(time.perf_counter())

    @property
    def seconds(self) -> list[float]:
        """Seconds of every epoch: all between evaluations, so also the frozen layers and saving."""
        return [self.last_step[n] - begun for n, begun in enumerate(self.begun[:-1], start=1)]


def _our_epochs(setting: Setting, settings: Settings, table: pd.DataFrame) -> list[float]:
    """Seconds of each epoch of a training of ours."""
    parts = {name: part.reset_index(drop=True) for name, part in table.groupby("split")}
    classifier = AnnotatorClassifier.build(
        METHOD,
        settings,
        setting.sizes.backbone,
        LabelSpace.of(table["label"]),
        Vocabulary.of(parts["train"]["annotator"]),
        seed=0,
    )
    train, dev = (classifier.examples(parts[name]) for name in ("train", "dev"))
    with tempfile.TemporaryDirectory() as folder:
        # Every step ends with the loss as a number, so that a GPU has no work left either.
        clock = _Clock()
        Trainer(classifier, train, dev, Path(folder), seed=0, progress=clock).fit()
    return clock.seconds
