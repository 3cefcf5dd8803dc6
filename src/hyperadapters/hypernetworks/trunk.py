"""The shared part of a hypernetwork: (condition, site) → hidden units."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hyperadapters.encoders import Start, zero_dims
from hyperadapters.hypernetworks.twin import TwinRows


class Trunk(nn.Module):
    r"""What a condition changes in the hidden units of a site.

        u(z, s) = gelu(W_z z + W_s e_s + c) - gelu(W_s e_s + c)

    The first layer is factored: the part of the condition is computed once and that of the site
    once, instead of once for every pair. u(0, s) = 0, so zero stands for the population.

    Args:
        width: Width of the condition vectors.
        n_sites: Number of sites.
        site_width: Width of the learned vector e_s of a site.
        hidden_width: Number of hidden units, even.
        n_chunks: Number of chunks; a chunk has a vector of its own that is added to that of the
            site.
    """

    def __init__(
        self, width: int, n_sites: int, site_width: int, hidden_width: int, n_chunks: int = 0
    ) -> None:
        super().__init__()
        self.site_vectors = nn.Parameter(torch.empty(n_sites, site_width))
        self.chunk_vectors = nn.Parameter(torch.empty(n_chunks, site_width)) if n_chunks else None
        self.from_condition = TwinRows(width, hidden_width, bias=False)
        self.from_site = TwinRows(site_width, hidden_width)

    def reset_parameters(self, start: Start, live: Bool[Tensor, " width"]) -> None:
        """Start again.

        Args:
            start: With ``"zero-change"`` the halves of the hidden units start as twins.
            live: Dimensions of the condition vector that start at zero.
        """
        nn.init.normal_(self.site_vectors)
        if self.chunk_vectors is not None:
            nn.init.normal_(self.chunk_vectors)
        self.from_condition.reset_parameters()
        self.from_site.reset_parameters()
        if start == "zero-change":
            silent = zero_dims(self.site_vectors.shape[1])
            self.from_condition.twin(live)
            self.from_site.twin(silent)
            for vectors in (self.site_vectors, self.chunk_vectors):
                if vectors is not None:
                    vectors.data.mul_((~silent).to(vectors))

    def forward(
        self,
        z: Float[Tensor, "n width"],
        sites: Sequence[int] | None = None,
        chunks: Sequence[int] | None = None,
    ) -> Float[Tensor, "n units hidden"]:
        """Hidden units for every condition and every (site, chunk); all sites by default."""
        of_place = self.from_site(self._places(sites, chunks))
        of_condition = self.from_condition(z)
        pairs = zip(of_condition.chunk(2, dim=-1), of_place.chunk(2, dim=-1), strict=True)
        return torch.cat([_change(c.unsqueeze(1), place) for c, place in pairs], dim=-1)

    def _places(self, sites: Sequence[int] | None, chunks: Sequence[int] | None) -> Tensor:
        vectors = self.site_vectors if sites is None else self.site_vectors[list(sites)]
        if chunks is None or self.chunk_vectors is None:
            return vectors
        return vectors + self.chunk_vectors[list(chunks)]


def _change(of_condition: Tensor, of_place: Tensor) -> Tensor:
    """Exactly zero where the condition is, and equal for twins.

    The last numbers of a tensor may be computed by other instructions than those before them, with
    other bits. So what is to cancel stands at the same positions of tensors of one shape.
    """
    gelu = nn.functional.gelu
    moved = (of_condition + of_place).contiguous()
    return gelu(moved) - gelu(of_place.expand_as(moved).contiguous())
