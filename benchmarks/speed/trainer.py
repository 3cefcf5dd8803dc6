"""A training step as our own `Trainer` makes it, on a table of made-up rows."""

import tempfile
from pathlib import Path

import numpy as np
from benchmarks.speed import models
from benchmarks.speed.setting import Sizes

from hyperadapters.conditions import Vocabulary
from hyperadapters.data.batches import RowBatch
from hyperadapters.data.tokens import TokenizedTexts
from hyperadapters.labels import LabelSpace
from hyperadapters.methods import AnnotatorClassifier, Examples, find_method
from hyperadapters.training import Trainer

ALL_LAYERS = {
    "r": models.RANK,
    "lora_alpha": float(models.ALPHA),
    "adapted_layers": 0,
    "deviation": "lora",
    "deviating_layers": 0,
    "deviation_dropout": 0.0,
}
"""Settings under which every row has LoRA of its own in every layer."""


class TrainerStep:
    """One step of `hyperlora` for a number of annotators, with its optimiser and clipping.

    Args:
        sizes: Backbone and shape of the batch.
        n_annotators: How many the model knows.
    """

    def __init__(self, sizes: Sizes, n_annotators: int) -> None:
        method = find_method("hyperlora")
        settings = method.settings.changed(ALL_LAYERS)
        self.classifier = AnnotatorClassifier.build(
            method,
            settings,
            sizes.backbone,
            LabelSpace(tuple(f"label {i}" for i in range(models.LABELS))),
            Vocabulary(tuple(f"annotator {i}" for i in range(n_annotators))),
            seed=0,
        )
        examples = self._examples(sizes, n_annotators)
        folder = Path(tempfile.gettempdir())  # nothing is written before an epoch is over
        self.trainer = Trainer(self.classifier, examples, examples, folder, seed=0)
        self.optimizer = self.trainer.optimizer()
        self.batch = RowBatch.of(np.arange(sizes.rows), examples.text_of_row)

    def __call__(self) -> None:
        """Make the step."""
        self.trainer._step(self.batch, self.optimizer)

    def _examples(self, sizes: Sizes, n_annotators: int) -> Examples:
        generator = np.random.default_rng(0)
        words = int(self.classifier.backbone.model.config.vocab_size)
        ids = generator.integers(4, words, (sizes.rows, sizes.tokens)).tolist()
        return Examples(
            text_of_row=np.arange(sizes.rows),
            annotators=generator.choice(n_annotators, sizes.rows, replace=False),
            labels=generator.integers(0, models.LABELS, sizes.rows),
            tokens=TokenizedTexts({"input_ids": ids}, pad_id=0),
            attributes=np.empty((sizes.rows, 0), np.int64),
        )
