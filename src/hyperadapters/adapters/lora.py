"""LoRA, applied with weights of its own for every row of the batch.

    y + scale · B A x,   scale = alpha / r   (or alpha / √r, rank-stabilised)

Hu et al. 2021, https://arxiv.org/abs/2106.09685; Kalajdzievski 2023, https://arxiv.org/abs/2312.03732.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters.directions import Directions
from hyperadapters.adapters.rows import check_rows, project, scale_per_row
from hyperadapters.errors import ConfigError
from hyperadapters.sites import Site


class LoRAWeights(NamedTuple):
    """The two factors of one site for `n` rows (or for one row that stands for all).

    Attributes:
        a: Down projection, shape ``(n, r, in_width)``, or ``(1, r, in_width)`` when all rows
            share it.
        b: Up projection, shape ``(n, out_width, r)``, or ``(1, out_width, r)``.
        gain: Factor on each of the r directions, shape ``(n, r)``; `None` is 1.
    """

    a: Float[Tensor, "n_a r in_width"]
    b: Float[Tensor, "n_b out_width r"]
    gain: Float[Tensor, "n_g r"] | None = None


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

    @property
    def size(self) -> int:
        """Number of directions: the rank."""
        return self.r

    def shapes(self, site: Site) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor at a site, in the order of `LoRAWeights`."""
        return {"a": (self.r, site.in_width), "b": (site.out_width, self.r)}

    def fan_in(self, site: Site) -> dict[str, int]:
        """Number of inputs that each tensor sums over."""
        return {"a": site.in_width, "b": self.r}

    def assemble(self, tensors: Sequence[Tensor], gain: Tensor | None = None) -> LoRAWeights:
        """The weights, from tensors in the order of `shapes`."""
        a, b = tensors
        return LoRAWeights(a, b, gain)

    def start(self, tensors: Sequence[Tensor], directions: Directions | None = None) -> None:
        """Fill one site's tensors (in place) so that they change nothing.

        Without `directions` as Hu et al.: A Kaiming-uniform, B zero. With them, every direction has
        either its part of B or its part of A at zero, so that both get a gradient at once.
        """
        a, b = tensors
        nn.init.kaiming_uniform_(a, a=math.sqrt(5))
        if directions is None:
            nn.init.zeros_(b)
            return
        nn.init.uniform_(b, -1 / math.sqrt(b.shape[0]), 1 / math.sqrt(b.shape[0]))
        a.data[directions.silent_in] = 0.0
        b.data[:, directions.silent_out] = 0.0

    def apply(
        self, x: Float[Tensor, "rows *positions in_width"], weights: LoRAWeights
    ) -> Float[Tensor, "rows *positions out_width"]:
        """The correction; see `apply_lora`."""
        return apply_lora(x, weights, self.scale)


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
    # Scaling the small factor costs r values a position instead of out_width.
    down = project(x, weights.a) * scale
    if weights.gain is not None:
        check_rows(x, weights.gain.shape[0])
        down = scale_per_row(down, weights.gain)
    return project(down, weights.b)
