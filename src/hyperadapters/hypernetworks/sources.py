"""A group of sites with the source of its weights."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hyperadapters.adapters import Directions, SiteWeights, Unwritten
from hyperadapters.conditions import Lookup
from hyperadapters.encoders import LookupEncoder
from hyperadapters.hypernetworks.base import Hypernetwork
from hyperadapters.hypernetworks.centred import CentredHypernetwork
from hyperadapters.hypernetworks.hyperdecoder import HyperdecoderHypernetwork
from hyperadapters.hypernetworks.learned import LearnedAdapter
from hyperadapters.hypernetworks.spec import GroupSpec, NetworkSpec
from hyperadapters.hypernetworks.stored import StoredAdapters
from hyperadapters.hypernetworks.two_tower import TwoTowerHypernetwork


class GroupSource(nn.Module):
    """Writes, looks up or holds the weights of one group.

    Args:
        spec: The network.
        group: The group.
        width: Width of the condition vectors.
        live: Dimensions of them that are zero at the start.
    """

    def __init__(
        self, spec: NetworkSpec, group: GroupSpec, width: int, live: Bool[Tensor, " width"]
    ) -> None:
        super().__init__()
        self.group = group
        self.lookup: str | None = None
        size = 0
        if group.source == "per-condition" or group.gains:
            self.lookup = spec.lookup_of(group)
            condition = spec.conditions[self.lookup]
            size = condition.size if isinstance(condition, Lookup) else 0
        self.source = _build_source(spec, group, size, width, live)
        # Of each rank (or width) in the group its own.
        sizes = sorted({place.form.size for place in group.placements}) if group.gains else []
        self.gains = nn.ModuleDict({str(n): DirectionGains(n, size, spec) for n in sizes})

    @property
    def adapts(self) -> bool:
        """Whether its weights depend on the condition at the moment."""
        if isinstance(self.source, CentredHypernetwork):
            return self.source.deviates or len(self.gains) > 0
        return self.group.adapts

    def forward(
        self, z: Float[Tensor, "n width"], values: Mapping[str, Tensor]
    ) -> list[SiteWeights | Unwritten]:
        """Weights per site, leading axis n, or 1 where they do not depend on the condition.

        Args:
            z: Condition vectors.
            values: Name → indices (or whatever the condition is) of the same n conditions.
        """
        if isinstance(self.source, StoredAdapters):
            weights = self.source(values[self.lookup or ""])
        else:
            weights = self.source(z)
        gains = {n: of_size(values[self.lookup or ""]) for n, of_size in self.gains.items()}
        if gains:
            sizes = [str(place.form.size) for place in self.group.placements]
            pairs = zip(weights, sizes, strict=True)
            weights = [_with_gain(of_site, gains[size]) for of_site, size in pairs]
        return list(weights)


def _with_gain(weights: SiteWeights | Unwritten, gain: Tensor) -> SiteWeights | Unwritten:
    if isinstance(weights, Unwritten):
        return Unwritten(lambda: weights.write()._replace(gain=gain))
    return weights._replace(gain=gain)


class DirectionGains(nn.Module):
    """A learned factor on each direction of a group's adapters, of its own for each condition.

    The factor of a condition is that of the population plus a stored deviation. The population's
    starts at 1, or at 0 in the directions whose start leaves that to the gain.

    Args:
        n_directions: Number of directions: the rank, or the number of units.
        size: Number of conditions.
        spec: The network.
    """

    def __init__(self, n_directions: int, size: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.start = spec.start
        self.shared = nn.Parameter(torch.empty(1, n_directions))
        self.deviation = LookupEncoder(size, self.shared.shape[1], start="lora", name="gains")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again."""
        nn.init.ones_(self.shared)
        if self.start != "lora":
            silent = Directions.of(self.shared.shape[1], gains=True).silent_gain
            self.shared.data[:, silent] = 0.0
        self.deviation.reset_parameters()

    def forward(self, index: Tensor) -> Float[Tensor, "n size"]:
        """Factors of these conditions."""
        return self.shared + self.deviation(index)


def _build_source(
    spec: NetworkSpec, group: GroupSpec, size: int, width: int, live: Tensor
) -> Hypernetwork | StoredAdapters:
    placements = group.placements
    if group.source == "learned":
        return LearnedAdapter(placements, spec.start, gains=group.gains)
    if group.source == "per-condition":
        return StoredAdapters(size, placements, spec.start, gains=group.gains)
    if spec.hypernetwork == "two-tower":
        return TwoTowerHypernetwork(
            placements,
            width,
            site_width=spec.site_width,
            hidden_width=spec.hidden_width,
            dropout=spec.hypernetwork_dropout,
        )
    if spec.hypernetwork == "hyperdecoder":
        return HyperdecoderHypernetwork(
            placements, width, site_width=spec.site_width, hidden_width=spec.hidden_width
        )
    return CentredHypernetwork(
        placements,
        width,
        site_width=spec.site_width,
        hidden_width=spec.hidden_width,
        kind=spec.head_kind,
        n_basis=spec.n_basis,
        chunk_width=spec.chunk_width,
        deviation_scale=spec.deviation_scale,
        generate_a=spec.generate_a,
        start=spec.start,
        # Shift and bias move the vectors, and vectors that have moved give the heads a gradient.
        zero_heads=spec.shift or spec.bias_source == "generated",
        deviating=group.deviating,
        gains=group.gains,
        live=live,
        recomputed=spec.recompute_weights,
    )
