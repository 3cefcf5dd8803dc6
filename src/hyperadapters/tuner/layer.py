"""A linear module of the backbone with LoRA beside it."""

from dataclasses import dataclass
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hyperadapters.adapters import AdapterWeights, Bottleneck, LoRA
from hyperadapters.errors import SiteError
from hyperadapters.tuner.conditioning import Conditioning


@dataclass(frozen=True)
class Part:
    """One adapter at one module.

    Attributes:
        group: Number of its group.
        site: Number of its site in the group.
        form: What is done with the weights.
        dropout: Dropout on its input.
    """

    group: int
    site: int
    form: LoRA | Bottleneck
    dropout: float = 0.0

    def correction(self, x: Tensor, weights: AdapterWeights, training: bool) -> Tensor | None:
        """What is added for the input `x`, shape ``(rows, ..., out_width)``; `None` for nothing."""
        if weights.is_unwritten(self.group, self.site):
            # What is written in here is not kept, but written again in the backward pass.
            return checkpoint(self._applied, x, weights, training, use_reentrant=False)
        return self._applied(x, weights, training)

    def _applied(self, x: Tensor, weights: AdapterWeights, training: bool) -> Tensor | None:
        of_site = weights.at(self.group, self.site)
        if of_site is None:
            return None
        x = nn.functional.dropout(x.to(of_site[0].dtype), self.dropout, training)
        return self.form.apply(x, of_site)  # pyright: ignore[reportArgumentType]


class HyperAdapterLinear(nn.Module, BaseTunerLayer):
    """Calls the wrapped module and adds `scale · B A x` with the weights that apply at the moment.

    It has no parameters of its own, and never looks at the weight of the wrapped module, which may
    be quantised.

    Args:
        base_layer: The linear module.
        conditioning: Where the weights come from.
    """

    # Per adapter its parts. PEFT lists and deletes adapters by this.
    other_param_names = ("hyperadapter_parts",)

    def __init__(self, base_layer: nn.Module, conditioning: Conditioning) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.conditioning = conditioning
        self.hyperadapter_parts: dict[str, list[Part]] = {}
        self.merged_adapters = []
        self._disable_adapters = False
        self.in_features, self.out_features = linear_widths(base_layer)

    def add_part(self, adapter_name: str, part: Part) -> None:
        """Add an adapter to this module."""
        self.hyperadapter_parts.setdefault(adapter_name, []).append(part)

    def _get_available_adapters(self) -> set[str]:
        # PEFT's own looks for parameters, of which there are none here.
        return set(self.hyperadapter_parts)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The output of the wrapped module plus the correction of every adapter that applies."""
        result = self.base_layer(x, *args, **kwargs)
        if not self.conditioning.enabled:
            return result
        for adapter, weights in self.conditioning.weights.items():
            for part in self.hyperadapter_parts.get(adapter, ()):
                correction = part.correction(x, weights, self.training)
                if correction is not None:
                    result = result + correction.to(result.dtype)
        return result


def linear_widths(module: nn.Module) -> tuple[int, int]:
    """Input and output width of a linear module, quantised ones and GPT-2's `Conv1D` among them.

    Raises:
        SiteError: The module is not linear.
    """
    for names in (("in_features", "out_features"), ("infeatures", "outfeatures"), ("nx", "nf")):
        widths = tuple(getattr(module, name, None) for name in names)
        if all(type(width) is int for width in widths):
            # The output projection of nn.MultiheadAttention is never called: its weight is.
            if isinstance(module, nn.modules.linear.NonDynamicallyQuantizableLinear):
                break
            return widths  # pyright: ignore[reportReturnType]
    raise SiteError(f"cannot adapt a {type(module).__name__}; wanted a linear module")


def is_linear(module: nn.Module) -> bool:
    """Whether LoRA can be put beside a module."""
    try:
        linear_widths(module)
    except SiteError:
        return False
    return True
