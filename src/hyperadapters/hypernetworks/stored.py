"""One stored adapter for each condition: the hypernetwork that looks its answer up."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hyperadapters.adapters import Placement, SiteWeights
from hyperadapters.conditions import POPULATION
from hyperadapters.encoders import Start
from hyperadapters.encoders.rows import all_known, look_up
from hyperadapters.hypernetworks.learned import start_


class StoredAdapters(nn.Module):
    """As many adapters as there are conditions; nothing is shared between them.

    All start alike, so that their average, which answers for nobody in particular (index -1), is
    no change at the start either. It is an average of factors, not of corrections.

    Args:
        size: Number of conditions.
        placements: Sites and forms, in their fixed order.
        start: As in `LearnedAdapter`.
        gains: As in `LearnedAdapter`.

    Attributes:
        sparse_gradient: Whether rows that are read give a sparse gradient, see `encoders.rows`.
    """

    def __init__(
        self,
        size: int,
        placements: Sequence[Placement],
        start: Start = "zero-change",
        *,
        gains: bool = False,
    ) -> None:
        super().__init__()
        self.placements = tuple(placements)
        self.start: Start = start
        self.gains = gains
        self.sparse_gradient = False
        self.sites = nn.ModuleList(
            nn.ParameterDict({n: torch.empty(size, *shape) for n, shape in place.shapes.items()})
            for place in placements
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from no change."""
        for place, stored in zip(self.placements, self._tensors(), strict=True):
            first = [tensor[0].detach().clone() for tensor in stored]
            start_(place, first, self.start, gains=self.gains)
            for tensor, value in zip(stored, first, strict=True):
                tensor.data.copy_(value.unsqueeze(0).expand_as(tensor))

    def forward(self, index: Int[Tensor, " n"] | Float[Tensor, "n size"]) -> list[SiteWeights]:
        """Weights of these conditions (indices, or mixtures of all), leading axis n."""
        # The mean of all is as much work as the tables are long.
        nobody = None if index.is_floating_point() or all_known(index) else index == POPULATION
        return [
            place.form.assemble([self._rows(tensor, index, nobody) for tensor in stored])
            for place, stored in zip(self.placements, self._tensors(), strict=True)
        ]

    def tables(self) -> list[nn.Parameter]:
        """Every tensor of every site."""
        return [*self.sites.parameters()]

    def _rows(self, stored: Tensor, index: Tensor, nobody: Tensor | None) -> Tensor:
        if index.is_floating_point():
            return torch.tensordot(index.to(stored.dtype), stored, dims=1)
        values = look_up(stored, index, sparse=self.sparse_gradient)
        if nobody is None:
            return values
        nobody = nobody.reshape(-1, *[1] * (stored.ndim - 1))
        return torch.where(nobody, stored.mean(dim=0, keepdim=True), values)

    def _tensors(self) -> list[list[Tensor]]:
        return [[*site.values()] for site in self.sites if isinstance(site, nn.ParameterDict)]
