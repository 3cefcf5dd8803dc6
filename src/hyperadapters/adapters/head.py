"""What is added to a classification head: to its input, and to its logits."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperadapters.errors import AdapterShapeError


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


def add_per_row(
    x: Float[Tensor, "rows *positions width"], values: Float[Tensor, "n width"]
) -> Float[Tensor, "rows *positions width"]:
    """`x` plus one vector per row, the same at every position; n divides the number of rows.

    Raises:
        AdapterShapeError: The number of rows is not a multiple of n.
    """
    n = values.shape[0]
    _check_rows(x.shape[0], n)
    if n == 1:
        return x + values[0].to(x.dtype)
    grouped = x.reshape(n, -1, x.shape[-1]) + values.to(x.dtype).unsqueeze(1)
    return torch.reshape(grouped, x.shape)


def taste_logits(
    features: Float[Tensor, "rows *positions in_width"],
    gate: Float[Tensor, "n rank"],
    taste_in: Float[Tensor, "rank in_width"],
    taste_out: Float[Tensor, "n_labels rank"],
) -> Float[Tensor, "rows n_labels"]:
    """W (gate ⊙ P h) for every row; of unpooled features the first position counts.

    Raises:
        AdapterShapeError: The number of rows is not a multiple of n.
    """
    _check_rows(features.shape[0], gate.shape[0])
    pooled = features if features.ndim == 2 else features[:, 0]
    directions = torch.nn.functional.linear(pooled.to(gate.dtype), taste_in)
    if gate.shape[0] not in (1, directions.shape[0]):
        gate = gate.repeat_interleave(directions.shape[0] // gate.shape[0], dim=0)
    return torch.nn.functional.linear(gate * directions, taste_out)


def _check_rows(rows: int, n: int) -> None:
    if rows % n:
        raise AdapterShapeError(
            f"the head got {rows} rows for weights of {n} rows; wanted one row per condition"
        )
