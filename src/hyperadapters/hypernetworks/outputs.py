"""An output layer of the classification head for each condition (multi-task learning)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hyperadapters.encoders import LookupEncoder
from hyperadapters.encoders.rows import all_known


class StoredOutputs(nn.Module):
    """Weight and bias of every condition's output layer, less those of the head itself.

    The heads of Davani et al. 2022 (https://arxiv.org/abs/2110.05719): each is trained by the
    ratings of its own annotator, and all read the same features. They start alike, as the head
    does. If the output layer of the head is not trained, they have nothing else in common.

    Nobody in particular (index -1) gets the mean of all layers. Its logits are the mean of theirs,
    so that they cost what those of one annotator do, however many there are, and can be exported.

    Args:
        size: Number of conditions.
        in_width: Width of what the layer reads.
        n_labels: Number of logits.
    """

    def __init__(self, size: int, in_width: int, n_labels: int) -> None:
        super().__init__()
        self.shape = n_labels, in_width
        self.weight = LookupEncoder(size, n_labels * in_width, start="lora", name="weight")
        self.bias = LookupEncoder(size, n_labels, start="lora", name="bias")

    def forward(
        self, values: Int[Tensor, " n"] | Float[Tensor, "n size"]
    ) -> tuple[Float[Tensor, "n n_labels in_width"], Float[Tensor, "n n_labels"]]:
        """What is added to weight and bias of the layer.

        Args:
            values: Indices, -1 for the population; or mixtures, one weight for each condition.
        """
        weight, bias = (_rows(table, values) for table in (self.weight, self.bias))
        return weight.reshape(-1, *self.shape), bias


def _rows(table: LookupEncoder, values: Tensor) -> Float[Tensor, "n width"]:
    rows = table(values)
    # The mean of all is as much work as the table is long.
    if values.is_floating_point() or all_known(values):
        return rows
    mean = table.vectors.mean(dim=0, keepdim=True)
    return torch.where(table.known(values).unsqueeze(1), rows, mean)
