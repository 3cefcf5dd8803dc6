"""Our hypernetwork: a learned adapter for the population plus a deviation for each condition."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters import LoRAWeights
from hyperadapters.hypernetworks.base import Hypernetwork
from hyperadapters.hypernetworks.learned import LearnedAdapter
from hyperadapters.sites import Site


class CentredHypernetwork(Hypernetwork):
    r"""Shared adapter + deviation; the vector zero gives the shared adapter exactly.

        u(z, s) = gelu(W_z z + W_s e_s + c) - gelu(W_s e_s + c)
        A(z, s) = A_s + γ · H_A u(z, s),      B(z, s) = B_s + γ · H_B u(z, s)

    The first layer is factored: the part of the condition is computed once and that of the site
    once, instead of once for every pair. `H_A` and `H_B` have no bias and exist once per distinct
    weight shape. Because u(0, s) = 0, whoever has no vector is answered for by the population.

    Args:
        sites: The sites, in their fixed order.
        r: LoRA rank.
        width: Width of the condition vectors.
        site_width: Width of the learned vector e_s of a site.
        hidden_width: Width of u.
        deviation_scale: γ; small values hold the deviation back.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        r: int,
        width: int,
        *,
        site_width: int = 64,
        hidden_width: int = 128,
        deviation_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.r = r
        self.deviation_scale = deviation_scale
        self.shapes = [(site.in_width, site.out_width) for site in sites]
        self.shared = LearnedAdapter(sites, r)
        self.site_vectors = nn.Parameter(torch.empty(len(sites), site_width))
        self.from_condition = nn.Linear(width, hidden_width, bias=False)
        self.from_site = nn.Linear(site_width, hidden_width)
        self.head_a = _heads((r * in_width for in_width, _ in self.shapes), hidden_width)
        self.head_b = _heads((r * out_width for _, out_width in self.shapes), hidden_width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again: shared adapter at no change, heads at the scale of one LoRA factor A."""
        self.shared.reset_parameters()
        nn.init.normal_(self.site_vectors)
        self.from_condition.reset_parameters()
        self.from_site.reset_parameters()
        for head in [*self.head_a.values(), *self.head_b.values()]:
            if isinstance(head, nn.Linear):
                # A factor A of LoRA has entries of about 1/√in_width; u has hidden_width entries.
                width = head.out_features // self.r
                nn.init.normal_(head.weight, std=1.0 / math.sqrt(width * head.in_features))

    def forward(self, z: Float[Tensor, "n width"]) -> list[LoRAWeights]:
        """Factors per site, leading axis n."""
        of_site = self.from_site(self.site_vectors)
        of_condition = self.from_condition(z)
        gelu = nn.functional.gelu
        # (n, sites, hidden): exactly zero where z is zero.
        hidden = gelu(of_condition.unsqueeze(1) + of_site) - gelu(of_site)
        hidden = hidden * self.deviation_scale
        a = _generate(self.head_a, hidden, [self.r * in_width for in_width, _ in self.shapes])
        b = _generate(self.head_b, hidden, [self.r * out_width for _, out_width in self.shapes])
        return [
            LoRAWeights(
                shared.a + a[i].view(-1, self.r, in_width),
                shared.b + b[i].view(-1, out_width, self.r),
            )
            for i, (shared, (in_width, out_width)) in enumerate(
                zip(self.shared(z), self.shapes, strict=True)
            )
        ]


def _heads(sizes: Iterable[int], hidden_width: int) -> nn.ModuleDict:
    """One linear head without bias per distinct number of values."""
    distinct = sorted(set(sizes))
    return nn.ModuleDict({str(n): nn.Linear(hidden_width, n, bias=False) for n in distinct})


def _generate(
    heads: nn.ModuleDict, hidden: Float[Tensor, "n sites hidden"], sizes: Sequence[int]
) -> list[Float[Tensor, "n values"]]:
    """The values of every site: one matrix product per distinct shape."""
    positions: defaultdict[int, list[int]] = defaultdict(list)
    for position, size in enumerate(sizes):
        positions[size].append(position)
    values: dict[int, Tensor] = {}
    for size, members in positions.items():
        generated = heads[str(size)](hidden[:, members])
        values.update(zip(members, generated.unbind(dim=1), strict=True))
    return [values[position] for position in range(len(sizes))]
