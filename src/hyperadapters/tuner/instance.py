"""The input itself as a condition: pooled states of the backbone, computed once per call."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hyperadapters.conditions import Instance, Pool
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.tuner.conditioning import Conditioning

_READ = ("input_ids", "inputs_embeds", "attention_mask", "token_type_ids", "position_ids")
IGNORED = -100


def is_decoder(model: nn.Module) -> bool:
    """Whether the model writes on from its input, so that only the prompt may be looked at."""
    config = getattr(model, "config", None)
    can_generate = getattr(model, "can_generate", None)
    return bool(can_generate and can_generate()) and not getattr(
        config, "is_encoder_decoder", False
    )


def reader_of(model: nn.Module) -> nn.Module:
    """The part of the model whose states are pooled: its encoder, or all but its head."""
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return model.get_encoder()  # pyright: ignore[reportCallIssue]
    return getattr(model, "base_model", model)  # pyright: ignore[reportReturnType]


def states_width(model: nn.Module) -> int | None:
    """Width of the states that are pooled; `None` where the configuration does not say."""
    reader: Any = reader_of(model)
    config = getattr(reader, "config", None) or getattr(model, "config", None)
    return getattr(config, "hidden_size", None) or getattr(config, "d_model", None)


def pooled(
    model: nn.Module,
    conditioning: Conditioning,
    conditions: Mapping[str, Instance],
    inputs: Mapping[str, Any],
    *,
    generating: bool = False,
) -> dict[str, Tensor]:
    """The conditions that the input itself is, from one pass without adapters or dropout.

    Args:
        model: The Transformers model.
        conditioning: Its conditioning; adapters are off meanwhile.
        conditions: Name → which states, and how they are pooled.
        inputs: Arguments of the call by name.
        generating: Whether the call is `generate`: then all of the input is the prompt.

    Returns:
        Name → pooled states, shape ``(rows, width)``.

    Raises:
        ConditionError: There is no input to read, no prompt before the labels, or, in training, no
            way to tell the prompt.
        ConfigError: The backbone has no such layer.
    """
    given: dict[str, Any] = {name: inputs[name] for name in _READ if inputs.get(name) is not None}
    if generating and "input_ids" not in given and isinstance(inputs.get("inputs"), Tensor):
        given["input_ids"] = inputs["inputs"]
    if "input_ids" not in given and "inputs_embeds" not in given:
        raise ConditionError(
            "an Instance condition reads the input: got neither input_ids nor inputs_embeds; pass "
            "one of them, or the pooled states by the condition's own keyword"
        )
    first = given.get("input_ids", given.get("inputs_embeds"))
    assert isinstance(first, Tensor)  # noqa: S101 - for the type checker
    mask = given.get("attention_mask")
    if mask is not None and mask.ndim != 2:
        raise ConditionError(
            f"an Instance condition pools over a mask of shape (rows, positions), got "
            f"{tuple(mask.shape)}"
        )
    if mask is None:
        mask = torch.ones(first.shape[:2], dtype=torch.long, device=first.device)
    if is_decoder(model) and "position_ids" not in given:
        # With padding on the left, a text must not depend on how much of it there is.
        given["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
    if is_decoder(model) and not generating:
        mask = _prompt(mask, inputs.get("labels"), training=model.training)
    layers = _states(model, conditioning, [c.layer for c in conditions.values()], given)
    return {name: pool(layers[c.layer], mask, c.pool) for name, c in conditions.items()}


def pool(
    states: Float[Tensor, "rows positions width"], mask: Int[Tensor, "rows positions"], how: Pool
) -> Float[Tensor, "rows width"]:
    """One vector per row from the states where `mask` is 1; at least one per row has to be."""
    kept = mask.bool().unsqueeze(-1)
    if how == "mean":
        summed = torch.where(kept, states, 0.0).sum(dim=1)
        return summed / mask.sum(dim=1, keepdim=True).clamp(min=1).to(states.dtype)
    if how == "max":
        return states.masked_fill(~kept, float("-inf")).amax(dim=1)
    positions = torch.arange(mask.shape[1], device=mask.device)
    order = positions if how == "last" else positions.flip(0)
    chosen = (mask * (order + 1)).argmax(dim=1)
    return states[torch.arange(states.shape[0], device=states.device), chosen]


def _states(
    model: nn.Module, conditioning: Conditioning, layers: Sequence[int], given: dict[str, Any]
) -> dict[int, Tensor]:
    reader: Any = reader_of(model)
    whole = set(layers) == {-1}
    with torch.no_grad(), conditioning.held(None, enabled=False), _evaluating(reader):
        arguments = given if whole else {**given, "output_hidden_states": True}
        output = reader(**_accepted(reader, arguments), return_dict=True)
    if whole:
        return {-1: output.last_hidden_state}
    known = len(output.hidden_states)
    for layer in layers:
        if not -known <= layer < known:
            raise ConfigError(
                f"an Instance condition reads layer {layer}, but the backbone has states 0 (the "
                f"embeddings) to {known - 1}"
            )
    return {
        layer: output.last_hidden_state if layer == -1 else output.hidden_states[layer]
        for layer in layers
    }


def _accepted(reader: nn.Module, given: dict[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(reader.forward).parameters
    return {n: v for n, v in given.items() if n in parameters or n not in _READ}


def _prompt(mask: Tensor, labels: Any, *, training: bool) -> Tensor:
    if not isinstance(labels, Tensor) or labels.shape != mask.shape:
        if training:
            raise ConditionError(
                "an Instance condition reads only the prompt, and in training only labels tell "
                "where it ends; pass labels (label smoothing and own losses take them away from "
                "the model), or the pooled states by the condition's own keyword"
            )
        return mask
    # Later positions have read the answer, whatever their own label is.
    answered = ((labels != IGNORED) & mask.bool()).cumsum(dim=1)
    prompt = mask * (answered == 0).to(mask.dtype)
    if bool((prompt.sum(dim=1) == 0).any()):
        row = int((prompt.sum(dim=1) == 0).nonzero()[0, 0])
        raise ConditionError(
            f"row {row} has no prompt: an Instance condition reads only positions before the first "
            f"label that is not {IGNORED}, or the answer would leak into the weights"
        )
    return prompt


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = {part: part.training for part in module.modules() if part.training}
    for part in modes:
        part.training = False
    try:
        yield
    finally:
        for part in modes:
            part.training = True
