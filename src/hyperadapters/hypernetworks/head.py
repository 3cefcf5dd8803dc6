"""What the classification head receives from the condition: a shift of its input, a logit bias."""

import math

from jaxtyping import Float
from torch import Tensor, nn


class HeadGenerator(nn.Module):
    """Linear maps without constant: shift = U z, bias = V z; both are zero for the vector zero.

    The shift is the annotator embedding of AART (Mokhberian et al. 2024,
    https://arxiv.org/abs/2311.09743), here written by the same vector as the LoRA weights.

    Args:
        width: Width of the condition vectors.
        in_width: Width of the head's input; `None` generates no shift.
        n_labels: Number of logits; `None` generates no bias.
    """

    def __init__(self, width: int, in_width: int | None, n_labels: int | None) -> None:
        super().__init__()
        self.shift = nn.Linear(width, in_width, bias=False) if in_width else None
        self.bias = nn.Linear(width, n_labels, bias=False) if n_labels else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again: entries N(0, 1/width), so that a unit vector moves a logit by about one."""
        for layer in (self.shift, self.bias):
            if layer is not None:
                nn.init.normal_(layer.weight, std=1.0 / math.sqrt(layer.in_features))

    def forward(
        self, z: Float[Tensor, "n width"]
    ) -> tuple[Float[Tensor, "n in_width"] | None, Float[Tensor, "n n_labels"] | None]:
        """The shift and the bias of every condition; `None` for what is not generated."""
        shift = None if self.shift is None else self.shift(z)
        bias = None if self.bias is None else self.bias(z)
        return shift, bias
