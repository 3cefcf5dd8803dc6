"""Readers of a vector for networks to which zero is nothing special."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hyperadapters.encoders.base import ConditionEncoder


class PlainEncoder(ConditionEncoder):
    """W₂ relu(W₁ x + b₁) + b₂ with PyTorch's start, or x itself.

    The network between the pooled input and the generator of Ivison & Peters 2022
    (https://arxiv.org/abs/2203.08304), where all three widths are that of the backbone. A row of
    nothing but NaN is missing, and read as zero.

    Args:
        in_width: Width of the vector.
        width: Width of what comes out; `None` takes the vector as it is.
        hidden_width: Width of the hidden layer; by default that of what comes out.
    """

    def __init__(
        self, in_width: int, width: int | None = None, *, hidden_width: int | None = None
    ) -> None:
        super().__init__()
        self._width = width or in_width
        hidden = hidden_width or self._width
        self.first = nn.Linear(in_width, hidden) if width else None
        self.second = nn.Linear(hidden, self._width) if width else None

    @property
    def width(self) -> int:
        """Width of what comes out."""
        return self._width

    def reset_parameters(self) -> None:
        """Start again, as after construction."""
        for layer in (self.first, self.second):
            if layer is not None:
                layer.reset_parameters()

    def forward(self, values: Float[Tensor, "n in_width"]) -> Float[Tensor, "n width"]:
        """Vectors → vectors."""
        x = values.masked_fill(~self.known(values).unsqueeze(1), 0.0)
        if self.first is None or self.second is None:
            return x
        return self.second(self.first(x.to(self.first.weight.dtype)).relu())

    def population(self) -> Float[Tensor, "1 width"]:
        """The vector of nobody in particular: zero."""
        device = self.first.weight.device if self.first is not None else None
        return torch.zeros(1, self.width, device=device)

    def known(self, values: Float[Tensor, "n in_width"]) -> Bool[Tensor, " n"]:
        """Which rows are not all NaN."""
        return ~values.isnan().all(dim=1)
