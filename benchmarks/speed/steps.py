"""One training step as an ordinary loop makes it, of one pass or of several."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from benchmarks.speed.models import Batch, trained
from torch import Tensor, nn


class Pass(NamedTuple):
    """One forward and backward of a step.

    Attributes:
        inputs: Keywords of the model.
        adapter: The adapter that is made active before.
    """

    inputs: dict[str, Tensor]
    adapter: str | None = None


class TrainingStep:
    """Forward, backward, clipping, AdamW. Gradients of several passes are accumulated.

    Args:
        model: What is trained.
        passes: The parts of the batch.
    """

    def __init__(self, model: Any, passes: Sequence[Pass]) -> None:
        self.model = model.train()
        self.passes = passes
        self.trained = list(trained(model))
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-3)
        self.n_rows = sum(len(one.inputs["labels"]) for one in passes)

    def __call__(self) -> None:
        """Make the step."""
        for inputs, adapter in self.passes:
            if adapter is not None:
                self.model.set_adapter(adapter)
            share = len(inputs["labels"]) / self.n_rows
            (self.model(**inputs).loss * share).backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def conditioned(batch: Batch) -> dict[str, Tensor]:
    """Keywords of a model that is told who is asked."""
    return {**batch.inputs, "annotator_ids": batch.annotators}


def by_annotator(batch: Batch) -> list[Batch]:
    """The rows of each annotator of a batch."""
    distinct = batch.annotators.unique()
    return [batch.part((batch.annotators == one).nonzero()[:, 0]) for one in distinct]


def by_row(batch: Batch) -> list[Batch]:
    """Every row alone."""
    rows = torch.arange(len(batch.annotators), device=batch.annotators.device)
    return [batch.part(row) for row in rows.split(1)]
