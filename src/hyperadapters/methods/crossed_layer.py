"""A layer of a BERT-type encoder for all pairs of some texts and some annotators.

Up to the first layer in which annotators deviate their rows of a text are the same, and in that
layer much still is: what the frozen projections make of the text, and the keys where only query
and value are adapted. So states have an axis of annotators of their own, of length 1 while nothing
differs along it, and products are taken before it is spread: query and value once per text plus a
correction of rank r per annotator, in one batched product for all.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers.activations import GELUActivation

from hyperadapters.adapters import AdapterWeights, LoRAWeights
from hyperadapters.methods.fast_linear import fast_linear
from hyperadapters.tuner.layer import HyperAdapterLinear, Part

LAYERS = ("BertLayer", "CamembertLayer", "ElectraLayer", "RobertaLayer", "XLMRobertaLayer")
"""Classes of Transformers that compute what `CrossedLayer` does."""


class CrossedLayer:
    """Self-attention, feed-forward part and their norms, without dropout.

    Args:
        layer: A layer that `can_be_crossed`. Its frozen weights must not change meanwhile.
    """

    def __init__(self, layer: Any) -> None:
        attention, output = layer.attention.self, layer.attention.output
        self._query, self._key = _Product(attention.query), _Product(attention.key)
        self._value, self._mix = _Product(attention.value), _Product(output.dense)
        up = layer.intermediate.dense
        activation = layer.intermediate.intermediate_act_fn
        # In one step with the product where the two can be.
        joined = type(activation) is GELUActivation and not isinstance(up, HyperAdapterLinear)
        self._up, self._down = _Product(up, gelu=joined), _Product(layer.output.dense)
        self._activation = nn.Identity() if joined else activation
        self._n_heads: int = attention.num_attention_heads
        self._norms = output.LayerNorm, layer.output.LayerNorm

    def __call__(
        self,
        states: Float[Tensor, "spread texts positions width"],
        kept: Bool[Tensor, "texts positions"] | None,
        weights: AdapterWeights,
        n_read: int | None = None,
    ) -> Float[Tensor, "annotators texts read width"]:
        """The states above the layer.

        Args:
            states: Those below it; the first axis is that of the annotators, or of length 1 where
                all have the same.
            kept: Which positions are not padding; `None` for all.
            weights: Of the annotators, without row indices.
            n_read: Of how many positions, from the first one on, the states are wanted; of all by
                default.

        Returns:
            The first axis is of length 1 still where no annotator deviates here.
        """
        below = states if n_read is None else states[:, :, :n_read]
        query = self._query(below, weights)
        key, value = self._key(states, weights), self._value(states, weights)
        attended = self._attend(query, key, value, kept)
        mixed = self._norms[0](self._mix(attended, weights) + below)
        units = self._activation(self._up(mixed, weights))
        return self._norms[1](self._down(units, weights) + mixed)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, kept: Tensor | None) -> Tensor:
        spread = max(tensor.shape[0] for tensor in (query, key, value))
        texts, read, width = query.shape[1:]
        heads = [self._heads(tensor, spread) for tensor in (query, key, value)]
        mask = None
        if kept is not None:
            mask = kept[:, None, None].repeat(spread, 1, 1, 1)
        attended = nn.functional.scaled_dot_product_attention(*heads, attn_mask=mask)
        return attended.transpose(1, 2).reshape(spread, texts, read, width)

    def _heads(self, states: Tensor, spread: int) -> Float[Tensor, "rows heads positions part"]:
        _, texts, positions, width = states.shape
        split = states.expand(spread, *states.shape[1:]).reshape(
            spread * texts, positions, self._n_heads, width // self._n_heads
        )
        return split.transpose(1, 2)


class _Product:
    """A frozen linear layer with LoRA beside it, for states with an axis of annotators."""

    def __init__(self, layer: nn.Module, *, gelu: bool = False) -> None:
        adapted = isinstance(layer, HyperAdapterLinear)
        base = layer.base_layer if adapted else layer
        self._base = fast_linear(base, gelu=gelu)
        (self._parts,) = layer.hyperadapter_parts.values() if adapted else ([],)

    def __call__(self, states: Tensor, weights: AdapterWeights) -> Tensor:
        result = self._base(states)
        for part in self._parts:
            result = _corrected(result, states, part, weights)
        return result


def _corrected(result: Tensor, states: Tensor, part: Part, weights: AdapterWeights) -> Tensor:
    """`result + scale · B A states`, each annotator with factors of their own."""
    of_site = weights.at(part.group, part.site)
    assert isinstance(of_site, LoRAWeights)  # noqa: S101 - see `can_be_crossed`
    texts, positions, width = result.shape[1:]
    down = torch.matmul(states.flatten(1, 2), of_site.a.transpose(1, 2)) * part.form.scale
    if of_site.gain is not None:
        down = down * of_site.gain.unsqueeze(1)
    spread = max(result.shape[0], down.shape[0], of_site.b.shape[0])
    summed = torch.baddbmm(
        result.flatten(1, 2).expand(spread, -1, -1),
        down.expand(spread, -1, -1),
        of_site.b.transpose(1, 2).expand(spread, -1, -1),
    )
    return summed.view(spread, texts, positions, width)


def can_be_crossed(layer: Any) -> bool:
    """Whether `CrossedLayer` computes what a layer does, with one LoRA adapter."""
    if type(layer).__name__ not in LAYERS or layer.is_decoder:
        return False
    attention = layer.attention.self
    if getattr(attention, "position_embedding_type", "absolute") != "absolute":
        return False
    adapted = [module for module in layer.modules() if isinstance(module, HyperAdapterLinear)]
    return all(_has_one_lora(module) for module in adapted)


def _has_one_lora(module: HyperAdapterLinear) -> bool:
    adapters = list(module.hyperadapter_parts.values())
    forms = [hasattr(part.form, "r") for parts in adapters for part in parts]
    return len(adapters) == 1 and all(forms)
