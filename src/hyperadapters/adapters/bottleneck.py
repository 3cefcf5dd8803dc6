"""The parallel bottleneck adapter, with weights of its own for every row of the batch.

    y + scale · (U act(D x + d) + u)

It reads what a sub-layer reads and is added to what the sub-layer writes: the parallel adapter of
He et al. 2022, https://arxiv.org/abs/2110.04366, which Ivison & Peters 2022
(https://arxiv.org/abs/2203.08304) generate.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters.directions import Directions
from hyperadapters.adapters.rows import add_per_row, check_rows, project, scale_per_row
from hyperadapters.errors import ConfigError
from hyperadapters.sites import Site

Activation = Literal["gelu", "relu", "silu", "tanh"]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": nn.functional.gelu,
    "relu": nn.functional.relu,
    "silu": nn.functional.silu,
    "tanh": lambda x: x.tanh(),
}


class BottleneckWeights(NamedTuple):
    """The tensors of one site for `n` rows (or for one row that stands for all).

    Attributes:
        down: D, shape ``(n, width, in_width)``.
        down_bias: d, shape ``(n, width)``.
        up: U, shape ``(n, out_width, width)``.
        up_bias: u, shape ``(n, out_width)``.
        gain: Factor on each of the units, shape ``(n, width)``; `None` is 1.
    """

    down: Float[Tensor, "n_d width in_width"]
    down_bias: Float[Tensor, "n_e width"]
    up: Float[Tensor, "n_u out_width width"]
    up_bias: Float[Tensor, "n_v out_width"]
    gain: Float[Tensor, "n_g width"] | None = None


@dataclass(frozen=True)
class Bottleneck:
    """Width and activation of a parallel bottleneck.

    Attributes:
        width: Number of units.
        activation: ``"gelu"``, ``"relu"``, ``"silu"`` or ``"tanh"``.
        scale: Factor on what is added.
    """

    width: int
    activation: Activation = "gelu"
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"the bottleneck's width must be at least 1, got {self.width}")
        if self.activation not in _ACTIVATIONS:
            raise ConfigError(
                f"activation must be one of {', '.join(get_args(Activation))}, "
                f"got {self.activation!r}"
            )
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ConfigError(f"the bottleneck's scale must be positive, got {self.scale}")

    @property
    def size(self) -> int:
        """Number of directions: the units."""
        return self.width

    def shapes(self, site: Site) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor at a site, in the order of `BottleneckWeights`."""
        return {
            "down": (self.width, site.in_width),
            "down_bias": (self.width,),
            "up": (site.out_width, self.width),
            "up_bias": (site.out_width,),
        }

    def fan_in(self, site: Site) -> dict[str, int]:
        """Number of inputs that each tensor sums over (1 for a bias)."""
        return {"down": site.in_width, "down_bias": 1, "up": self.width, "up_bias": 1}

    def assemble(self, tensors: Sequence[Tensor], gain: Tensor | None = None) -> BottleneckWeights:
        """The weights, from tensors in the order of `shapes`."""
        down, down_bias, up, up_bias = tensors
        return BottleneckWeights(down, down_bias, up, up_bias, gain)

    def start(self, tensors: Sequence[Tensor], directions: Directions | None = None) -> None:
        """Fill one site's tensors (in place) so that they change nothing.

        Without `directions` U is zero. With them, every unit has either its part of U or its part
        of D at zero; as act(0) = 0 and act'(0) ≠ 0, all tensors get a gradient at once (not with
        ``"relu"``, whose derivative PyTorch takes to be 0 there: its D starts one step later).
        """
        down, down_bias, up, up_bias = tensors
        nn.init.kaiming_uniform_(down, a=math.sqrt(5))
        nn.init.zeros_(down_bias)
        nn.init.zeros_(up_bias)
        if directions is None:
            nn.init.zeros_(up)
            return
        nn.init.uniform_(up, -1 / math.sqrt(up.shape[0]), 1 / math.sqrt(up.shape[0]))
        if self.activation == "relu":
            # Not where the gain is zero: with both, neither would ever get a gradient.
            up.data[:, : directions.silent_gain.start] = 0.0
            return
        down.data[directions.silent_in] = 0.0
        up.data[:, directions.silent_out] = 0.0

    def apply(
        self, x: Float[Tensor, "rows *positions in_width"], weights: BottleneckWeights
    ) -> Float[Tensor, "rows *positions out_width"]:
        """What is added, row i with the i-th set of tensors.

        Args:
            x: Input of the sub-layer, shape ``(rows, ..., in_width)``.
            weights: Tensors for n rows; with n = 1 they serve all rows. When `x` has k·n rows, k
                neighbouring rows share a set.

        Raises:
            AdapterShapeError: The number of rows is not a multiple of n.
        """
        units = _ACTIVATIONS[self.activation](
            add_per_row(project(x, weights.down), weights.down_bias)
        )
        if weights.gain is not None:
            check_rows(x, weights.gain.shape[0])
            units = scale_per_row(units, weights.gain)
        return add_per_row(project(units, weights.up), weights.up_bias) * self.scale
