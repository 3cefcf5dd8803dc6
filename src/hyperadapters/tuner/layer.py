"""A linear module of the backbone with a generated correction beside it."""

from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from hyperadapters.adapters import apply_lora
from hyperadapters.errors import SiteError
from hyperadapters.sites import Site
from hyperadapters.tuner.conditioning import Conditioning


class HyperAdapterLinear(nn.Module, BaseTunerLayer):
    """Calls the wrapped module and adds `scale · B A x` with the weights that apply at the moment.

    It has no parameters of its own, and never looks at the weight of the wrapped module.

    Args:
        base_layer: The linear module.
        conditioning: Where the weights come from.
    """

    # Per adapter: number of the site, scale, dropout. PEFT lists and deletes adapters by these.
    other_param_names = ("hyperadapter_site", "hyperadapter_scale", "hyperadapter_dropout")

    def __init__(self, base_layer: nn.Module, conditioning: Conditioning) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.conditioning = conditioning
        self.hyperadapter_site: dict[str, int] = {}
        self.hyperadapter_scale: dict[str, float] = {}
        self.hyperadapter_dropout = nn.ModuleDict()
        self.merged_adapters = []
        self._disable_adapters = False
        self.in_features, self.out_features = linear_widths(base_layer)

    def update_layer(self, adapter_name: str, site: int, scale: float, dropout: float) -> None:
        """Add an adapter to this layer."""
        self.hyperadapter_site[adapter_name] = site
        self.hyperadapter_scale[adapter_name] = scale
        self.hyperadapter_dropout[adapter_name] = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The output of the wrapped module plus the correction of every active adapter."""
        result = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return result
        for adapter in self.active_adapters:
            if adapter in self.hyperadapter_site:
                result = result + self._correction(adapter, x).to(result.dtype)
        return result

    def _correction(self, adapter: str, x: Tensor) -> Tensor:
        weights = self.conditioning.weights(adapter).lora_at(self.hyperadapter_site[adapter])
        x = self.hyperadapter_dropout[adapter](x.to(weights.a.dtype))
        return apply_lora(x, weights, self.hyperadapter_scale[adapter])


def linear_widths(module: nn.Module) -> tuple[int, int]:
    """Input and output width of a linear module.

    Raises:
        SiteError: The module is not linear.
    """
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    raise SiteError(f"cannot adapt a {type(module).__name__}; wanted a linear module")


def site_of(name: str, module: nn.Module) -> Site:
    """The site that a target of PEFT stands for."""
    base = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module
    try:
        return Site(name, *linear_widths(base))
    except SiteError as error:
        raise SiteError(f"{name}: {error}") from None
