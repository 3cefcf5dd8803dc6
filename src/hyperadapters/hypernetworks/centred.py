"""Our hypernetwork: a learned adapter for the population plus a deviation for each condition."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

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

    While `deviates` is false only the shared adapter is used: a first stage of training can settle
    what all have in common, at the price of a single adapter. With zero heads the deviation then
    starts at zero, and "no deviation" stays within reach.

    Args:
        sites: The sites, in their fixed order.
        r: LoRA rank.
        width: Width of the condition vectors.
        site_width: Width of the learned vector e_s of a site.
        hidden_width: Width of u.
        deviation_scale: γ; small values hold the deviation back.
        generate_a: Whether A deviates too, or B alone.
        zero_heads: Whether `H_A` and `H_B` start at zero. They must not where nothing else moves
            the condition vectors, for then neither would ever get a gradient.
        deviating: For every site whether it deviates; all do by default. The others have the
            shared adapter, and what lies below the first deviating site is the same for everyone.

    Attributes:
        deviates: Whether the deviation is applied.
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
        generate_a: bool = True,
        zero_heads: bool = False,
        deviating: Sequence[bool] | None = None,
    ) -> None:
        super().__init__()
        self.deviates = True
        self.zero_heads = zero_heads
        self.r = r
        self.deviation_scale = deviation_scale
        kept = [True] * len(sites) if deviating is None else list(deviating)
        self.deviating_sites = [position for position, deviates in enumerate(kept) if deviates]
        self.shared = LearnedAdapter(sites, r)
        self.sizes_a = [r * sites[i].in_width for i in self.deviating_sites] if generate_a else []
        self.sizes_b = [r * sites[i].out_width for i in self.deviating_sites]
        self.site_vectors = nn.Parameter(torch.empty(len(self.deviating_sites), site_width))
        self.from_condition = nn.Linear(width, hidden_width, bias=False)
        self.from_site = nn.Linear(site_width, hidden_width)
        self.head_a = _heads(self.sizes_a, hidden_width)
        self.head_b = _heads(self.sizes_b, hidden_width)
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
                std = math.sqrt(self.r / (head.out_features * head.in_features))
                nn.init.normal_(head.weight, std=0.0 if self.zero_heads else std)

    @contextmanager
    def deviating(self, deviates: bool) -> Iterator[None]:
        """In this block the deviation is applied, or is not."""
        before, self.deviates = self.deviates, deviates
        try:
            yield
        finally:
            self.deviates = before

    def forward(self, z: Float[Tensor, "n width"]) -> list[LoRAWeights]:
        """Factors per site, leading axis n (1 for what does not deviate)."""
        weights = self.shared(z)
        if not self.deviates:
            return weights
        hidden = self._hidden(z)
        a = _generate(self.head_a, hidden, self.sizes_a)
        b = _generate(self.head_b, hidden, self.sizes_b)
        for i, site in enumerate(self.deviating_sites):
            shared = weights[site]
            weights[site] = LoRAWeights(
                shared.a + a[i].view(-1, *shared.a.shape[1:]) if a else shared.a,
                shared.b + b[i].view(-1, *shared.b.shape[1:]),
            )
        return weights

    def _hidden(self, z: Float[Tensor, "n width"]) -> Float[Tensor, "n sites hidden"]:
        of_site = self.from_site(self.site_vectors)
        of_condition = self.from_condition(z)
        gelu = nn.functional.gelu
        # Exactly zero where z is zero.
        hidden = gelu(of_condition.unsqueeze(1) + of_site) - gelu(of_site)
        return hidden * self.deviation_scale


def _heads(sizes: Iterable[int], hidden_width: int) -> nn.ModuleDict:
    """One linear head without bias per distinct number of values."""
    distinct = sorted(set(sizes))
    return nn.ModuleDict({str(n): nn.Linear(hidden_width, n, bias=False) for n in distinct})


def _generate(
    heads: nn.ModuleDict, hidden: Float[Tensor, "n sites hidden"], sizes: Sequence[int]
) -> list[Float[Tensor, "n values"]]:
    """The values of every site, one matrix product per distinct shape."""
    positions: defaultdict[int, list[int]] = defaultdict(list)
    for position, size in enumerate(sizes):
        positions[size].append(position)
    values: dict[int, Tensor] = {}
    for size, members in positions.items():
        generated = heads[str(size)](hidden[:, members])
        values.update(zip(members, generated.unbind(dim=1), strict=True))
    return [values[position] for position in range(len(sizes))]
