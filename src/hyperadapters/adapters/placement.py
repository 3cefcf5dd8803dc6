"""An adapter form at a site, and what both forms have in common."""

from dataclasses import dataclass

from torch import Tensor

from hyperadapters.adapters.bottleneck import Bottleneck, BottleneckWeights
from hyperadapters.adapters.directions import Directions
from hyperadapters.adapters.lora import LoRA, LoRAWeights
from hyperadapters.sites import Site

AdapterForm = LoRA | Bottleneck
SiteWeights = LoRAWeights | BottleneckWeights


@dataclass(frozen=True)
class Placement:
    """A form at a site.

    Attributes:
        site: Where.
        form: What.
    """

    site: Site
    form: AdapterForm

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, without the axis of conditions."""
        return self.form.shapes(self.site)

    @property
    def fan_in(self) -> dict[str, int]:
        """Number of inputs that each tensor sums over."""
        return self.form.fan_in(self.site)

    def directions(self, *, gains: bool = False) -> Directions:
        """How its directions share out the zeros of the start."""
        return Directions.of(self.form.size, gains=gains)


def silenced(weights: SiteWeights, kept: Tensor) -> SiteWeights:
    """The weights with no effect where `kept`, shape ``(n,)``, is false."""

    def where(tensor: Tensor) -> Tensor:
        mask = kept.to(tensor.dtype).reshape(-1, *[1] * (tensor.ndim - 1))
        return tensor * mask

    if isinstance(weights, LoRAWeights):
        return weights._replace(b=where(weights.b))
    return weights._replace(up=where(weights.up), up_bias=where(weights.up_bias))
