"""Where learning begins: what a condition vector is before the first step.

With the zero-change start some positions of a vector start at exactly zero, and the maps that read
them do not; the others start away from zero, and the maps that read them start at zero or cancel.
So what is generated is exactly nothing at first, and yet every tensor has a gradient at step 0.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hyperadapters.errors import ConfigError

Start = Literal["zero-change", "lora", "hyperfan-in", "near-zero"]

VECTOR_STD = 0.02
"""Standard deviation of the positions that start away from zero.

Small, because zero is the population and the mean of the prior on vectors: everybody starts near
the population.
"""


def zero_dims(width: int, parts: int = 2) -> Bool[Tensor, " width"]:
    """Which positions of a vector start at zero: ``[width // parts, 2 * width // parts)``.

    Args:
        width: Width of the vector. Of a width of 1, position 0 starts at zero.
        parts: 2; or 3 where vectors go through a gate, which needs a third part of its own.

    Raises:
        ConfigError: There is no position, or there are fewer than two parts.
    """
    if width < 1 or parts < 2:
        raise ConfigError(f"zero_dims needs width >= 1 and parts >= 2, got {width} and {parts}")
    first = width // parts
    position = torch.arange(width)
    return (position >= first) & (position < max(2 * width // parts, first + 1))


@torch.no_grad()
def start_table_(table: Float[Tensor, "size width"], start: str, parts: int) -> None:
    """Fill a table of vectors, in place.

    ``"zero-change"``: N(0, `VECTOR_STD`²), and zero at `zero_dims`; ``"lora"``: zero, drawing
    nothing from the random generator; ``"hyperfan-in"``: N(0, 1).

    Raises:
        ConfigError: There is no such start.
    """
    if start == "lora":
        nn.init.zeros_(table)
    elif start == "hyperfan-in":
        nn.init.normal_(table)
    elif start == "zero-change":
        nn.init.normal_(table, std=VECTOR_STD)
        table.masked_fill_(zero_dims(table.shape[1], parts).to(table.device), 0.0)
    else:
        raise ConfigError(f"unknown start {start!r}; known: 'zero-change', 'lora', 'hyperfan-in'")
