"""The two main components of vectors, and what chance alone would show."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Vectors = Float[np.ndarray, "people width"]

DRAWS = 200
"""Times that people are shuffled."""


@dataclass(frozen=True)
class Components:
    """Where people lie on the two main axes of their vectors.

    Attributes:
        places: One row for each person; the second column is 0 where vectors have one number.
        share: Share of the variance that lies on these axes, from 0 to 1.
    """

    places: Float[np.ndarray, "people 2"]
    share: float


def components_of(vectors: Vectors) -> Components:
    """Principal components, by singular values of the centred vectors.

    Signs are fixed so that the largest entry of each axis is positive.
    """
    centred = vectors - vectors.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.where(axes[np.arange(len(axes)), largest] < 0, -1, 1)[:, None]
    places = np.zeros((len(vectors), 2))
    places[:, : len(axes)] = centred @ axes.T
    total = float((sizes**2).sum())
    return Components(places, float((sizes[:2] ** 2).sum()) / total if total else float("nan"))


def shuffled(vectors: Vectors, rng: np.random.Generator) -> Vectors:
    """Every column in an order of its own: the same numbers, but nobody's any more."""
    return rng.permuted(vectors, axis=0)


def shuffled_share(vectors: Vectors, seed: int = 0, draws: int = 20) -> float:
    """The 95th percentile of the share of variance that two axes of shuffled vectors have."""
    rng = np.random.default_rng(seed)
    shares = [components_of(shuffled(vectors, rng)).share for _ in range(draws)]
    return float(np.percentile(shares, 95))


def explained(places: Float[np.ndarray, "people 2"], amount: Float[np.ndarray, " people"]) -> float:
    """Share of the variance of an amount that a plane over the places explains (R²)."""
    centred = amount - amount.mean()
    total = float(centred @ centred)
    if total == 0:
        return float("nan")
    design = np.column_stack([np.ones(len(places)), places])
    weights, *_ = np.linalg.lstsq(design, amount, rcond=None)
    rest = amount - design @ weights
    return 1 - float(rest @ rest) / total


def explained_by_chance(
    places: Float[np.ndarray, "people 2"], amount: Float[np.ndarray, " people"], seed: int = 0
) -> float:
    """The 95th percentile of `explained` where amounts are shuffled between people."""
    rng = np.random.default_rng(seed)
    draws = [explained(places, rng.permutation(amount)) for _ in range(DRAWS)]
    return float(np.percentile(draws, 95))
