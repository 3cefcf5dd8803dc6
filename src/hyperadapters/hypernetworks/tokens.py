"""The condition as a token of the input (the user token)."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.encoders import LookupEncoder


class StoredTokens(nn.Module):
    """An embedding for each condition, which the backbone reads as that of one more word.

    The user token of Sarumi et al. 2024 (https://arxiv.org/abs/2404.02340). The embedding is
    that of the population plus what is stored of the condition, zero at the start. So nobody in
    particular (index -1) gets the population's, which is trained by all rows, and by itself on the
    rows whose condition is dropped.

    Args:
        sizes: Name of a condition → how many of it there are.
        width: Width of the backbone's embeddings of words.
        dropout: Probability in training that a condition gets the population's embedding.
    """

    def __init__(self, sizes: Mapping[str, int], width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.population = nn.Parameter(torch.zeros(width))
        self.deviations = nn.ModuleDict(
            {
                name: LookupEncoder(size, width, start="lora", name=name)
                for name, size in sizes.items()
            }
        )

    def forward(self, values: Mapping[str, Tensor]) -> Float[Tensor, "n width"]:
        """The embeddings of n conditions.

        Args:
            values: Name → indices, -1 for the population; or mixtures.
        """
        deviation = torch.stack([of(values[n]) for n, of in self.deviations.items()]).sum(dim=0)
        if self.training and self.dropout:
            kept = torch.rand(len(deviation), 1, device=deviation.device) >= self.dropout
            deviation = deviation * kept
        return self.population + deviation
