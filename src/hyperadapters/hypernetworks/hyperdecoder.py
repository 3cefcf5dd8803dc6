"""The published generator of hyperdecoders: (vector, layer) → all tensors of a parallel adapter."""

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters import Placement, SiteWeights
from hyperadapters.hypernetworks.base import Hypernetwork
from hyperadapters.hypernetworks.heads import Target, targets_of

SHRINK = 1e-3


class HyperdecoderHypernetwork(Hypernetwork):
    r"""W(z, s) = H u + c with u = relu(W₁ [z; e_s] + b₁), one H and c for each weight shape.

    Ivison & Peters 2022, https://arxiv.org/abs/2203.08304; start and sizes from their released
    code: site vectors at N(0, 1), W₁ as PyTorch starts it, H uniform with variance
    ``SHRINK² / (hidden_width · fan-in)`` (hyperfan-in of Chang et al. 2020 times `SHRINK`), c zero.
    The first layer is computed once for the vectors and once for the sites.

    Args:
        placements: Sites and forms, in their fixed order.
        width: Width of the vectors.
        site_width: Width of the learned vector e_s of a site.
        hidden_width: Number of hidden units.
    """

    def __init__(
        self,
        placements: Sequence[Placement],
        width: int,
        *,
        site_width: int = 10,
        hidden_width: int = 128,
    ) -> None:
        super().__init__()
        self.placements = tuple(placements)
        self._width = width
        self.site_vectors = nn.Parameter(torch.empty(len(placements), site_width))
        self.first = nn.Linear(width + site_width, hidden_width)
        self._members: defaultdict[str, list[Target]] = defaultdict(list)
        for target in targets_of(placements, None):
            self._members[target.key].append(target)
        self.maps = nn.ModuleDict(
            {
                key: nn.Linear(hidden_width, math.prod(members[0].shape))
                for key, members in self._members.items()
            }
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again as published."""
        nn.init.normal_(self.site_vectors)
        self.first.reset_parameters()
        for key, members in self._members.items():
            linear = self._map(key)
            bound = SHRINK * math.sqrt(3 / (linear.in_features * members[0].fan_in))
            nn.init.uniform_(linear.weight, -bound, bound)
            nn.init.zeros_(linear.bias)

    def forward(self, z: Float[Tensor, "n width"]) -> list[SiteWeights]:
        """Weights per site, leading axis n."""
        of_vector, of_site = self.first.weight.split(
            [self._width, self.site_vectors.shape[1]], dim=1
        )
        z = z.to(of_vector.dtype)
        of_sites = nn.functional.linear(self.site_vectors, of_site, self.first.bias)
        hidden = (nn.functional.linear(z, of_vector).unsqueeze(1) + of_sites).relu()
        tensors: list[dict[str, Tensor]] = [{} for _ in self.placements]
        for key, members in self._members.items():
            generated = self._map(key)(hidden[:, [target.site for target in members]])
            for target, value in zip(members, generated.unbind(dim=1), strict=True):
                tensors[target.site][target.name] = value.view(-1, *target.shape)
        return [
            place.form.assemble([of_place[name] for name in place.shapes])
            for place, of_place in zip(self.placements, tensors, strict=True)
        ]

    def _map(self, key: str) -> nn.Linear:
        linear = self.maps[key]
        assert isinstance(linear, nn.Linear)  # noqa: S101 - for the type checker
        return linear
