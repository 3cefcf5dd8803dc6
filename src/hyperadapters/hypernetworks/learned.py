"""One learned adapter for everybody: the hypernetwork that ignores its condition."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters import LoRAWeights
from hyperadapters.hypernetworks.base import Hypernetwork
from hyperadapters.sites import Site


class LearnedAdapter(Hypernetwork):
    """An ordinary LoRA: A Kaiming-uniform, B zero, so that it starts as no change (Hu et al. 2021).

    Args:
        sites: The sites, in their fixed order.
        r: LoRA rank.
    """

    def __init__(self, sites: Sequence[Site], r: int) -> None:
        super().__init__()
        self.a = nn.ParameterList([torch.empty(r, site.in_width) for site in sites])
        self.b = nn.ParameterList([torch.empty(site.out_width, r) for site in sites])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from no change."""
        for a in self.a:
            nn.init.kaiming_uniform_(a, a=math.sqrt(5))
        for b in self.b:
            nn.init.zeros_(b)

    def forward(self, z: Float[Tensor, "n width"]) -> list[LoRAWeights]:
        """The same factors for every condition, leading axis 1."""
        return [
            LoRAWeights(a.unsqueeze(0), b.unsqueeze(0)) for a, b in zip(self.a, self.b, strict=True)
        ]
