"""Tokens of examples, padded as late as possible."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

IGNORED = -100


@dataclass
class TaskTokens:
    """Rows for a model: one for every example, but one for every window of a long context.

    Attributes:
        input_ids: Tokens of every row, with those that begin and end a text.
        labels: Tokens of every row's target with the end token; None without targets.
        example: Position of every row's example in the EXAMPLES it was made of, shape ``(rows,)``.
        task: Task index of every row, shape ``(rows,)``.
        pad_id: Token that fills up short rows.
        truncated: For every task how many texts were cut: ``sources`` (their end is not seen),
            ``targets`` (their end is not learned) and ``questions`` (of those in windows).
    """

    input_ids: list[list[int]]
    labels: list[list[int]] | None
    example: np.ndarray
    task: np.ndarray
    pad_id: int = 0
    truncated: dict[str, dict[str, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def lengths(self) -> np.ndarray:
        """Number of source tokens of every row, shape ``(rows,)``."""
        return np.array([len(ids) for ids in self.input_ids], dtype=np.int64)

    def batch(
        self, rows: Sequence[int] | np.ndarray, device: torch.device | str | None = None
    ) -> dict[str, Tensor]:
        """Padded tensors of some rows; padding stands on the right.

        Args:
            rows: Positions, at least one.
            device: Where the tensors should be.

        Returns:
            ``input_ids`` and ``attention_mask``, shape ``(rows, positions)``, and with targets
            ``labels``, shape ``(rows, target positions)``, padded with -100; all int64.
        """
        sources = [self.input_ids[row] for row in rows]
        ones = [[1] * len(ids) for ids in sources]
        batch = {"input_ids": _padded(sources, self.pad_id), "attention_mask": _padded(ones, 0)}
        if self.labels is not None:
            batch["labels"] = _padded([self.labels[row] for row in rows], IGNORED)
        return {name: tensor.to(device) for name, tensor in batch.items()}


def _padded(rows: list[list[int]], fill: int) -> Tensor:
    padded = torch.full((len(rows), max(map(len, rows))), fill, dtype=torch.long)
    for line, row in zip(padded, rows, strict=True):
        line[: len(row)] = torch.tensor(row, dtype=torch.long)
    return padded
