"""Frozen linear layers of a backbone whose products are taken by oneDNN, in training too."""

from typing import Any

import torch
from torch import Tensor, nn

from hyperadapters.backbones import onednn


class FrozenLinear(nn.Linear):
    """An `nn.Linear` that is faster on a CPU as long as its weight is frozen.

    It is made out of an `nn.Linear` by `use_fast_products`, keeps its parameters and their names,
    and gives the same to float32's accuracy. Where oneDNN does not fit (a weight that is trained,
    other devices and types, autocast, a small product, a graph that is being compiled or traced) it
    is the layer it was, to the bit.
    """

    def forward(self, input: Tensor) -> Tensor:
        """``input @ weight.T + bias``."""
        if not _by_onednn(input, self.weight, self.bias):
            # Not by `super`: whoever has bound this method may hold a plain layer by now.
            return nn.functional.linear(input, self.weight, self.bias)
        if torch.is_grad_enabled() and input.requires_grad:
            product: Any = _Product.apply(input, self.weight, self.bias)
            return product
        return onednn.linear(input, self.weight, self.bias)


def use_fast_products(model: nn.Module) -> None:
    """Let linear layers whose weights are frozen take their products by oneDNN on a CPU.

    Nothing else about them changes: parameters, their names and `isinstance` stay. What goes by the
    exact type of a layer, as `torch.ao.quantization.quantize_dynamic` does, passes them by:
    `use_plain_products` first.

    Args:
        model: Any model; only layers that are an `nn.Linear` and no subclass of it are changed.
    """
    if not onednn.is_there():
        return
    for module in model.modules():
        if type(module) is nn.Linear and not module.weight.requires_grad:
            module.__class__ = FrozenLinear


def use_plain_products(model: nn.Module) -> None:
    """Undo `use_fast_products`."""
    for module in model.modules():
        if type(module) is FrozenLinear:
            module.__class__ = nn.Linear  # pyright: ignore[reportAttributeAccessIssue]


class _Product(torch.autograd.Function):
    """The product with a weight that gets no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return onednn.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), (weight,) = gradients, ctx.saved_tensors
        if torch.is_grad_enabled() or not onednn.fits(gradient):  # a gradient of the gradient
            return gradient @ weight, None, None
        return onednn.linear(gradient, weight.t()), None, None


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore
        return False
    if torch.is_grad_enabled() and (
        weight.requires_grad or (bias is not None and bias.requires_grad)
    ):
        return False
    return (
        onednn.fits(x, weight, bias)
        and onednn.is_worth_it(x, weight)
        and not torch.is_autocast_enabled("cpu")
        and onednn.is_wanted()
    )
