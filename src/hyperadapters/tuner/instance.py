"""The input itself as a condition: pooled states of the backbone, computed once per call.

They are those of a pass without adapters (`pooled`), of a first pass with adapters and gradient
(`first_pass`), or of the encoder in the call itself (`EncoderReader`).
"""

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
    given, mask = _readable(model, inputs, generating=generating)
    wanted = [c.layer for c in conditions.values()]
    with torch.no_grad(), conditioning.held(None, enabled=False), _evaluating(reader_of(model)):
        layers = _states(model, wanted, given)
    return {name: pool(layers[c.layer], mask, c.pool) for name, c in conditions.items()}


def first_pass(
    model: nn.Module,
    conditions: Mapping[str, Instance],
    inputs: Mapping[str, Any],
    *,
    generating: bool = False,
) -> dict[str, Tensor]:
    """The conditions that are read in a first pass, with the adapters that are in force.

    Arguments, result and errors are those of `pooled`.
    """
    given, mask = _readable(model, inputs, generating=generating)
    states = _states(model, [-1], given)[-1]
    return {name: pool(states, mask, c.pool) for name, c in conditions.items()}


def read_outputs(
    conditions: Mapping[str, Instance], inputs: Mapping[str, Any]
) -> dict[str, Tensor]:
    """The conditions that an encoder has read already, whose output is handed over.

    Args:
        conditions: Name → how its states are pooled.
        inputs: Arguments of the call by name, `encoder_outputs` among them.
    """
    encoded = inputs["encoder_outputs"]
    states = getattr(encoded, "last_hidden_state", None)
    states = encoded[0] if states is None else states
    mask = _rows_mask(states, inputs.get("attention_mask"))
    return {name: pool(states, mask, c.pool) for name, c in conditions.items()}


def check_has_decoder(model: nn.Module) -> None:
    """Refuse a model whose encoder cannot be read for its decoder.

    Raises:
        ConfigError: The model has no encoder beside a decoder.
    """
    if not getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        raise ConfigError(
            "Instance(source='encoder') reads the encoder for the decoder, and "
            f"{type(model).__name__} has no decoder; use source='first-pass' or 'backbone'"
        )


class EncoderReader:
    """A hook on the encoder of one model: what it gives completes the weights of the decoder.

    Args:
        model: The Transformers model, with encoder and decoder.
        conditioning: Its conditioning.
    """

    def __init__(self, model: nn.Module, conditioning: Conditioning) -> None:
        self.conditioning = conditioning
        self._handle = reader_of(model).register_forward_hook(self.read, with_kwargs=True)

    def remove(self) -> None:
        """Take the hook off."""
        self._handle.remove()

    def read(
        self, encoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        """Complete what is pending; a first pass is not the one that counts."""
        conditioning = self.conditioning
        active = conditioning.active
        if not conditioning.is_active or active is None or active.first_pass:
            return
        wanted = {n: c for n, c in conditioning.instances({}).items() if n in active.pending}
        if not wanted:
            return
        names = inspect.signature(encoder.forward).parameters
        given = {**dict(zip(names, args, strict=False)), **kwargs, "encoder_outputs": output}
        conditioning.complete(read_outputs(wanted, given))


def _readable(
    model: nn.Module, inputs: Mapping[str, Any], *, generating: bool
) -> tuple[dict[str, Any], Tensor]:
    """What the reading part of the model is called with, and where it may be looked at."""
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
    mask = _rows_mask(first, given.get("attention_mask"))
    if is_decoder(model) and "position_ids" not in given:
        # With padding on the left, a text must not depend on how much of it there is.
        given["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
    if is_decoder(model) and not generating:
        mask = _prompt(mask, inputs.get("labels"), training=model.training)
    return given, mask


def _rows_mask(states: Tensor, mask: Any) -> Tensor:
    if mask is None:
        return torch.ones(states.shape[:2], dtype=torch.long, device=states.device)
    if mask.ndim != 2:
        raise ConditionError(
            f"an Instance condition pools over a mask of shape (rows, positions), got "
            f"{tuple(mask.shape)}"
        )
    return mask


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


def _states(model: nn.Module, layers: Sequence[int], given: dict[str, Any]) -> dict[int, Tensor]:
    reader: Any = reader_of(model)
    whole = set(layers) == {-1}
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
