"""Adding the weights of a single condition to those of the plain backbone."""

from typing import Any

import torch
from torch import Tensor, nn

from hyperadapters.errors import ConfigError
from hyperadapters.tuner.materialise import Materialised, PlainLoRA


@torch.no_grad()
def check_mergeable(model: nn.Module, weights: Materialised, *, finite: bool = False) -> None:
    """Refuse what cannot be merged.

    Args:
        model: The backbone, perhaps with its layers still wrapped.
        weights: What is to be merged.
        finite: Whether the result has to be finite.

    Raises:
        ConfigError: A module's weight cannot be added to, as it is quantised or belongs to another
            module too, or the result would not be finite.
    """
    for name, factors in weights.lora.items():
        module = _unwrapped(model.get_submodule(name))
        weight, delta = getattr(module, "weight", None), _delta(module, factors)
        if (
            not isinstance(weight, Tensor)
            or weight.shape != delta.shape
            or not weight.is_floating_point()
        ):
            raise ConfigError(
                f"{name} is a {type(module).__name__}, whose weight cannot be added to; export a "
                "LoRA instead (export_lora)"
            )
        if shared := _sharing(model, module, weight):
            raise ConfigError(
                f"the weight of {name} is also that of {shared}, which would change with it; "
                "export a LoRA instead (export_lora)"
            )
        if finite and not bool(torch.isfinite(weight + delta.to(weight)).all()):
            raise ConfigError(f"{name}: the merged weight would not be finite (NaN or infinite)")


@torch.no_grad()
def merge(model: nn.Module, weights: Materialised) -> None:
    """Add the weights of a condition to those of the plain backbone (in place)."""
    for name, factors in weights.lora.items():
        module: Any = model.get_submodule(name)
        module.weight.data = module.weight.data + _delta(module, factors).to(module.weight)
    for plain in weights.head:
        layer: Any = model.get_submodule(plain.name)
        layer.weight.data = plain.weight.to(layer.weight)
        if plain.bias is not None:
            layer.bias.data = plain.bias.to(layer.bias)


def _sharing(model: nn.Module, module: nn.Module, weight: Tensor) -> str | None:
    """Path of another module with the same weight, such as the embedding that a head is tied to."""
    for path, other in model.named_modules():
        if other is not module and other._parameters.get("weight") is weight:
            return path
    return None


def _unwrapped(module: nn.Module) -> nn.Module:
    return getattr(module, "base_layer", module)  # pyright: ignore[reportReturnType]


def _delta(module: nn.Module, factors: PlainLoRA) -> Tensor:
    delta = factors.b @ factors.a
    # GPT-2's Conv1D stores its weight the other way round.
    return delta.T if hasattr(module, "nf") else delta
