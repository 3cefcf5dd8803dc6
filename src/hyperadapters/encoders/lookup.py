"""One learned vector per annotator (or task)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hyperadapters.conditions import POPULATION, UnknownPolicy
from hyperadapters.encoders.base import ConditionEncoder
from hyperadapters.encoders.rows import all_known, look_up
from hyperadapters.encoders.start import Start, start_table_


class LookupEncoder(ConditionEncoder):
    """A table of vectors, with an answer for conditions that are not in it.

    Args:
        size: Number of vectors.
        width: Width of a vector.
        start: Where a centred table begins, see `start_table_`.
        parts: See `zero_dims`.
        centred: Whether zero is the population, and the answer to index -1 unless it has a vector
            of its own. If not, vectors start
            at N(0, 1) whatever the `start`, and index -1 is the mean of all vectors.
        unknown: What index -1 means, for those who read it here; nothing is refused here.
        own_population: Whether index -1 has a vector of its own, where it would be zero or the
            mean.
        name: Keyword of the condition.

    Attributes:
        sparse_gradient: Whether rows that are read give a sparse gradient, see `encoders.rows`.
    """

    def __init__(
        self,
        size: int,
        width: int,
        *,
        start: Start = "zero-change",
        parts: int = 2,
        centred: bool = True,
        unknown: UnknownPolicy = "population",
        own_population: bool = False,
        name: str = "condition",
    ) -> None:
        super().__init__()
        self.start: Start = start
        self.parts = parts
        self.centred = centred
        self.unknown: UnknownPolicy = unknown
        self.name = name
        self.sparse_gradient = False
        self.vectors = nn.Parameter(torch.empty(size, width))
        self.nobody = nn.Parameter(torch.empty(1, width)) if own_population else None
        self.reset_parameters()

    @property
    def width(self) -> int:
        """Width of a vector."""
        return self.vectors.shape[1]

    def reset_parameters(self) -> None:
        """Start again, as after construction."""
        start_table_(self.vectors, self.start if self.centred else "hyperfan-in", self.parts)
        if self.nobody is not None:
            mean = self.vectors.data.mean(dim=0, keepdim=True)
            self.nobody.data = torch.zeros_like(mean) if self.centred else mean

    def forward(
        self, values: Int[Tensor, " n"] | Float[Tensor, "n size"]
    ) -> Float[Tensor, "n width"]:
        """Indices, or mixtures (one weight per vector of the table), → vectors.

        Args:
            values: Indices from -1 to ``size - 1``, not checked; or weights, shape ``(n, size)``.
        """
        if values.is_floating_point():
            return values.to(self.vectors.dtype) @ self.vectors
        vectors = self.rows(values)
        if not self.centred and all_known(values):
            # The mean of all is as much work as the table is long.
            return vectors
        return torch.where(self.known(values).unsqueeze(1), vectors, self.population())

    def rows(self, index: Int[Tensor, " n"]) -> Float[Tensor, "n width"]:
        """Rows of the table, of which -1 is none (it gives some row or other)."""
        return look_up(self.vectors, index, sparse=self.sparse_gradient)

    def tables(self) -> list[nn.Parameter]:
        """The table."""
        return [self.vectors]

    def population(self) -> Float[Tensor, "1 width"]:
        """The vector of nobody in particular."""
        if self.nobody is not None:
            return self.nobody
        if self.centred:
            return torch.zeros_like(self.vectors[:1])
        return self.vectors.mean(dim=0, keepdim=True)

    def known(self, values: Int[Tensor, " n"] | Float[Tensor, "n size"]) -> Bool[Tensor, " n"]:
        """Which indices are not -1; all mixtures are known."""
        if values.is_floating_point():
            return torch.ones(values.shape[0], dtype=torch.bool, device=values.device)
        return values != POPULATION
