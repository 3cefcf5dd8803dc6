"""One learned vector per value of each attribute; a row is the sum of its values."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hyperadapters.encoders.base import ConditionEncoder
from hyperadapters.encoders.start import Start, start_table_


class AttributesEncoder(ConditionEncoder):
    """A table that holds the vectors of all values, attribute after attribute.

    A missing value adds nothing, so somebody of whom nothing is known is the population: zero.

    Args:
        sizes: Number of values of each attribute.
        width: Width of a vector.
        start: Where the table begins, see `start_table_`.
        parts: See `zero_dims`.
        name: Keyword of the condition.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        width: int,
        *,
        start: Start = "zero-change",
        parts: int = 2,
        name: str = "condition",
    ) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.start: Start = start
        self.parts = parts
        self.name = name
        self.vectors = nn.Parameter(torch.empty(sum(self.sizes), width))
        self.reset_parameters()

    @property
    def width(self) -> int:
        """Width of a vector."""
        return self.vectors.shape[1]

    def reset_parameters(self) -> None:
        """Start again, as after construction."""
        start_table_(self.vectors, self.start, self.parts)

    def forward(self, values: Int[Tensor, "n n_attributes"]) -> Float[Tensor, "n width"]:
        """Indices → vectors.

        Args:
            values: One column per attribute, from -1 (missing) to its size - 1; not checked.
        """
        return self.values(values).sum(dim=1)

    def values(
        self, values: Int[Tensor, "n n_attributes"]
    ) -> Float[Tensor, "n n_attributes width"]:
        """The vector of each value; zero where it is missing. Arguments as of `forward`."""
        # Computed, not a buffer: a buffer would be lost on the way from the meta device.
        offsets = torch.tensor([0, *accumulate(self.sizes[:-1])], device=values.device)
        vectors = self.vectors[values.clamp(min=0) + offsets]
        return vectors.masked_fill((values < 0).unsqueeze(2), 0.0)

    def population(self) -> Float[Tensor, "1 width"]:
        """The vector of nobody in particular: zero."""
        return torch.zeros_like(self.vectors[:1])

    def known(self, values: Int[Tensor, "n n_attributes"]) -> Bool[Tensor, " n"]:
        """Which rows have a value for at least one attribute."""
        return (values >= 0).any(dim=1)
