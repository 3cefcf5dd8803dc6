"""The weights of a single condition as plain matrices, to be merged or exported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn

from hyperadapters.adapters import HeadWeights, LoRA, LoRAWeights
from hyperadapters.conditions import Instance
from hyperadapters.errors import ConfigError
from hyperadapters.tuner.head import find_head, head_layers

if TYPE_CHECKING:
    from hyperadapters.tuner.model import HyperAdapterModel


@dataclass(frozen=True)
class PlainLoRA:
    """LoRA factors of one module, with nothing left to multiply.

    Attributes:
        a: Down projection, shape ``(r, in_width)``.
        b: Up projection with scale and gains, shape ``(out_width, r)``.
    """

    a: Float[Tensor, "r in_width"]
    b: Float[Tensor, "out_width r"]


@dataclass(frozen=True)
class PlainLayer:
    """A layer of the classification head, with what it receives written into it.

    Attributes:
        name: Path of the layer.
        weight: Shape ``(out_width, in_width)``.
        bias: Shape ``(out_width,)``; `None` where the layer has none.
    """

    name: str
    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class Materialised:
    """All weights of a single condition.

    Attributes:
        lora: Path of the module → its factors.
        head: The layers of the classification head that something is written into.
    """

    lora: dict[str, PlainLoRA] = field(default_factory=dict)
    head: tuple[PlainLayer, ...] = ()


@torch.no_grad()
def materialise(
    tuner: "HyperAdapterModel",
    adapter_name: str,
    condition: Mapping[str, Any],
    *,
    with_head: bool = True,
) -> Materialised:
    """The weights of one condition.

    Args:
        tuner: The tuner.
        adapter_name: Which adapter.
        condition: Keyword → the one value, or a mixture of values.
        with_head: Whether the head is asked for too.

    Raises:
        ConfigError: The condition is not a single one, the weights depend on the input, or the
            form has no LoRA equivalent.
        ConditionError: The condition is missing or out of range.
    """
    network = tuner.network(adapter_name)
    _check_possible(network.spec.conditions, condition)
    was_training = network.training
    network.eval()
    try:
        prepared = network.prepare(condition, next(network.parameters()).device)
        if any(value.shape[0] != 1 for value in prepared.values()):
            lengths = {name: value.shape[0] for name, value in prepared.items()}
            raise ConfigError(f"wanted a single condition, got {lengths} values")
        weights = network(prepared)
    finally:
        network.train(was_training)
    lora: dict[str, PlainLoRA] = {}
    for number, group in enumerate(network.spec.groups):
        for position, place in enumerate(group.placements):
            of_site = weights.at(number, position)
            if of_site is None:
                raise ConfigError(
                    f"{place.site.name} has an adapter for a first pass alone, and a merged model "
                    "has one pass"
                )
            if not isinstance(place.form, LoRA) or not isinstance(of_site, LoRAWeights):
                raise ConfigError(
                    f"{place.site.name} has a bottleneck, which is not linear: no LoRA and no "
                    "merged weight is equal to it"
                )
            lora[place.site.name] = _joined(lora.get(place.site.name), _plain(place.form, of_site))
    head = _plain_head(tuner, adapter_name, weights.head_per_row()) if with_head else ()
    return Materialised(lora, head)


def materialise_all(
    tuner: "HyperAdapterModel", adapter_names: Sequence[str], condition: Mapping[str, Any] | None
) -> list[Materialised]:
    """The weights of one condition in several adapters, each of which takes what it declares.

    Raises:
        ConfigError: None is given where one is needed, or as for `materialise`.
        ConditionError: The condition is missing or out of range.
    """
    specs = [tuner.network(name).spec for name in adapter_names]
    if condition is None and any(spec.needs_conditions for spec in specs):
        raise ConfigError(
            "the weights differ from row to row, so there is nothing single to merge; name one, as "
            "merge_and_unload(condition={'annotator_ids': 17})"
        )
    given, declared = condition or {}, {n for spec in specs for n in spec.conditions}
    unknown = {n: value for n, value in given.items() if n not in declared}
    return [
        materialise(tuner, name, unknown | {n: given[n] for n in spec.conditions if n in given})
        for name, spec in zip(adapter_names, specs, strict=True)
    ]


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


def _check_possible(declared: Mapping[str, Any], condition: Mapping[str, Any]) -> None:
    instances = [n for n, c in declared.items() if isinstance(c, Instance) and n not in condition]
    if instances:
        raise ConfigError(
            f"{', '.join(instances)} is the input itself: there is one adapter per input, and no "
            "single one; pass the pooled states of an input (or their average) as "
            f"{{'{instances[0]}': ...}}"
        )
    if unknown := sorted(set(condition) - set(declared)):
        raise ConfigError(
            f"the model has no condition {', '.join(unknown)}; it has {', '.join(declared)}"
        )


def _plain(form: LoRA, weights: LoRAWeights) -> PlainLoRA:
    b = weights.b[0] * form.scale
    if weights.gain is not None:
        b = b * weights.gain
    return PlainLoRA(weights.a[0], b)


def _joined(before: PlainLoRA | None, added: PlainLoRA) -> PlainLoRA:
    """The sum of two LoRAs is a LoRA of their ranks together."""
    if before is None:
        return added
    return PlainLoRA(torch.cat([before.a, added.a]), torch.cat([before.b, added.b], dim=1))


def _plain_head(
    tuner: "HyperAdapterModel", adapter_name: str, weights: HeadWeights
) -> tuple[PlainLayer, ...]:
    r"""The first layer with b' = b + W c for the shift c; the last with bias and taste.

    The taste makes W' = W + W_t diag(g) P of the last layer's weight W.
    """
    if all(part is None for part in (weights.shift, weights.bias, weights.gate)):
        return ()
    config: Any = tuner.peft_config[adapter_name]
    name = find_head(tuner.model, config.task_type)
    trained = _copy_of(tuner.model.get_submodule(name or ""), adapter_name)
    layers = head_layers(trained)
    if name is None or not layers:
        raise ConfigError("the classification head is gone")
    plain = {layer: _plain_layer(name, trained, layer) for layer in (layers[0], layers[-1])}
    if weights.gate is not None and weights.taste_in is not None and weights.taste_out is not None:
        last, taste = plain[layers[-1]], (weights.taste_out * weights.gate[0]) @ weights.taste_in
        plain[layers[-1]] = replace(last, weight=last.weight + taste.to(last.weight))
    if weights.shift is not None:
        first = plain[layers[0]]
        shifted = first.weight @ weights.shift[0].to(first.weight)
        plain[layers[0]] = replace(first, bias=_added(first, shifted))
    if weights.bias is not None:
        last = plain[layers[-1]]
        plain[layers[-1]] = replace(last, bias=_added(last, weights.bias[0]))
    return tuple(plain.values())


def _plain_layer(name: str, head: nn.Module, layer: nn.Linear) -> PlainLayer:
    inner = next(path for path, module in head.named_modules() if module is layer)
    bias = None if layer.bias is None else layer.bias.detach()
    return PlainLayer(f"{name}.{inner}" if inner else name, layer.weight.detach(), bias)


def _added(layer: PlainLayer, values: Tensor) -> Tensor:
    if layer.bias is None:
        raise ConfigError(
            f"{layer.name} has no bias into which the generated one could be written; export the "
            "LoRA alone (include_head=False), or train with bias_source='none', shift=False to "
            "export or merge both"
        )
    return layer.bias + values.to(layer.bias)


def _copy_of(head: nn.Module, adapter_name: str) -> nn.Module:
    """The head as one adapter has trained it."""
    if not isinstance(head, ModulesToSaveWrapper):
        return head
    if adapter_name not in head.modules_to_save:
        return head.original_module
    return head.modules_to_save[adapter_name]
