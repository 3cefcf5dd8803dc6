"""All that a network knows of a single annotator, side by side in one vector."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from hyperadapters.adapters import AdapterWeights
from hyperadapters.encoders import LookupEncoder
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks import AdapterNetwork
from hyperadapters.methods import METHODS, Method


def check_adaptable(method: Method) -> None:
    """Refuse a method to which new people cannot be added.

    Raises:
        ConfigError: It is one; names those to which they can.
    """
    if not method.is_adaptable:
        able = ", ".join(name for name, other in METHODS.items() if other.is_adaptable)
        raise ConfigError(
            f"{method.name} has no vector of an annotator that a few labels could move; methods "
            f"to which new people can be added: {able}"
        )


class PersonalVectors:
    """The rows of an annotator in all tables of a network: condition vectors and stored biases.

    Args:
        network: The network; nothing in it is changed.

    Attributes:
        tables: Name of the module in the network → table.
    """

    def __init__(self, network: AdapterNetwork) -> None:
        self._network = network
        self.tables: Mapping[str, LookupEncoder] = {
            name: module
            for name, module in network.named_modules()
            if isinstance(module, LookupEncoder)
        }

    @property
    def width(self) -> int:
        """Width of the joined vector."""
        return sum(table.width for table in self.tables.values())

    @torch.no_grad()
    def of_annotators(self) -> Float[Tensor, "annotators width"]:
        """The vectors of all annotators, in the order of their indices."""
        return torch.cat([table.vectors.detach() for table in self.tables.values()], dim=1)

    @torch.no_grad()
    def population(self) -> Float[Tensor, " width"]:
        """The vector of nobody in particular."""
        return torch.cat([table.population()[0] for table in self.tables.values()])

    def split(self, vectors: Float[Tensor, "n width"]) -> dict[str, Float[Tensor, "n _"]]:
        """Joined vectors → name of the table → rows of it."""
        widths = [table.width for table in self.tables.values()]
        return dict(zip(self.tables, vectors.split(widths, dim=1), strict=True))

    def weights(
        self, vectors: Float[Tensor, "n width"], conditions: Mapping[str, Tensor]
    ) -> AdapterWeights:
        """What the network writes when its tables are these n vectors, of people 0 to n - 1.

        Args:
            vectors: Joined vectors; gradients reach them.
            conditions: What the network is told of n rows, indices among these people included.
        """
        parts = {f"{name}.vectors": part for name, part in self.split(vectors).items()}
        return functional_call(self._network, parts, (conditions,))
