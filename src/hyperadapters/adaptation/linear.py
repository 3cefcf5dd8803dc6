"""Logits as linear functions of vectors, where the model is asked once for each row."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class LinearRows:
    """Logits of rows as linear functions of their annotators' vectors.

    Args:
        logits: At the vectors `around`, shape ``(rows, labels)``.
        jacobian: See `newton.Linearised`, shape ``(rows, free, width)``.
        around: The vector of each row, shape ``(rows, width)``.
    """

    def __init__(
        self,
        logits: Float[Tensor, "rows labels"],
        jacobian: Float[Tensor, "rows free width"],
        around: Float[Tensor, "rows width"],
    ) -> None:
        self._jacobian = jacobian
        self._logits = moved(logits, jacobian, -around)

    def __call__(
        self, rows: Int[np.ndarray, " n"], z: Float[Tensor, "n width"]
    ) -> tuple[Float[Tensor, "n labels"], Float[Tensor, "n free width"]]:
        """See `newton.Evaluate`."""
        some = torch.from_numpy(rows)
        jacobian = self._jacobian[some]
        return moved(self._logits[some], jacobian, z), jacobian


def moved(
    logits: Float[Tensor, "n labels"],
    jacobian: Float[Tensor, "n free width"],
    by: Float[Tensor, "n width"],
) -> Float[Tensor, "n labels"]:
    """Logits when the vectors are moved, those of the first label as they are."""
    further = (jacobian @ by.unsqueeze(2)).squeeze(2)
    return torch.cat([logits[:, :1], logits[:, 1:] + further], dim=1)
