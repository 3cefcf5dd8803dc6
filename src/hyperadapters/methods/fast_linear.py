"""The product of a frozen linear layer on a CPU, by the faster of the two libraries there are.

PyTorch multiplies float32 matrices on a CPU by MKL, which on processors that are not Intel's uses
half of their vector units. oneDNN, which comes with PyTorch too, uses all of them: about twice as
fast on an AMD EPYC, and as fast on an Intel. The operator is the one that `torch.compile` writes
for a linear layer whose weights are frozen.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


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

    if not (type(layer) is nn.Linear and _fits(layer.weight) and _there()):
        return plain
    then = ("gelu", [], "none") if gelu else ("none", [], "")
    packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())
    bias = None if layer.bias is None else layer.bias.detach()

    def product(x: Tensor) -> Tensor:
        if torch.is_autocast_enabled("cpu") or x.dtype != torch.float32:
            return plain(x)
        return torch.ops.mkldnn._linear_pointwise(x, packed, bias, *then)

    return product


def _fits(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype == torch.float32


def _there() -> bool:
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in names
    )
