"""What every source of adapter weights has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters import SiteWeights, Unwritten


class Hypernetwork(nn.Module, ABC):
    """A function from condition vectors to adapter weights for every site.

    A fixed adapter is a hypernetwork that ignores its condition, so single adapters and generated
    ones share injection, training, saving and tests.
    """

    @abstractmethod
    def forward(self, z: Float[Tensor, "n width"]) -> Sequence[SiteWeights | Unwritten]:
        """Weights for every site, in the order of the sites.

        Args:
            z: Condition vectors; zero stands for the population where the network is centred.

        Returns:
            One set per site with leading axis n, or with leading axis 1 when the weights do not
            depend on the condition; or what will write them when the site is run.
        """
