"""What is added to a classification head: to its input, and to its logits."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperadapters.adapters.rows import grouped, scale_per_row


class HeadWeights(NamedTuple):
    """Head weights of n conditions; `None` for what there is not.

    Attributes:
        shift: Added to the head's input, shape ``(n, in_width)``.
        bias: Added to the logits, shape ``(n, n_labels)``.
        gate: Weight of each direction of the taste, shape ``(n, rank)``.
        taste_in: Directions of text, shared by all, shape ``(rank, in_width)``.
        taste_out: What they do to the logits, shared by all, shape ``(n_labels, rank)``.
        matrix: Added to the weight of the head's last layer, shape ``(n, n_labels, in_width)``.
    """

    shift: Float[Tensor, "n in_width"] | None = None
    bias: Float[Tensor, "n n_labels"] | None = None
    gate: Float[Tensor, "n rank"] | None = None
    taste_in: Float[Tensor, "rank in_width"] | None = None
    taste_out: Float[Tensor, "n_labels rank"] | None = None
    matrix: Float[Tensor, "n n_labels in_width"] | None = None

    @property
    def of_conditions(self) -> tuple[Tensor | None, ...]:
        """What differs between conditions: shift, bias, gate and matrix."""
        return self.shift, self.bias, self.gate, self.matrix

    def mapped(self, function: Callable[[Tensor], Tensor]) -> "HeadWeights":
        """The same with a function applied to what differs between conditions."""
        shift, bias, gate, matrix = (
            None if part is None else function(part) for part in self.of_conditions
        )
        return HeadWeights(shift, bias, gate, self.taste_in, self.taste_out, matrix)

    def silenced(self, kept: Tensor) -> "HeadWeights":
        """The same with no effect where `kept`, shape ``(n,)``, is false."""

        def where(values: Tensor) -> Tensor:
            return values * kept.to(values.dtype).reshape(-1, *[1] * (values.ndim - 1))

        return self.mapped(where)


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


def matrix_logits(
    features: Float[Tensor, "rows *positions in_width"],
    matrix: Float[Tensor, "n n_labels in_width"],
) -> Float[Tensor, "rows *positions n_labels"]:
    """M h for every row, at every position.

    Raises:
        AdapterShapeError: The number of rows is not a multiple of n.
    """
    features = features.to(matrix.dtype)
    if matrix.shape[0] == 1:
        return torch.nn.functional.linear(features, matrix[0])
    product = torch.bmm(grouped(features, matrix), matrix.transpose(1, 2))
    return product.reshape(*features.shape[:-1], matrix.shape[1])
