"""What is added to a classification head: to its input, and to its logits."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperadapters.adapters.rows import scale_per_row


class HeadWeights(NamedTuple):
    """Head weights of n conditions; `None` for what there is not.

    Attributes:
        shift: Added to the head's input, shape ``(n, in_width)``.
        bias: Added to the logits, shape ``(n, n_labels)``.
        gate: Weight of each direction of the taste, shape ``(n, rank)``.
        taste_in: Directions of text, shared by all, shape ``(rank, in_width)``.
        taste_out: What they do to the logits, shared by all, shape ``(n_labels, rank)``.
    """

    shift: Float[Tensor, "n in_width"] | None = None
    bias: Float[Tensor, "n n_labels"] | None = None
    gate: Float[Tensor, "n rank"] | None = None
    taste_in: Float[Tensor, "rank in_width"] | None = None
    taste_out: Float[Tensor, "n_labels rank"] | None = None

    def silenced(self, kept: Tensor) -> "HeadWeights":
        """The same with no effect where `kept`, shape ``(n,)``, is false."""

        def where(values: Tensor | None) -> Tensor | None:
            return None if values is None else values * kept.to(values.dtype).unsqueeze(1)

        return self._replace(shift=where(self.shift), bias=where(self.bias), gate=where(self.gate))


def taste_logits(
    features: Float[Tensor, "rows *positions in_width"],
    gate: Float[Tensor, "n rank"],
    taste_in: Float[Tensor, "rank in_width"],
    taste_out: Float[Tensor, "n_labels rank"],
) -> Float[Tensor, "rows *positions n_labels"]:
    """W (gate ⊙ P h) for every row, at every position.

    Raises:
        AdapterShapeError: The number of rows is not a multiple of n.
    """
    directions = torch.nn.functional.linear(features.to(gate.dtype), taste_in)
    return torch.nn.functional.linear(scale_per_row(directions, gate), taste_out)
