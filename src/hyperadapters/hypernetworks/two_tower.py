"""The published hypernetwork: two separate MLPs on (annotator vector, module vector)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters import LoRA, LoRAWeights, Placement, SiteWeights
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks.base import Hypernetwork


class TwoTowerHypernetwork(Hypernetwork):
    """A(z, s) = MLP_A([z; e_s]), B(z, s) = MLP_B([z; e_s]), as in Ignatev et al. 2025.

    Each MLP is Linear → GELU → Dropout → Linear. The last layer of MLP_A starts at N(0, 1e-3), that
    of MLP_B (weight and bias) at zero, so the generated LoRA starts as no change. Ignatev, Paperno
    and Poesio 2025, https://arxiv.org/abs/2510.13259; sizes from the authors' released code.

    Args:
        placements: Sites and LoRA forms, in their fixed order; all must have the same widths and
            rank.
        width: Width of the condition vectors.
        site_width: Width of the learned vector of a site.
        hidden_width: Width of the hidden layers.
        dropout: Dropout after the GELU.
    """

    def __init__(
        self,
        placements: Sequence[Placement],
        width: int,
        *,
        site_width: int = 768,
        hidden_width: int = 768,
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        shapes = {(p.site.in_width, p.site.out_width, p.form.size) for p in placements}
        if len(shapes) != 1 or not all(isinstance(p.form, LoRA) for p in placements):
            raise ConfigError(
                "the published hypernetwork writes LoRA weights for sites of one shape, got "
                + ", ".join(
                    sorted(f"{p.site.in_width}→{p.site.out_width} {p.form}" for p in placements)
                )
            )
        self.in_width, self.out_width, self.r = shapes.pop()
        self.site_vectors = nn.Parameter(torch.empty(len(placements), site_width))
        into = width + site_width
        self.tower_a = _tower(into, hidden_width, self.r * self.in_width, dropout)
        self.tower_b = _tower(into, hidden_width, self.r * self.out_width, dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again as published."""
        nn.init.normal_(self.site_vectors)
        for tower in (self.tower_a, self.tower_b):
            tower[0].reset_parameters()  # pyright: ignore[reportCallIssue]
            tower[3].reset_parameters()  # pyright: ignore[reportCallIssue]
        nn.init.normal_(self.tower_a[3].weight, std=1e-3)  # pyright: ignore[reportArgumentType]
        nn.init.zeros_(self.tower_b[3].weight)  # pyright: ignore[reportArgumentType]
        nn.init.zeros_(self.tower_b[3].bias)  # pyright: ignore[reportArgumentType]

    def forward(self, z: Float[Tensor, "n width"]) -> list[SiteWeights]:
        """Factors per site, leading axis n."""
        n, sites = z.shape[0], self.site_vectors.shape[0]
        pairs = torch.cat(
            [
                z.unsqueeze(1).expand(n, sites, -1),
                self.site_vectors.unsqueeze(0).expand(n, sites, -1),
            ],
            dim=-1,
        )
        a = self.tower_a(pairs).view(n, sites, self.r, self.in_width)
        b = self.tower_b(pairs).view(n, sites, self.out_width, self.r)
        return [LoRAWeights(a[:, site], b[:, site]) for site in range(sites)]


def _tower(into: int, hidden_width: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(into, hidden_width), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden_width, out)
    )
