"""A training step, all layers: ours beside plain LoRA and other ways to tell people apart."""

from collections.abc import Callable

import torch
from benchmarks.speed import models
from benchmarks.speed.models import Batch
from benchmarks.speed.pairs import in_pairs
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting
from benchmarks.speed.steps import Pass, TrainingStep, by_annotator, by_row, conditioned

FEW = 8
"""Annotators of the batch in which each has several rows."""


def step(setting: Setting) -> list[Row]:
    """All rows of the case."""
    sizes = setting.sizes
    case = _Case(setting, sizes.backbone, sizes.rows)
    rows = [
        case.row("plain-lora", "ours / plain LoRA", case.plain_lora(), inverse=True),
        case.row("row-by-row", "one pass per row / ours", case.row_by_row()),
        case.row("published", "the published network, one pass per row / ours", case.published()),
        case.row("separate-loras", "a LoRA and a pass per annotator / ours", case.separate()),
        case.row("full", "full fine-tuning with annotator vectors / ours", case.full()),
    ]
    if not setting.on_gpu:
        plain = _Case(setting, sizes.backbone, sizes.rows, as_pytorch=True)
        rows += [
            plain.row(
                "plain-lora-as-pytorch",
                "ours with PyTorch's products / plain LoRA",
                plain.plain_lora(),
                inverse=True,
            ),
            plain.row(
                "row-by-row-as-pytorch",
                "one pass per row / ours with PyTorch's products",
                plain.row_by_row(),
            ),
        ]
    few = _Case(setting, sizes.backbone, sizes.rows, min(FEW, sizes.rows))
    rows.append(few.row("by-annotator", "one pass per distinct annotator / ours", few.by_person()))
    if setting.on_gpu:
        large = _Case(setting, sizes.large_backbone, sizes.large_rows)
        rows += [
            large.row("plain-lora-large", "ours / plain LoRA", large.plain_lora(), inverse=True),
            large.row("row-by-row-large", "one pass per row / ours", large.row_by_row()),
        ]
    return rows


class _Case:
    """Ours on one batch, and the peers on the same.

    Args:
        setting: The setting.
        backbone: Name of the backbone.
        n_rows: Rows of the batch.
        n_distinct: Their distinct annotators; by default every row has another.
        as_pytorch: Whether products of ours are PyTorch's own too. Those of the peers always are.
    """

    def __init__(
        self,
        setting: Setting,
        backbone: str,
        n_rows: int,
        n_distinct: int | None = None,
        *,
        as_pytorch: bool = False,
    ) -> None:
        self.setting = setting
        self.backbone = backbone
        self.n_distinct = n_distinct or n_rows
        self.n_annotators = max(setting.sizes.annotators, self.n_distinct)
        model = models.ours(self._backbone(), self.n_annotators)
        if as_pytorch:
            models.as_pytorch(model)
        tokens = setting.sizes.tokens
        self.batch: Batch = models.batch(model, n_rows, tokens, self.n_distinct, setting.device)
        self.shapes = (
            f"{backbone}, {n_rows} rows of {self.n_distinct} annotators, {tokens} tokens, "
            f"r={models.RANK}"
        )
        self.model = model
        self.ours = TrainingStep(model, [Pass(conditioned(self.batch))])

    def _backbone(self) -> torch.nn.Module:
        return models.backbone(self.backbone, self.setting.device)

    def row(
        self, name: str, ratio: str, peer: Callable[[], object], *, inverse: bool = False
    ) -> Row:
        """Peer / ours, or ours / peer."""
        first, second = (self.ours, peer) if inverse else (peer, self.ours)
        pairs = in_pairs(first, second, self.setting.device, self.setting.sizes.pairs)
        return Row(f"step/{name}", ratio, self.shapes, pairs)

    def plain_lora(self) -> TrainingStep:
        """One adapter for all rows."""
        return TrainingStep(models.plain_lora(self._backbone()), [Pass(self.batch.inputs)])

    def row_by_row(self) -> TrainingStep:
        """Our network in the published way: a row at a time, gradients accumulated."""
        return self._ours_in([Pass(conditioned(row)) for row in by_row(self.batch)])

    def published(self) -> TrainingStep:
        """The published network in the published way."""
        model = models.as_pytorch(models.published(self._backbone(), self.n_annotators))
        return TrainingStep(model, [Pass(conditioned(row)) for row in by_row(self.batch)])

    def by_person(self) -> TrainingStep:
        """The rows of an annotator at a time."""
        return self._ours_in([Pass(conditioned(part)) for part in by_annotator(self.batch)])

    def _ours_in(self, passes: list[Pass]) -> TrainingStep:
        model = models.as_pytorch(models.ours(self._backbone(), self.n_annotators))
        return TrainingStep(model, passes)

    def separate(self) -> TrainingStep:
        """An adapter of their own for each annotator, made active for their rows."""
        model = models.separate_loras(self._backbone(), self.n_distinct, ["classifier"])
        names = [models.adapter_name(number) for number in range(self.n_distinct)]
        parts = by_annotator(self.batch)
        return TrainingStep(
            model, [Pass(part.inputs, name) for part, name in zip(parts, names, strict=True)]
        )

    def full(self) -> TrainingStep:
        """Everything is trained."""
        model = models.FullFineTuning(self._backbone(), self.n_annotators)
        return TrainingStep(model.to(self.setting.device), [Pass(conditioned(self.batch))])
