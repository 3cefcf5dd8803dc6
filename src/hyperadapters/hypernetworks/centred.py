"""Our hypernetwork: a learned adapter for the population plus a deviation for each condition."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hyperadapters.adapters import Placement, SiteWeights, Unwritten
from hyperadapters.encoders import Start
from hyperadapters.errors import ConditionError
from hyperadapters.hypernetworks.base import Hypernetwork
from hyperadapters.hypernetworks.heads import ChunkedHeads, HeadKind, build_heads, targets_of
from hyperadapters.hypernetworks.learned import LearnedAdapter
from hyperadapters.hypernetworks.trunk import Trunk

# Tensors that can be left to the shared adapter.
INCOMING = ("a", "down", "down_bias")


class CentredHypernetwork(Hypernetwork):
    r"""Shared adapter + deviation; the vector zero gives the shared adapter exactly.

        W(z, s) = W_s + γ · H u(z, s)       for each tensor W of each site s

    u is what the condition changes in the hidden units of the site (see `Trunk`). The heads `H`
    have no bias and exist once per weight shape (see `heads`). Because u(0, s) = 0, whoever has no
    vector is answered for by the population.

    While `deviates` is false only the shared adapter is used: a first stage of training can settle
    what all have in common, at the price of a single adapter. With zero heads the deviation then
    starts at zero, and "no deviation" stays within reach.

    Args:
        placements: Sites and forms, in their fixed order.
        width: Width of the condition vectors.
        site_width: Width of the learned vector e_s of a site.
        hidden_width: Number of hidden units, even.
        kind: Kind of the heads.
        n_basis: Number of basis tensors per weight shape, with ``"basis"``.
        chunk_width: Length of a chunk, with ``"chunked"``.
        deviation_scale: γ; small values hold the deviation back.
        generate_a: Whether the incoming tensors (A; D and d) deviate too, or the outgoing alone.
        start: ``"zero-change"``: nothing is changed, and every tensor gets a gradient.
            ``"hyperfan-in"``: what is generated has variance E[u²] / fan-in, so something is
            changed.
            ``"lora"``: B is zero and so, with `zero_heads`, are the heads.
        zero_heads: Whether the heads start at zero with ``"lora"``. They must not where nothing
            else moves the condition vectors, for then neither would ever get a gradient.
        deviating: For every site whether it deviates; all do by default. The others have the
            shared adapter, and what lies below the first deviating site is the same for everyone.
        gains: Whether the directions have gains (see `LearnedAdapter`).
        live: Dimensions of the condition vectors that start at zero; by default all.
        recomputed: Whether, where there are gradients, the weights of a site are written when it is
            run, instead of those of all sites at once.

    Attributes:
        deviates: Whether the deviation is applied.
    """

    def __init__(
        self,
        placements: Sequence[Placement],
        width: int,
        *,
        site_width: int = 64,
        hidden_width: int = 128,
        kind: HeadKind = "mlp",
        n_basis: int = 16,
        chunk_width: int = 256,
        deviation_scale: float = 1.0,
        generate_a: bool = True,
        start: Start = "zero-change",
        zero_heads: bool = False,
        deviating: Sequence[bool] | None = None,
        gains: bool = False,
        live: Bool[Tensor, " width"] | None = None,
        recomputed: bool = False,
    ) -> None:
        super().__init__()
        self.deviates = True
        self.recomputed = recomputed
        self.start: Start = start
        self.zero_heads = zero_heads
        self.deviation_scale = deviation_scale
        kept = [True] * len(placements) if deviating is None else list(deviating)
        self.deviating_sites = [position for position, deviates in enumerate(kept) if deviates]
        self.shared = LearnedAdapter(placements, start, gains=gains)
        chosen = [placements[site] for site in self.deviating_sites]
        names = None if generate_a else [n for p in chosen for n in p.shapes if n not in INCOMING]
        self.heads = build_heads(
            kind,
            targets_of(chosen, names),
            hidden_width,
            n_basis=n_basis,
            chunk_width=chunk_width,
        )
        n_chunks = self.heads.n_chunks if isinstance(self.heads, ChunkedHeads) else 0
        self.trunk = Trunk(width, len(chosen), site_width, hidden_width, n_chunks)
        self._live = torch.ones(width, dtype=torch.bool, device="cpu") if live is None else live
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again."""
        self.shared.reset_parameters()
        self.trunk.reset_parameters(self.start, self._live)
        self.heads.reset_parameters(self.start, zero=self.zero_heads)

    @contextmanager
    def deviating(self, deviates: bool) -> Iterator[None]:
        """In this block the deviation is applied, or is not."""
        before, self.deviates = self.deviates, deviates
        try:
            yield
        finally:
            self.deviates = before

    def forward(self, z: Float[Tensor, "n width"]) -> list[SiteWeights | Unwritten]:
        """Weights per site, leading axis n (1 for what does not deviate)."""
        shared = self.shared(z)
        weights: list[SiteWeights | Unwritten] = [*shared]
        if not self.deviates:
            return weights
        if self.recomputed and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            state = self._state()
            for number, site in enumerate(self.deviating_sites):
                weights[site] = Unwritten(functools.partial(self._written, z, number, state))
            return weights
        generated = self.heads.generate(self.trunk, z, self.deviation_scale)
        for site, deviation in zip(self.deviating_sites, generated, strict=True):
            weights[site] = _added(shared[site], deviation)
        return weights

    def _state(self) -> tuple[tuple[int, int], ...]:
        """Changes whenever a parameter does."""
        return tuple((p.data_ptr(), p._version) for p in self.parameters())

    def _written(
        self, z: Float[Tensor, "n width"], number: int, state: tuple[tuple[int, int], ...]
    ) -> SiteWeights:
        """The weights of one site that deviates, by its position among these.

        Raises:
            ConditionError: Parameters have changed since the forward pass.
        """
        if state != self._state():
            raise ConditionError(
                "parameters of the hypernetwork were changed between the forward pass and the "
                "backward pass, which writes the weights again (recompute_weights); call backward "
                "before the optimiser's step"
            )
        generated = self.heads.generate(self.trunk, z, self.deviation_scale, only=number)
        return _added(self.shared(z)[self.deviating_sites[number]], generated[number])


def _added(shared: SiteWeights, deviation: Mapping[str, Tensor]) -> SiteWeights:
    return shared._replace(
        **{name: getattr(shared, name) + value for name, value in deviation.items()}
    )
