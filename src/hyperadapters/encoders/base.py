"""What the encoders of all kinds of conditions have in common."""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float
from torch import Tensor, nn


class ConditionEncoder(nn.Module, ABC):
    """A function from the values of a condition to vectors.

    Nothing in here looks at the values to decide what to do, so that encoders can be traced by
    `torch.compile` and built on the meta device; `prepare` is where values are checked.
    """

    @property
    @abstractmethod
    def width(self) -> int:
        """Width of a vector."""

    @abstractmethod
    def forward(self, values: Tensor) -> Float[Tensor, "n width"]:
        """Values, as `prepare` returns them, → one vector per row."""

    @abstractmethod
    def population(self) -> Float[Tensor, "1 width"]:
        """The vector of nobody in particular."""

    @abstractmethod
    def known(self, values: Tensor) -> Bool[Tensor, " n"]:
        """Which rows say anything at all; the others get the vector of the population."""

    @abstractmethod
    def reset_parameters(self) -> None:
        """Start again, as after construction."""
