"""Hidden units in two halves that start as twins and cancel: no change, yet gradients everywhere.

A network that is to start at zero can have its last layer at zero, but then nothing below it gets a
gradient at the first step. Or it can be the difference of two networks that start equal and then go
separate ways: the doubling trick of Chizat, Oyallon & Bach 2019 (https://arxiv.org/abs/1812.07956),
the antisymmetrical initialisation of Zhang et al. 2020 (https://arxiv.org/abs/1905.07777). Here the
two networks are the two halves of one hidden layer, so it costs no parameter. Each product below is
taken for the halves apart (see `halves`), so that equal halves give equal bits and their difference
is exactly 0.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

_LINE = 64
"""Bytes at which memory is aligned; no vector instruction reads more at once."""


def halves(tensor: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The two halves along an axis, of which equal ones give equal bits in a product.

    In which order a product is summed depends on where in a line of memory its factors begin. So
    halves that do not begin alike are copied to places where they do.
    """
    first, second = tensor.chunk(2, dim)
    if first.shape[dim] * tensor.stride(dim) * tensor.element_size() % _LINE == 0:
        return first, second
    layout = torch.contiguous_format
    return first.clone(memory_format=layout), second.clone(memory_format=layout)


class TwinRows(nn.Linear):
    """A linear layer into the hidden units, of even number."""

    def twin(self, live: Bool[Tensor, " width"]) -> None:
        """Make the second half equal to the first (in place), except on the `live` inputs.

        These are zero at the start, so they do not disturb the equality, and as the halves treat
        them differently, their gradient does not cancel.
        """
        half = self.out_features // 2
        first, second = self.weight.data[:half], self.weight.data[half:]
        second.copy_(torch.where(live.to(first.device), second, first))
        if self.bias is not None:
            self.bias.data[half:] = self.bias.data[:half]

    def forward(self, x: Float[Tensor, "*n width"]) -> Float[Tensor, "*n hidden"]:  # noqa: D102
        weights = halves(self.weight, 0)
        biases = (None, None) if self.bias is None else halves(self.bias, 0)
        pairs = zip(weights, biases, strict=True)
        return torch.cat([nn.functional.linear(x, w, b) for w, b in pairs], dim=-1)


class TwinColumns(nn.Linear):
    """A linear layer without bias from the hidden units, of even number."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def oppose(self, outputs: slice = slice(None)) -> None:
        """Make the second half minus the first (in place), for some of the outputs."""
        first, second = self.weight.data[outputs].chunk(2, dim=1)
        second.copy_(-first)

    def forward(self, hidden: Float[Tensor, "*n hidden"]) -> Float[Tensor, "*n out"]:  # noqa: D102
        pairs = zip(halves(hidden, -1), halves(self.weight, 1), strict=True)
        first, second = (nn.functional.linear(h, w) for h, w in pairs)
        return first + second
