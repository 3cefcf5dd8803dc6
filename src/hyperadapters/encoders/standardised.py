"""Bringing what an encoder reads to mean 0 and variance 1, by statistics that are fixed."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hyperadapters.encoders.base import ConditionEncoder

# A dimension that hardly varies is not blown up beyond this part of the typical deviation.
FLOOR = 0.1


class StandardisedEncoder(ConditionEncoder):
    """f((x - μ) / σ), where f is another encoder; μ and σ belong to the dimensions of x.

    Pooled states of a backbone are small, and what they have in common is larger than what tells
    one input from the other: a generator that reads them as they are learns a bias first and the
    input late, or never. μ and σ are buffers, set once from a sample (see `fit`) and saved with the
    weights; unlike a batch norm's they do not depend on the other rows. Until then μ = 0, σ = 1.

    Args:
        inner: f.
        in_width: Width of x.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, inner: ConditionEncoder, in_width: int) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("mean", torch.zeros(in_width))
        self.register_buffer("deviation", torch.ones(in_width))

    @property
    def width(self) -> int:
        """Width of what comes out."""
        return self.inner.width

    @torch.no_grad()
    def fit(self, values: Float[Tensor, "n in_width"]) -> None:
        """Take μ and σ from a sample; of fewer than two rows nothing is learned.

        Args:
            values: Vectors of the kind that will be read; rows that are not finite are left out.
        """
        sample = values[values.isfinite().all(dim=1)].double()
        if len(sample) < 2:
            return
        deviation = sample.std(dim=0)
        typical = deviation.square().mean().sqrt()
        if typical == 0:
            # All are the same: there is nothing to tell apart.
            typical = torch.ones_like(typical)
        self.mean.copy_(sample.mean(dim=0))
        self.deviation.copy_(deviation.clamp(min=float(FLOOR * typical)))

    def reset_parameters(self) -> None:
        """Start again, as after construction."""
        self.inner.reset_parameters()
        nn.init.zeros_(self.mean)
        nn.init.ones_(self.deviation)

    def forward(self, values: Float[Tensor, "n in_width"]) -> Float[Tensor, "n width"]:
        """Vectors → vectors."""
        return self.inner((values - self.mean.to(values)) / self.deviation.to(values))

    def population(self) -> Float[Tensor, "1 width"]:
        """The vector of nobody in particular."""
        return self.inner.population()

    def known(self, values: Float[Tensor, "n in_width"]) -> Bool[Tensor, " n"]:
        """Which rows are not missing."""
        return self.inner.known(values)
