"""What is minimised in training, and what decides when to stop."""

import numpy as np
import torch
from jaxtyping import Float, Int

from hyperadapters.methods import Examples

LEAST = 1e-12
"""No probability counts as less, so that a certain mistake costs something finite."""


def dev_nll(probabilities: Float[np.ndarray, "rows labels"], dev: Examples, by: str) -> float:
    """Mean negative log-likelihood (natural logarithm) of the rows that have a label.

    Args:
        probabilities: What was predicted.
        dev: The rows.
        by: ``"rows"``, the mean over rows, or ``"annotators"``, the mean over annotators of the
            mean over their rows, so that people with few ratings count as much as others; rows by
            people who are not in training count as those of one.
    """
    labelled = dev.labels >= 0
    chosen = probabilities[labelled, dev.labels[labelled]]
    losses = -np.log(np.maximum(chosen, LEAST))
    if by == "rows":
        return float(losses.mean())
    _, people = np.unique(dev.annotators[labelled], return_inverse=True)
    return float((np.bincount(people, losses) / np.bincount(people)).mean())


def label_weights(
    labels: Int[np.ndarray, " rows"], n_labels: int, balance: float
) -> Float[torch.Tensor, " labels"] | None:
    """Weights of labels in the loss, (1 / frequency) to the power of `balance`, mean 1 over rows.

    Args:
        labels: The labels of the training rows.
        n_labels: How many labels there are.
        balance: 0 gives no weights (all rows count alike), 1 lets all labels count alike.
    """
    if not balance:
        return None
    counts = np.bincount(labels, minlength=n_labels)
    weights = np.maximum(counts, 1) ** -float(balance)
    return torch.from_numpy(weights / weights[labels].mean()).float()
