"""What is expected of somebody who has not said anything yet: a Gaussian around the population."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hyperadapters.adaptation.vectors import PersonalVectors

PSEUDO_COUNT = 10.0
"""With how many annotators' weight the mean of all dimensions enters the variance of each."""

FLOOR = 0.01
"""No variance is smaller than this share of the mean of all dimensions."""

MIN_ANNOTATORS = 5
"""With fewer the run's own shrinkage says how far people are from the population."""


@dataclass(frozen=True)
class Prior:
    """N(mean, diag(scale²)), in double precision.

    Attributes:
        mean: The population, shape ``(width,)``.
        scale: Standard deviation of each dimension, shape ``(width,)``.
    """

    mean: Float[Tensor, " width"]
    scale: Float[Tensor, " width"]

    @classmethod
    def of(
        cls,
        vectors: Float[Tensor, "annotators width"],
        population: Float[Tensor, " width"],
        shrinkage: float = 0.0,
    ) -> "Prior":
        r"""The prior that the vectors of training give.

        Its mean is the vector that strangers are answered with, so that somebody without any label
        is answered like a stranger, exactly. Its variances are the mean squares v_d of the n
        trained vectors around that, each drawn towards the mean v of all dimensions:

            σ_d² = max((n v_d + 10 v) / (n + 10), v / 100)

        Where there are hardly any trained vectors, or all are the population's, it is the prior of
        training (see `training.shrinkage`), σ² = 1 / 2λ; or 1 where training had none.

        Args:
            vectors: Vectors of the annotators of training.
            population: The vector of nobody in particular.
            shrinkage: λ.
        """
        mean = population.double()
        squares = (vectors.double() - mean).square()
        n = len(vectors)
        common = float(squares.mean()) if n else 0.0
        if n < MIN_ANNOTATORS or common <= 0.0:
            variance = torch.full_like(mean, 1 / (2 * shrinkage) if shrinkage > 0 else 1.0)
        else:
            variance = (n * squares.mean(dim=0) + PSEUDO_COUNT * common) / (n + PSEUDO_COUNT)
            variance = variance.clamp(min=FLOOR * common)
        return cls(mean, variance.sqrt())


def prior_of(vectors: PersonalVectors, trained: Tensor, shrinkage: float) -> Prior:
    """The prior of a network: that of each of its tables, side by side.

    Args:
        vectors: The tables.
        trained: Indices of the annotators of training.
        shrinkage: λ of training.
    """
    parts = [
        Prior.of(table.vectors.detach()[trained], table.population().detach()[0], shrinkage)
        for table in vectors.tables.values()
    ]
    return Prior(torch.cat([p.mean for p in parts]), torch.cat([p.scale for p in parts]))
