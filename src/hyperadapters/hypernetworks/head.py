"""What the classification head receives from the condition: shift, bias, and taste."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hyperadapters.adapters import Directions, HeadWeights
from hyperadapters.encoders import Start


class HeadGenerator(nn.Module):
    r"""Linear maps without constant, all zero for the vector zero.

        shift = U z           added to what the head reads
        bias  = V z           added to the logits
        taste = W (Q z ⊙ P h) added to the logits, for the input h of the head's last layer

    The shift is the annotator embedding of AART (Mokhberian et al. 2024,
    https://arxiv.org/abs/2311.09743), here a map of the vector that also writes the LoRA weights.
    The taste is a low-rank adapter of the head, W diag(Q z) P, that the condition writes: it says
    which directions of text a person judges more strictly or more leniently than others do, where
    shift and bias only say how strict the person is.

    Args:
        width: Width of the condition vectors.
        in_width: Width of what the head's last layer reads; `None` generates neither shift nor
            taste.
        n_labels: Number of logits; `None` generates neither bias nor taste.
        taste_rank: Rank of the taste; 0 leaves it out.
        shift: Whether to generate a shift.
        shift_width: Width of the shift; by default `in_width`.
        start: With ``"zero-change"`` every map is zero where the condition vector is not, or the
            other way round, and the directions of the taste are shared out: in some W is zero, in
            some Q z, in some P.
        live: Dimensions of the condition vector that start at zero; by default all.
    """

    def __init__(
        self,
        width: int,
        in_width: int | None,
        n_labels: int | None,
        taste_rank: int = 0,
        *,
        shift: bool = True,
        shift_width: int | None = None,
        start: Start = "zero-change",
        live: Bool[Tensor, " width"] | None = None,
    ) -> None:
        super().__init__()
        self.start: Start = start
        self._live = torch.ones(width, dtype=torch.bool, device="cpu") if live is None else live
        shifted = (shift_width or in_width) if in_width and shift else None
        self.shift = nn.Linear(width, shifted, bias=False) if shifted else None
        self.bias = nn.Linear(width, n_labels, bias=False) if n_labels else None
        self.gate: nn.Linear | None = None
        self.taste_in: nn.Parameter | None = None
        self.taste_out: nn.Parameter | None = None
        if taste_rank and in_width and n_labels:
            self.gate = nn.Linear(width, taste_rank, bias=False)
            self.taste_in = nn.Parameter(torch.empty(taste_rank, in_width))
            self.taste_out = nn.Parameter(torch.empty(n_labels, taste_rank))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again: a unit vector moves a logit by about one, and the input by less."""
        for layer, scale in ((self.shift, 0.3), (self.bias, 1.0), (self.gate, 1.0)):
            if layer is not None:
                nn.init.normal_(layer.weight, std=scale / math.sqrt(layer.in_features))
        for factor in (self.taste_in, self.taste_out):
            if factor is not None:
                nn.init.normal_(factor, std=1.0 / math.sqrt(factor.shape[1]))
        if self.start == "zero-change":
            self._silence()

    def _silence(self) -> None:
        # What is multiplied with a part of the vector that is not zero at the start is zero.
        for layer in (self.shift, self.bias):
            if layer is not None:
                layer.weight.data.mul_(self._live.to(layer.weight))
        if self.gate is None or self.taste_in is None or self.taste_out is None:
            return
        rank = self.gate.out_features
        shares = Directions.of(rank, gains=True)
        # With fewer than three directions only the gate, through which the vectors get theirs.
        gates = shares.silent_gain if rank >= 3 else slice(0, rank)
        self.gate.weight.data[gates].mul_(self._live.to(self.gate.weight))
        if rank >= 3:
            self.taste_out.data[:, shares.silent_out] = 0.0
            self.taste_in.data[shares.silent_in] = 0.0

    def forward(self, z: Float[Tensor, "n width"]) -> HeadWeights:
        """What every condition adds to the head; `None` for what is not generated."""
        return HeadWeights(
            shift=None if self.shift is None else self.shift(z),
            bias=None if self.bias is None else self.bias(z),
            gate=None if self.gate is None else self.gate(z),
            taste_in=self.taste_in,
            taste_out=self.taste_out,
        )
