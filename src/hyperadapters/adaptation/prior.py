"""What is expected of somebody who has not said anything yet: a Gaussian around the population."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hyperadapters.adaptation.vectors import PersonalVectors
from hyperadapters.errors import RunError

FORMAT = "1"

PSEUDO_COUNT = 10.0
"""With how many annotators' weight the mean of all dimensions enters the variance of each."""

FLOOR = 0.01
"""No variance is smaller than this share of the mean of all dimensions."""

SMALLEST = 1e-6
"""No variance of a full covariance is smaller than this share of its largest."""

MIN_ANNOTATORS = 5
"""With fewer the run's own shrinkage says how far people are from the population."""


@dataclass(frozen=True)
class Prior:
    """N(mean, B diag(scale²) B^T), in double precision.

    In its units, u with z = mean + B (scale ⊙ u), somebody new is N(0, I).

    Attributes:
        mean: The population, shape ``(width,)``.
        scale: Standard deviation along each axis, shape ``(width,)``.
        basis: The axes as columns of an orthogonal B, shape ``(width, width)``; `None` where they
            are the dimensions themselves.
    """

    mean: Float[Tensor, " width"]
    scale: Float[Tensor, " width"]
    basis: Float[Tensor, "width width"] | None = None

    def vectors(self, u: Float[Tensor, "*n width"]) -> Float[Tensor, "*n width"]:
        """Vectors that are so many units from the population."""
        return self.mean + rotated(self.scale * u, self.basis)

    def through(self, jacobian: Float[Tensor, "*n width"]) -> Float[Tensor, "*n width"]:
        """Derivatives by z → derivatives by u."""
        return (jacobian if self.basis is None else jacobian @ self.basis) * self.scale

    def of_units(self, squares: Float[Tensor, "width width"]) -> Float[Tensor, "width width"]:
        """A matrix of products of units → the same of vectors around the mean."""
        root = self._root
        return root @ squares @ root.T

    @property
    def _root(self) -> Tensor:
        return torch.diag(self.scale) if self.basis is None else self.basis * self.scale

    @property
    def covariance(self) -> Float[Tensor, "width width"]:
        """The covariance of z."""
        return self._root @ self._root.T

    @property
    def precision_root(self) -> Float[Tensor, "width width"]:
        """R with R^T R the inverse of the covariance; R (z - mean) are the units of the prior."""
        if self.basis is None:
            return torch.diag(1 / self.scale)
        return self.basis.T / self.scale.unsqueeze(1)

    def save(self, path: Path) -> None:
        """Write all but the mean, which is the population of the network, as safetensors."""
        tensors = {"scale": self.scale.contiguous()}
        if self.basis is not None:
            tensors["basis"] = self.basis.contiguous()
        save_file(tensors, path, {"format": FORMAT})

    @classmethod
    def load(cls, path: Path, mean: Float[Tensor, " width"]) -> "Prior":
        """Inverse of `save`.

        Raises:
            RunError: The file is damaged, of a later version, or of vectors of another width.
        """
        try:
            with safe_open(path, "pt") as file:
                written = (file.metadata() or {}).get("format")
                if written != FORMAT:
                    raise RunError(f"{path} has format {written}, wanted {FORMAT}")
                scale = file.get_tensor("scale").double()
                basis = file.get_tensor("basis").double() if "basis" in file.keys() else None  # noqa: SIM118
        except (OSError, SafetensorError, KeyError) as error:
            raise RunError(f"{path} cannot be read: {error}") from error
        width = len(mean)
        if scale.shape != (width,) or (basis is not None and basis.shape != (width, width)):
            raise RunError(f"{path} is damaged: it is not of vectors of {width} numbers")
        return cls(mean.double(), scale, basis)

    @classmethod
    def full(
        cls, mean: Float[Tensor, " width"], covariance: Float[Tensor, "width width"]
    ) -> "Prior":
        """N(mean, covariance); variances below a millionth of the largest are raised to that."""
        variance, basis = torch.linalg.eigh(covariance.double())
        variance = variance.clamp(min=SMALLEST * float(variance[-1]))
        return cls(mean.double(), variance.sqrt(), basis)

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


def rotated(
    along: Float[Tensor, "*n width"], basis: Float[Tensor, "width width"] | None
) -> Float[Tensor, "*n width"]:
    """Coordinates along axes → coordinates along the dimensions."""
    return along if basis is None else along @ basis.T


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
