"""Several condition vectors → one: side by side, added, or gated."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hyperadapters.encoders.start import Start, zero_dims
from hyperadapters.errors import ConfigError

Combine = Literal["concat", "sum", "gate"]

# tanh(2) = .96: a gate is open at the start.
OPEN = 2.0


def zero_parts(combine: Combine) -> int:
    """Into how many parts the start divides the dimensions of a vector; see `zero_dims`."""
    return 3 if combine == "gate" else 2


class Combiner(nn.Module):
    r"""One vector from those of several conditions.

    ``"concat"`` puts them side by side, ``"sum"`` adds them, and ``"gate"`` adds them after a gate
    per dimension that looks at all of them:

        z = Σ_i tanh(G_i [z_1; ...; z_k] + b_i) ⊙ z_i

    Zero vectors give zero in all three, so the population stays the population.

    Args:
        widths: Name of the condition → width of its vector.
        combine: How.
        start: With ``"zero-change"`` the last third of the gates is shut (see `zero_dims`).

    Raises:
        ConfigError: Vectors of different widths are to be added.
    """

    def __init__(self, widths: Mapping[str, int], combine: Combine, start: Start) -> None:
        super().__init__()
        self.names = tuple(widths)
        self.combine: Combine = combine if len(widths) > 1 else "concat"
        self.start: Start = start
        self._widths = tuple(widths.values())
        # With a single condition nothing is gated, but its vector is divided all the same.
        self._parts = zero_parts(combine)
        if self.combine != "concat" and len(set(self._widths)) > 1:
            raise ConfigError(
                f"combine={combine!r} needs condition vectors of one width, got {dict(widths)}"
            )
        self.gates: nn.Linear | None = None
        if self.combine == "gate":
            total = sum(self._widths)
            self.gates = nn.Linear(total, total)
        self.reset_parameters()

    @property
    def width(self) -> int:
        """Width of the combined vector."""
        return sum(self._widths) if self.combine == "concat" else self._widths[0]

    @property
    def live(self) -> Bool[Tensor, " width"]:
        """Dimensions of the combined vector that are zero at the start."""
        # With numbers even where the network is built on the meta device.
        with torch.device("cpu"):
            if self.combine == "concat":
                parts = [zero_dims(width, self._parts) for width in self._widths]
                return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.bool)
            live = zero_dims(self.width, self._parts)
            return live | self._shut() if self.combine == "gate" else live

    def reset_parameters(self) -> None:
        """Start again: gates open, but those of the last third with ``"zero-change"``."""
        if self.gates is None:
            return
        if self.start == "zero-change":
            nn.init.zeros_(self.gates.weight)
        else:
            nn.init.normal_(self.gates.weight, std=0.01)
        nn.init.constant_(self.gates.bias, OPEN)
        if self.start == "zero-change":
            self.gates.bias.data[self._shut().repeat(len(self._widths))] = 0.0

    def forward(self, vectors: Sequence[Float[Tensor, "n _"]]) -> Float[Tensor, "n width"]:
        """The combined vector, from vectors in the order of the names."""
        if self.combine == "concat":
            return torch.cat(list(vectors), dim=1) if len(vectors) > 1 else vectors[0]
        stacked = torch.stack(list(vectors), dim=1)
        if self.gates is not None:
            gates = self.gates(stacked.flatten(1)).tanh()
            stacked = stacked * gates.view_as(stacked)
        return stacked.sum(dim=1)

    def _shut(self) -> Bool[Tensor, " width"]:
        # What follows the dimensions whose vectors are zero: with both, nothing would ever move.
        with torch.device("cpu"):
            return torch.arange(self.width) > zero_dims(self.width, 3).nonzero().max()
