"""Pulling annotators towards the population, the less they have rated the more strongly.

A Gaussian prior on every annotator's vector adds λ |z_a|² per annotator to the summed loss. Spread
over the n_a training rows of that annotator it becomes λ |z_a|² / n_a a row, so that the mean over
a batch of rows has the same expectation:

    penalty = λ · mean over rows of |z_a(row)|² / n_a(row)

(λ = 1 / 2σ² makes it the maximum a posteriori estimate under N(0, σ² I).)
"""

import numpy as np
import torch
from torch import Tensor

from hyperadapters.encoders import LookupEncoder
from hyperadapters.hypernetworks import AdapterNetwork


class Shrinkage:
    """The penalty for one training table.

    Args:
        network: The network whose vectors and stored biases are pulled towards zero.
        annotators: Index of the annotator of every training row, shape ``(rows,)``.
        weight: λ; 0 switches the penalty off.
    """

    def __init__(self, network: AdapterNetwork, annotators: np.ndarray, weight: float) -> None:
        self._tables = [m for m in network.modules() if isinstance(m, LookupEncoder)]
        self._weight = weight
        counts = np.bincount(annotators[annotators >= 0], minlength=1)
        self._share = torch.from_numpy(1.0 / np.maximum(counts, 1)).float()

    def __call__(self, annotators: Tensor) -> Tensor | float:
        """The penalty of a batch.

        Args:
            annotators: Index of the annotator of every row of the batch, shape ``(rows,)``.
        """
        if not self._weight or not self._tables:
            return 0.0
        self._share = self._share.to(annotators.device)
        share = self._share[annotators]
        norms = [table.rows(annotators).square().sum(dim=1) for table in self._tables]
        return self._weight * (share * torch.stack(norms).sum(dim=0)).mean()
