"""Controls: rows that are adapted to something else than their own input.

If a model does as well when every row is given the vector of another row, it does not use what the
vectors say of the rows.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

NAME = "control.safetensors"
BANK_SIZE = 512


class Control:
    """What pooled inputs are replaced by.

    Args:
        kind: ``"own"`` (nothing is replaced), ``"shuffled"`` (the vector of another row) or
            ``"constant"`` (one random vector for all).
        model: The model; in training its batches are shuffled within themselves.

    Attributes:
        bank: Vectors of training rows of all tasks, shape ``(n, width)``, from which rows are given
            one when answers are written: which one depends on nothing but the row's own vector.
    """

    def __init__(self, kind: str, model: nn.Module) -> None:
        self.kind = kind
        self.bank: Float[Tensor, "n width"] | None = None
        self._model = model
        self._collecting: list[Tensor] | None = None

    def __call__(self, pooled: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
        """The vectors that rows get instead of theirs."""
        if self._collecting is not None:
            self._collecting.append(pooled.detach())
            return pooled
        if self.kind == "constant":
            generator = torch.Generator().manual_seed(0)
            constant = torch.randn(1, pooled.shape[1], generator=generator)
            return constant.to(pooled).expand_as(pooled)
        if self.kind != "shuffled":
            return pooled
        if self._model.training or self.bank is None:
            return pooled.roll(1, dims=0)
        drawn = (pooled.detach().double().sum(dim=1).abs() * 1e6).long() % len(self.bank)
        return self.bank.to(pooled)[drawn]

    @torch.no_grad()
    def fill(self, batches: Iterable[dict[str, Any]]) -> None:
        """Fill the bank with the vectors of these batches.

        Args:
            batches: Arguments of the model.
        """
        was_training = self._model.training
        self._model.eval()
        self._collecting = []
        try:
            for batch in batches:
                self._model(**batch)
            if self._collecting:
                self.bank = torch.cat(self._collecting)[:BANK_SIZE]
        finally:
            self._collecting = None
            self._model.train(was_training)

    def save(self, folder: Path) -> None:
        """Write the bank, if there is one."""
        if self.bank is not None:
            save_file({"bank": self.bank.cpu().contiguous()}, folder / NAME)

    def load(self, folder: Path) -> None:
        """Read the bank, if there is one."""
        if (folder / NAME).exists():
            self.bank = load_file(folder / NAME)["bank"]
