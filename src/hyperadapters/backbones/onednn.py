"""The product of a linear layer on a CPU, by the faster of the two libraries that PyTorch brings.

PyTorch multiplies float32 matrices on a CPU by MKL, which on processors that are not Intel's uses
half of their vector units. oneDNN, which comes with PyTorch too, uses all of them: more than twice
as fast on an AMD EPYC, and as fast on an Intel. The operator is the one that `torch.compile` writes
for a linear layer whose weights are frozen.
"""

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

SMALLEST = 2**21
"""Multiplications from which on the product is worth the call."""

PLAIN = ("none", [], "")
GELU = ("gelu", [], "none")


def is_there() -> bool:
    """Whether this PyTorch has the operators."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in names
    )


def is_wanted() -> bool:
    """Whether oneDNN is switched on, and nothing watches or transforms single operators.

    Under forward-mode derivatives, `torch.func`, and modes that count or record operators
    (`FlopCounterMode`, `make_fx`, selective checkpoints) the layer's own operators are expected.
    """
    return (
        torch._C._get_mkldnn_enabled()
        and forward_ad._current_level < 0
        and torch._C._functorch.peek_interpreter_stack() is None  # pyright: ignore
        and torch._C._len_torch_dispatch_stack() == 0
    )


def fits(*tensors: Tensor | None) -> bool:
    """Whether these are plain float32 tensors on a CPU; `None` is not looked at."""
    return all(tensor is None or _is_plain(tensor) for tensor in tensors)


def _is_plain(tensor: Tensor) -> bool:
    return (
        tensor.dtype == torch.float32
        and tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        # A subclass says itself what a product is: quantised weights do.
        and type(tensor) in (Tensor, nn.Parameter)
    )


def is_worth_it(x: Tensor, weight: Tensor) -> bool:
    """Whether the product is large enough, of shapes ``(..., in)`` and ``(out, in)``."""
    return x.numel() * weight.shape[0] >= SMALLEST


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    then: tuple[str, list[float], str] = PLAIN,
) -> Tensor:
    """``x @ weight.T + bias`` without a gradient, and then perhaps a GELU.

    Args:
        x: Shape ``(..., in)``.
        weight: Shape ``(out, in)``, laid out in any way, or as `reordered` has made it.
        bias: Shape ``(out,)``.
        then: `PLAIN` or `GELU`.
    """
    # The operator takes a bias for dense memory, whatever its strides are.
    dense = None if bias is None else bias.contiguous()
    return torch.ops.mkldnn._linear_pointwise(x, weight, dense, *then)


def reordered(weight: Tensor) -> Tensor:
    """A copy of a weight in the layout that oneDNN reads best."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach())
