"""The weights of a single condition as plain matrices, to be merged or exported."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters import HeadWeights, LoRA, LoRAWeights, Placement, SiteWeights
from hyperadapters.conditions import Instance
from hyperadapters.errors import ConfigError
from hyperadapters.tuner.head import copy_of, find_head, head_layers

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
    prepared = prepare_values(tuner, adapter_name, condition)
    if any(value.shape[0] != 1 for value in prepared.values()):
        lengths = {name: value.shape[0] for name, value in prepared.items()}
        raise ConfigError(f"wanted a single condition, got {lengths} values")
    return next(materialise_rows(tuner, adapter_name, prepared, with_head=with_head))


def prepare_values(
    tuner: "HyperAdapterModel", adapter_name: str, condition: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Conditions as the network reads them, one line per row, all of one length.

    Raises:
        ConfigError: The weights depend on the input, or a name is not known.
        ConditionError: A condition is missing, out of range, or of another length.
    """
    network = tuner.network(adapter_name)
    if network.token is not None:
        raise ConfigError(
            "the condition is a token of the input: no LoRA and no merged weight is equal to it"
        )
    _check_possible(network.spec.conditions, condition)
    return network.prepare(condition, network.device)


@torch.no_grad()
def materialise_rows(
    tuner: "HyperAdapterModel",
    adapter_name: str,
    prepared: Mapping[str, Tensor],
    *,
    with_head: bool = True,
) -> Iterator[Materialised]:
    """The weights of several conditions, which are written at once.

    Args:
        tuner: The tuner.
        adapter_name: Which adapter.
        prepared: What `prepare_values` gave, or some rows of it.
        with_head: Whether the head is asked for too.

    Raises:
        ConfigError: The form has no LoRA equivalent.
    """
    network = tuner.network(adapter_name)
    was_training = network.training
    network.eval()
    try:
        weights = network(prepared)
    finally:
        network.train(was_training)
    sites = [
        (place, _lora_at(place, weights.at(number, position)))
        for number, group in enumerate(network.spec.groups)
        for position, place in enumerate(group.placements)
    ]
    head = weights.head_per_row()
    for row in range(weights.n_rows or 1):
        lora: dict[str, PlainLoRA] = {}
        for place, (form, of_site) in sites:
            name = place.site.name
            lora[name] = _joined(lora.get(name), _plain(form, of_site, row))
        own = _plain_head(tuner, adapter_name, head, row) if with_head else ()
        yield Materialised(lora, own)


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


def _lora_at(place: Placement, weights: SiteWeights | None) -> tuple[LoRA, LoRAWeights]:
    if weights is None:
        raise ConfigError(
            f"{place.site.name} has an adapter for a first pass alone, and a merged model has one "
            "pass"
        )
    if not isinstance(place.form, LoRA) or not isinstance(weights, LoRAWeights):
        raise ConfigError(
            f"{place.site.name} has a bottleneck, which is not linear: no LoRA and no merged "
            "weight is equal to it"
        )
    return place.form, weights


def _plain(form: LoRA, weights: LoRAWeights, row: int) -> PlainLoRA:
    b = _of_row(weights.b, row) * form.scale
    if weights.gain is not None:
        b = b * _of_row(weights.gain, row)
    return PlainLoRA(_of_row(weights.a, row), b)


def _of_row(values: Tensor, row: int) -> Tensor:
    return values[row if values.shape[0] > 1 else 0]


def _joined(before: PlainLoRA | None, added: PlainLoRA) -> PlainLoRA:
    """The sum of two LoRAs is a LoRA of their ranks together."""
    if before is None:
        return added
    return PlainLoRA(torch.cat([before.a, added.a]), torch.cat([before.b, added.b], dim=1))


def _plain_head(
    tuner: "HyperAdapterModel", adapter_name: str, weights: HeadWeights, row: int
) -> tuple[PlainLayer, ...]:
    r"""The first layer with b' = b + W c for the shift c; the last with bias, taste and matrix.

    Taste and matrix M make W' = W + W_t diag(g) P + M of the last layer's weight W.
    """
    if all(part is None for part in weights.of_conditions):
        return ()
    config: Any = tuner.peft_config[adapter_name]
    name = find_head(tuner.model, config.task_type)
    trained = copy_of(tuner.model.get_submodule(name or ""), adapter_name)
    layers = head_layers(trained)
    if name is None or not layers:
        raise ConfigError("the classification head is gone")
    plain = {layer: _plain_layer(name, trained, layer) for layer in (layers[0], layers[-1])}
    if weights.gate is not None and weights.taste_in is not None and weights.taste_out is not None:
        last, taste = (
            plain[layers[-1]],
            (weights.taste_out * _of_row(weights.gate, row)) @ weights.taste_in,
        )
        plain[layers[-1]] = replace(last, weight=last.weight + taste.to(last.weight))
    if weights.matrix is not None:
        last, matrix = plain[layers[-1]], _of_row(weights.matrix, row)
        plain[layers[-1]] = replace(last, weight=last.weight + matrix.to(last.weight))
    if weights.shift is not None:
        first = plain[layers[0]]
        shifted = first.weight @ _of_row(weights.shift, row).to(first.weight)
        plain[layers[0]] = replace(first, bias=_added(first, shifted))
    if weights.bias is not None:
        last = plain[layers[-1]]
        plain[layers[-1]] = replace(last, bias=_added(last, _of_row(weights.bias, row)))
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
