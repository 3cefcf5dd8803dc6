"""The product of a frozen linear layer that is taken many times without gradients."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hyperadapters.backbones import FrozenLinear, onednn


def fast_linear(layer: nn.Module, *, gelu: bool = False) -> Callable[[Tensor], Tensor]:
    """A function that does what `layer` does, to float32's accuracy, without gradients.

    Args:
        layer: The layer; its weights are copied in the layout that oneDNN reads best, so they must
            not change as long as the function is in use. Whatever is no plain float32 layer on a
            CPU is called as it is.
        gelu: Whether its output is to go through a GELU, which then needs no pass of its own.
    """

    def plain(x: Tensor) -> Tensor:
        y = layer(x)
        return nn.functional.gelu(y) if gelu else y

    is_plain = type(layer) in (nn.Linear, FrozenLinear)
    if not (is_plain and onednn.is_there() and onednn.fits(layer.weight)):  # pyright: ignore
        return plain
    weight: Tensor = layer.weight  # pyright: ignore[reportAssignmentType]
    packed = onednn.reordered(weight)
    bias = None if layer.bias is None else layer.bias.detach()  # pyright: ignore
    then = onednn.GELU if gelu else onednn.PLAIN

    def product(x: Tensor) -> Tensor:
        if torch.is_autocast_enabled("cpu") or x.dtype != torch.float32:
            return plain(x)
        return onednn.linear(x, packed, bias, then)

    return product
