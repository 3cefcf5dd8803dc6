"""One learned vector per annotator (or task)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hyperadapters.conditions import POPULATION, UnknownPolicy
from hyperadapters.errors import ConditionError


class LookupEncoder(nn.Module):
    """A table of vectors, with an answer for conditions that are not in it.

    Args:
        size: Number of vectors.
        width: Width of a vector.
        centred: Whether zero is the population: vectors start at zero and index -1 is zero. If
            not, vectors start at N(0, 1) and index -1 is the mean of all vectors.
        unknown: ``"error"`` refuses index -1.
        name: Keyword of the condition, for error messages.
    """

    def __init__(
        self,
        size: int,
        width: int,
        *,
        centred: bool = True,
        unknown: UnknownPolicy = "population",
        name: str = "condition",
    ) -> None:
        super().__init__()
        self.centred = centred
        self.unknown = unknown
        self.name = name
        self.vectors = nn.Parameter(torch.empty(size, width))
        self.reset_parameters()

    @property
    def width(self) -> int:
        """Width of a vector."""
        return self.vectors.shape[1]

    def reset_parameters(self) -> None:
        """Start again: zeros when centred, else N(0, 1)."""
        nn.init.zeros_(self.vectors) if self.centred else nn.init.normal_(self.vectors)

    def forward(self, index: Int[Tensor, " n"]) -> Float[Tensor, "n width"]:
        """Indices → vectors.

        Raises:
            ConditionError: An index is below -1 or not below the size of the table, or it is -1
                where the policy is ``"error"``.
        """
        self._check(index)
        vectors = self.vectors.index_select(0, index.clamp(min=0))
        return torch.where((index == POPULATION).unsqueeze(1), self.population(), vectors)

    def population(self) -> Float[Tensor, "1 width"]:
        """The vector of nobody in particular."""
        if self.centred:
            return torch.zeros_like(self.vectors[:1])
        return self.vectors.mean(dim=0, keepdim=True)

    def _check(self, index: Int[Tensor, " n"]) -> None:
        if index.numel() == 0:
            return
        low, high = int(index.min()), int(index.max())
        size = self.vectors.shape[0]
        if high >= size or low < POPULATION:
            wrong = high if high >= size else low
            raise ConditionError(
                f"{self.name}: got index {wrong}; wanted 0 to {size - 1}"
                + (", or -1 for the population" if self.unknown == "population" else "")
            )
        if low == POPULATION and self.unknown == "error":
            raise ConditionError(
                f"{self.name}: got -1 (unknown), which this model refuses; wanted 0 to {size - 1}"
            )
