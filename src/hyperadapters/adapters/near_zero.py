"""A start at which an adapter changes next to nothing."""

from collections.abc import Sequence

from torch import Tensor, nn

GAIN = 1e-4


def near_zero_(tensors: Sequence[Tensor]) -> None:
    """Fill an adapter's tensors (in place): matrices Xavier-uniform times `GAIN`, biases zero.

    As the learned adapters of Ivison & Peters 2022, https://arxiv.org/abs/2203.08304.
    """
    for tensor in tensors:
        if tensor.ndim > 1:
            nn.init.xavier_uniform_(tensor, gain=GAIN)
        else:
            nn.init.zeros_(tensor)
