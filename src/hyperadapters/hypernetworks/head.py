"""What the classification head receives from the condition: shift, bias, and taste."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters import HeadWeights


class HeadGenerator(nn.Module):
    r"""Linear maps without constant, all zero for the vector zero.

        shift = U z           added to the head's input h
        bias  = V z           added to the logits
        taste = W (Q z ⊙ P h) added to the logits

    The shift is the annotator embedding of AART (Mokhberian et al. 2024,
    https://arxiv.org/abs/2311.09743), here from the vector that also writes the LoRA weights. The
    taste is a low-rank adapter of the head, W diag(Q z) P, that the condition writes: it says which
    directions of text a person judges more strictly or more leniently than others do, where shift
    and bias only say how strict the person is.

    Args:
        width: Width of the condition vectors.
        in_width: Width of the head's input; `None` generates neither shift nor taste.
        n_labels: Number of logits; `None` generates neither bias nor taste.
        taste_rank: Rank of the taste; 0 leaves it out.
        shift: Whether to generate a shift.
    """

    def __init__(
        self,
        width: int,
        in_width: int | None,
        n_labels: int | None,
        taste_rank: int = 0,
        *,
        shift: bool = True,
    ) -> None:
        super().__init__()
        self.shift = nn.Linear(width, in_width, bias=False) if in_width and shift else None
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

    def forward(self, z: Float[Tensor, "n width"]) -> HeadWeights:
        """What every condition adds to the head; `None` for what is not generated."""
        return HeadWeights(
            shift=None if self.shift is None else self.shift(z),
            bias=None if self.bias is None else self.bias(z),
            gate=None if self.gate is None else self.gate(z),
            taste_in=self.taste_in,
            taste_out=self.taste_out,
        )
