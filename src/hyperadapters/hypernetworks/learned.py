"""One learned adapter for everybody: the hypernetwork that ignores its condition."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters import Placement, SiteWeights, near_zero_
from hyperadapters.encoders import Start
from hyperadapters.hypernetworks.base import Hypernetwork


class LearnedAdapter(Hypernetwork):
    """An ordinary adapter that starts as no change.

    Args:
        placements: Sites and forms, in their fixed order.
        start: ``"lora"`` starts as Hu et al. 2021 do (B is zero), ``"near-zero"`` as Ivison &
            Peters 2022; otherwise every tensor gets a gradient at the first step, see
            `hyperadapters.adapters.Directions`.
        gains: Whether the directions have gains, some of which start at zero.
    """

    def __init__(
        self, placements: Sequence[Placement], start: Start = "zero-change", *, gains: bool = False
    ) -> None:
        super().__init__()
        self.placements = tuple(placements)
        self.start: Start = start
        self.gains = gains
        self.sites = nn.ModuleList(
            nn.ParameterDict({name: torch.empty(shape) for name, shape in place.shapes.items()})
            for place in placements
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from no change."""
        for place, tensors in zip(self.placements, self._tensors(), strict=True):
            start_(place, tensors, self.start, gains=self.gains)

    def forward(self, z: Float[Tensor, "n width"]) -> list[SiteWeights]:
        """The same weights for every condition, leading axis 1."""
        return [
            place.form.assemble([tensor.unsqueeze(0) for tensor in tensors])
            for place, tensors in zip(self.placements, self._tensors(), strict=True)
        ]

    def _tensors(self) -> list[list[Tensor]]:
        return [[*site.values()] for site in self.sites if isinstance(site, nn.ParameterDict)]


def start_(
    place: Placement, tensors: Sequence[Tensor], start: Start, *, gains: bool = False
) -> None:
    """Fill the tensors of one site (in place) as a start says, see `LearnedAdapter`."""
    if start == "near-zero":
        near_zero_(tensors)
    else:
        directions = place.directions(gains=gains) if start != "lora" else None
        place.form.start(tensors, directions)
