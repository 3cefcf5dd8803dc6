"""LoRA, applied with weights of its own for every row of the batch.

    y + scale · B A x,   scale = alpha / r   (or alpha / √r, rank-stabilised)

Hu et al. 2021, https://arxiv.org/abs/2106.09685; Kalajdzievski 2023, https://arxiv.org/abs/2312.03732.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperadapters.errors import AdapterShapeError, ConfigError


class LoRAWeights(NamedTuple):
    """The two factors of one site for `n` rows (or for one row that stands for all).

    Attributes:
        a: Down projection, shape ``(n, r, in_width)``, or ``(1, r, in_width)`` when all rows
            share it.
        b: Up projection, shape ``(n, out_width, r)``, or ``(1, out_width, r)``.
    """

    a: Float[Tensor, "n_a r in_width"]
    b: Float[Tensor, "n_b out_width r"]


@dataclass(frozen=True)
class LoRA:
    """Rank and scale of a LoRA.

    Attributes:
        r: Rank.
        alpha: Numerator of the scale.
        use_rslora: Divide by √r instead of r.
    """

    r: int
    alpha: float
    use_rslora: bool = False

    def __post_init__(self) -> None:
        if self.r < 1:
            raise ConfigError(f"the LoRA rank r must be at least 1, got {self.r}")
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise ConfigError(f"lora_alpha must be a positive number, got {self.alpha}")

    @property
    def scale(self) -> float:
        """The factor before B A x."""
        return self.alpha / (math.sqrt(self.r) if self.use_rslora else self.r)


def apply_lora(
    x: Float[Tensor, "rows *positions in_width"], weights: LoRAWeights, scale: float
) -> Float[Tensor, "rows *positions out_width"]:
    """The correction `scale · B A x`, row i with the i-th pair of factors.

    One batched product for all rows; nothing is copied per position. When `x` has a multiple k·n
    of the n rows of weights (beams, several choices), k neighbouring rows share a pair.

    Args:
        x: Input of the adapted module, shape ``(rows, ..., in_width)``.
        weights: Factors for n rows; with n = 1 they serve all rows.
        scale: See `LoRA.scale`.

    Raises:
        AdapterShapeError: The number of rows is not a multiple of n, as happens when a batch was
            packed or unpadded, or the input is a flat list of tokens.
    """
    down = _project(x, weights.a)
    # Scaling the small factor costs r values a position instead of out_width.
    return _project(down * scale, weights.b)


def _project(
    x: Float[Tensor, "rows *positions width"], factor: Float[Tensor, "n out width"]
) -> Float[Tensor, "rows *positions out"]:
    n, rows = factor.shape[0], x.shape[0]
    if n == 1:
        return torch.nn.functional.linear(x, factor[0])
    if rows % n or (x.ndim == 2 and rows != n):
        raise AdapterShapeError(
            f"got an input of shape {tuple(x.shape)} for weights of {n} rows; wanted one row of "
            "input per condition (packed, unpadded or flattened batches cannot be adapted per row)"
        )
    grouped = x.reshape(n, -1, x.shape[-1])
    return torch.bmm(grouped, factor.transpose(1, 2)).reshape(*x.shape[:-1], factor.shape[1])
