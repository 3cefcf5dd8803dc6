"""Lists, arrays and tensors → tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyperadapters.errors import ConditionError


def as_tensor(name: str, value: Any) -> Tensor:
    """The value as a tensor; a tensor is itself, with its gradient.

    Args:
        name: Keyword of the condition, for the message.
        value: A number, a tensor, an array (also a read-only or a reversed one, or a pandas
            column), or a list of these.

    Raises:
        ConditionError: It cannot be made a tensor.
    """
    try:
        return _as_tensor(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise ConditionError(f"{name}: got {shown}, wanted numbers ({error})") from error


def _as_tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, int):
        return torch.as_tensor(value)
    parts = value if isinstance(value, list | tuple) else ()
    if any(isinstance(part, Tensor) for part in parts):
        return torch.stack([_as_tensor(part) for part in parts])
    if hasattr(value, "__array__") or any(hasattr(part, "__array__") for part in parts):
        array = np.asarray(value)
        # A copy in the machine's own byte order, which torch may keep, write to and step through.
        return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    return torch.as_tensor(value)
