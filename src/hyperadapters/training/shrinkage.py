"""Pulling annotators towards the population, the less they have rated the more strongly.

A Gaussian prior on every annotator's vector adds λ |z_a|² per annotator to the summed loss. Spread
over the n_a training rows of that annotator it becomes λ |z_a|² / n_a a row, so that the mean over
a batch of rows has the same expectation:

    penalty = λ · mean over rows of |z_a(row)|² / n_a(row)

(λ = 1 / 2σ² makes it the maximum a posteriori estimate under N(0, σ² I).) Vectors of the values of
attributes have the same prior, with the number of rows that have the value in the place of n_a.
"""

import numpy as np
import torch
from torch import Tensor

from hyperadapters.encoders import AttributesEncoder, LookupEncoder
from hyperadapters.hypernetworks import AdapterNetwork


class Shrinkage:
    """The penalty for one training table.

    Args:
        network: The network whose vectors and stored biases are pulled towards zero.
        annotators: Index of the annotator of every training row, shape ``(rows,)``.
        weight: λ; 0 switches the penalty off.
        attributes: Indices of their attributes, shape ``(rows, n_attributes)``, where the network
            is told any.
    """

    def __init__(
        self,
        network: AdapterNetwork,
        annotators: np.ndarray,
        weight: float,
        attributes: np.ndarray | None = None,
    ) -> None:
        self._tables = [m for m in network.modules() if isinstance(m, LookupEncoder)]
        self._described = [m for m in network.modules() if isinstance(m, AttributesEncoder)]
        self._weight = weight
        self._share = _shares(annotators)
        self._shares = [] if attributes is None else [_shares(column) for column in attributes.T]

    def __call__(self, annotators: Tensor, attributes: Tensor | None = None) -> Tensor | float:
        """The penalty of a batch.

        Args:
            annotators: Index of the annotator of every row of the batch, shape ``(rows,)``.
            attributes: Indices of their attributes, shape ``(rows, n_attributes)``.
        """
        if not self._weight or not (self._tables or self._described):
            return 0.0
        penalty = torch.zeros(len(annotators), device=annotators.device)
        if self._tables:
            share = self._share.to(annotators.device)[annotators]
            for table in self._tables:
                penalty = penalty + share * table.rows(annotators).square().sum(dim=1)
        if attributes is not None:
            penalty = penalty + self._of_values(attributes)
        return self._weight * penalty.mean()

    def _of_values(self, attributes: Tensor) -> Tensor:
        penalty = torch.zeros(len(attributes), device=attributes.device)
        for encoder in self._described:
            norms = encoder.values(attributes).square().sum(dim=2)
            for share, column, norm in zip(self._shares, attributes.T, norms.T, strict=True):
                # A value that is missing has the vector zero, whatever its share.
                penalty = penalty + share.to(norm.device)[column] * norm
        return penalty


def _shares(indices: np.ndarray) -> Tensor:
    """1 / number of rows of each index."""
    counts = np.bincount(indices[indices >= 0], minlength=1)
    return torch.from_numpy(1.0 / np.maximum(counts, 1)).float()
