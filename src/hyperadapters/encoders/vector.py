"""A small network that reads a vector the caller has, or the pooled input itself."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm

from hyperadapters.encoders.base import ConditionEncoder
from hyperadapters.encoders.start import Start, zero_dims
from hyperadapters.errors import ConfigError


class VectorEncoder(ConditionEncoder):
    """W₂ gelu(W₁ norm(x) + b), and exactly zero for a row that is missing.

    The norm is a LayerNorm without parameters: embeddings come in all scales, and the start should
    not depend on theirs. What remains of a vector is its direction. A vector of one number is not
    normalised, as nothing would remain of it.

    Args:
        in_width: Width of the caller's vector.
        width: Width of the vector that comes out.
        hidden_width: Width of the hidden layer; by default that of the output, and at least 2.
        start: ``"zero-change"``: see `reset_parameters`; for the others both layers start as
            PyTorch's do.
        parts: See `zero_dims`.
        name: Keyword of the condition.

    Raises:
        ConfigError: A hidden layer of width 1 is to start with zero change, which takes two.
    """

    def __init__(
        self,
        in_width: int,
        width: int,
        *,
        hidden_width: int | None = None,
        start: Start = "zero-change",
        parts: int = 2,
        name: str = "condition",
    ) -> None:
        super().__init__()
        hidden_width = hidden_width or max(width, 2)
        if start == "zero-change" and hidden_width < 2:
            raise ConfigError(
                f"{name}: the start 'zero-change' needs a hidden_width of at least 2, got 1"
            )
        self.start: Start = start
        self.parts = parts
        self.name = name
        self.first = nn.Linear(in_width, hidden_width)
        self.second = nn.Linear(hidden_width, width, bias=False)
        if start == "zero-change":
            self._cancel()

    @property
    def width(self) -> int:
        """Width of a vector."""
        return self.second.out_features

    def reset_parameters(self) -> None:
        """Start again, as after construction.

        The zero-change start: the second half of the hidden units has no weights and no bias, so
        it is gelu(0) = 0, with slope 1/2. Positions of the output in `zero_dims` read that half
        alone, so they are exactly zero, and yet a gradient that arrives at them reaches every
        tensor: W₂ by the first half, W₁ and b by the second.
        """
        self.first.reset_parameters()
        self.second.reset_parameters()
        if self.start == "zero-change":
            self._cancel()

    @torch.no_grad()
    def _cancel(self) -> None:
        half = self.first.out_features // 2
        self.first.weight[half:].zero_()
        self.first.bias[half:].zero_()
        zero = zero_dims(self.width, self.parts).to(self.second.weight.device)
        self.second.weight[:, :half].masked_fill_(zero.unsqueeze(1), 0.0)

    def forward(self, values: Float[Tensor, "n in_width"]) -> Float[Tensor, "n width"]:
        """Vectors → vectors.

        Args:
            values: One vector per row; a row that is all NaN is missing. A row that is NaN in part
                gives NaN.
        """
        missing = ~self.known(values).unsqueeze(1)
        # Filled before anything is computed: a NaN would spoil the gradient of the parameters.
        x = values.masked_fill(missing, 0.0)
        if x.shape[1] > 1:
            x = layer_norm(x, x.shape[1:])
        encoded = self.second(gelu(self.first(x.to(self.first.weight.dtype))))
        return encoded.masked_fill(missing, 0.0)

    def population(self) -> Float[Tensor, "1 width"]:
        """The vector of nobody in particular: zero."""
        return self.second.weight.new_zeros(1, self.width)

    def known(self, values: Float[Tensor, "n in_width"]) -> Bool[Tensor, " n"]:
        """Which rows are not all NaN."""
        return ~values.isnan().all(dim=1)
