"""Controls: rows that are adapted to something else than their own input.

If a model does as well when every row is given the vector of another row, it does not use what the
vectors say of the rows.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

NAME = "control.safetensors"
BANK_SIZE = 512
BITS = 16


class Control:
    """What pooled inputs are replaced by.

    Args:
        kind: ``"own"`` (nothing is replaced), ``"shuffled"`` (the vector of another row) or
            ``"constant"`` (that of one training row for all, as it was before training).
        model: The model; in training its batches are shuffled within themselves.

    Attributes:
        banks: Name of the condition → vectors of training rows of all tasks, shape ``(n, width)``,
            from which rows are given one when answers are written: which one depends on nothing but
            the row's own vector. Until there are any, rows that cannot be shuffled get zeros.
    """

    def __init__(self, kind: str, model: nn.Module) -> None:
        self.kind = kind
        self.banks: dict[str, Float[Tensor, "n width"]] = {}
        self._model = model

    def __call__(
        self, name: str, pooled: Float[Tensor, "rows width"]
    ) -> Float[Tensor, "rows width"]:
        """The vectors that rows get instead of theirs.

        Args:
            name: Name of the condition.
            pooled: Their own vectors.
        """
        if self.kind == "own":
            return pooled
        bank, alone = self.banks.get(name), len(pooled) == 1
        if self.kind == "constant":
            constant = torch.zeros_like(pooled[:1]) if bank is None else bank[:1].to(pooled)
            return constant.expand_as(pooled)
        if bank is None or (self._model.training and not alone):
            return torch.zeros_like(pooled) if alone else pooled.roll(1, dims=0)
        bank = bank.to(pooled)
        return bank[_drawn(pooled.detach(), bank)]

    @property
    def bank(self) -> Float[Tensor, "n width"] | None:
        """All vectors, one below the other; `None` before there are any."""
        return torch.cat(list(self.banks.values())) if self.banks else None

    def fill(self, read: Mapping[str, Float[Tensor, "n width"]]) -> None:
        """Fill the banks.

        Args:
            read: Name of the condition → vectors of training rows, see `read_inputs`.
        """
        self.banks |= {name: vectors[:BANK_SIZE] for name, vectors in read.items()}

    def save(self, folder: Path) -> None:
        """Write the banks, if there are any."""
        if self.banks:
            save_file({n: b.cpu().contiguous() for n, b in self.banks.items()}, folder / NAME)

    def load(self, folder: Path) -> None:
        """Read the banks, if there are any."""
        if (folder / NAME).exists():
            self.banks = load_file(folder / NAME)


def _drawn(
    pooled: Float[Tensor, "rows width"], bank: Float[Tensor, "n width"]
) -> Int[Tensor, " rows"]:
    """For every row a position in the bank.

    It is a number whose bits say on which sides of random planes the vector lies: rounding, which
    differs with the other rows of a batch, hardly ever changes it.
    """
    generator = torch.Generator().manual_seed(0)
    planes = torch.randn(bank.shape[1], BITS, generator=generator).to(bank.device).double()
    sides = ((pooled - bank.mean(dim=0)).double() @ planes > 0).long()
    return (sides << torch.arange(BITS, device=sides.device)).sum(dim=1) % len(bank)
