"""Conditions as keywords of the model's own `forward` and `generate`.

`PeftModel` does not pass every keyword on, and Transformers swallows unknown ones without a word.
So the entry points of the *inner* model are replaced on the instance: they take the conditions out,
generate the weights once, and run the original. The signature names the conditions, which is how
`Trainer` knows to keep their columns.
"""

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from hyperadapters.conditions import Instance, InstanceSource
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.tuner import cache, checkpointing
from hyperadapters.tuner.active import Active
from hyperadapters.tuner.conditioning import ATTRIBUTE, Conditioning
from hyperadapters.tuner.instance import first_pass, is_decoder, pooled, read_outputs
from hyperadapters.tuner.names import check_keywords
from hyperadapters.tuner.token import with_tokens

ENTRY_POINTS = ("forward", "generate")
PAST = "past_key_values"
_OF_PROMPT: tuple[InstanceSource, ...] = ("backbone", "first-pass")

# Instance attribute with the entry points that the instance had of its own, such as those that
# Accelerate puts there for a model that is spread over devices.
OWN = "_hyperadapters_own"

# Arguments of a packed batch: it has one row, and says in another way where a text begins.
PACKED = ("cu_seq_lens_q", "cu_seq_lens_k", "seq_idx")


def install(model: nn.Module, conditioning: Conditioning, names: Sequence[str]) -> None:
    """Make `forward` and `generate` of this instance take the conditions `names`.

    Raises:
        ConfigError: The model has an argument of that name itself and would not get it any more.
    """
    # Of the class: an instance that is adapted already names its conditions.
    if taken := sorted(set(names) & set(inspect.signature(type(model).forward).parameters)):
        raise ConfigError(
            f"a condition cannot be called {', '.join(taken)}: {type(model).__name__}.forward has "
            "an argument of that name"
        )
    uninstall(model)
    state = model.__dict__
    state[ATTRIBUTE] = conditioning
    state[OWN] = {name: state[name] for name in ENTRY_POINTS if name in state}
    for entry_point in ENTRY_POINTS:
        if hasattr(model, entry_point):
            state[entry_point] = types.MethodType(_wrap(model, entry_point, names), model)
    checkpointing.install(model)


def uninstall(model: nn.Module) -> None:
    """Give the instance its own `forward` and `generate` back."""
    if model.__dict__.pop(ATTRIBUTE, None) is not None:
        checkpointing.uninstall(model)
        for entry_point in ENTRY_POINTS:
            model.__dict__.pop(entry_point, None)
        model.__dict__.update(model.__dict__.pop(OWN))


def _wrap(model: nn.Module, entry_point: str, names: Sequence[str]) -> Callable[..., Any]:
    function = getattr(type(model), entry_point)
    positions = [p for p in inspect.signature(function).parameters if p != "self"]
    generating = entry_point == "generate"

    @functools.wraps(function)
    def entry(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        # Both are looked up on the instance so that a deep copy finds its own.
        conditioning: Conditioning = self.__dict__[ATTRIBUTE]
        original = self.__dict__[OWN].get(entry_point) or functools.partial(function, self)
        conditions = {name: kwargs.pop(name, None) for name in names}
        inputs = {**dict(zip(positions, args, strict=False)), **kwargs}
        if conditioning.enabled:
            if not torch.compiler.is_compiling():
                check_keywords(kwargs.keys() - set(positions), names)
            conditions |= _instances(self, conditioning, conditions, inputs, generating)
        first = _read_first(conditioning, conditions, inputs)
        applied = conditioning.applied(
            conditions, _batch_rows(inputs), repeats=generating, first_pass=bool(first)
        )
        # Transformers writes without gradient; nothing made beforehand needs one either.
        with torch.no_grad() if generating else nullcontext(), applied:
            if first:
                conditioning.complete(first_pass(self, first, inputs, generating=generating))
            _refuse_packed(inputs, conditioning.active if conditioning.enabled else None)
            with _cached(conditioning, inputs) as seen:
                if tokens := conditioning.tokens():
                    args, kwargs = (), with_tokens(self, tokens, inputs)
                output = original(*args, **kwargs)
                seen.append(output)
            return output

    entry.__signature__ = _signature(function, names)  # pyright: ignore[reportAttributeAccessIssue]
    return entry


def _instances(
    model: nn.Module,
    conditioning: Conditioning,
    conditions: Mapping[str, Any],
    inputs: Mapping[str, Any],
    generating: bool,
) -> dict[str, Any]:
    """The conditions that are the input itself, where they are not known yet."""
    others_given = any(value is not None for value in conditions.values())
    if conditioning.active is not None and not others_given:
        return {}
    found: dict[str, Any] = {}
    if inputs.get("encoder_outputs") is not None:
        # What the encoder would be run for is there already.
        read = conditioning.instances({**conditioning.waiting, **conditions}, "encoder")
        found = conditioning.controlled(read_outputs(read, inputs))
    given = {**conditioning.waiting, **conditions}
    missing, past = conditioning.instances(given, "backbone"), inputs.get(PAST)
    # An encoder reads its input again in every call.
    of_prompt = missing if not is_decoder(model) else conditioning.instances(given, *_OF_PROMPT)
    if of_prompt and cache.holds_states(past):
        # The prompt is in the cache, and with it what was made of it.
        before = cache.made_under(past)
        known = before.conditions.values() if isinstance(before, Active) else ()
        kept = {
            name: value for given in known for name, value in given.items() if name in of_prompt
        }
        return found | kept
    if not missing:
        return found
    read = pooled(model, conditioning, missing, inputs, generating=generating)
    return found | conditioning.controlled(read)


def _read_first(
    conditioning: Conditioning, conditions: Mapping[str, Any], inputs: Mapping[str, Any]
) -> dict[str, Instance]:
    """The conditions for which the input is read in a pass of its own, if there are any."""
    others_given = any(value is not None for value in conditions.values())
    inside = conditioning.active is not None and not others_given
    if not conditioning.enabled or inside or inputs.get("encoder_outputs") is not None:
        return {}
    return conditioning.instances({**conditioning.waiting, **conditions}, "first-pass")


@contextmanager
def _cached(conditioning: Conditioning, inputs: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Check the cache that a call is given, and mark those that it gives back."""
    if torch.compiler.is_compiling():
        yield []
        return
    before, past = conditioning.active if conditioning.enabled else None, inputs.get(PAST)
    waiting, goes_on = before is not None and bool(before.pending), cache.holds_states(past)
    if not waiting:
        cache.check(past, before)
    outputs: list[Any] = []
    yield outputs
    # The encoder may have completed the conditions meanwhile.
    after = conditioning.active if conditioning.enabled else None
    if waiting:
        _check_complete(after, conditioning)
        if goes_on:
            cache.check(past, after)
    for output in outputs:
        cache.mark(output, inputs, after)


def _check_complete(active: Active | None, conditioning: Conditioning) -> None:
    if active is None:
        return
    if missing := active.pending & conditioning.instances({}, "encoder").keys():
        raise ConditionError(
            f"{', '.join(sorted(missing))} is what the encoder makes of the input, and in "
            "this call the encoder has not run"
        )
    # A first pass may be left out where the encoder's output was handed over, if it was for the
    # encoder alone.
    specs = [conditioning.tuner.network(adapter).spec for adapter in active.weights]
    written = {name for spec in specs if spec.writes_head for name in spec.stages}
    if missing := active.pending & written:
        raise ConditionError(
            f"the head is written from {', '.join(sorted(missing))}, a first pass over the input, "
            "and with encoder_outputs there is none; leave them out, or pass the pooled states by "
            "the condition's own keyword"
        )


def _signature(function: Callable[..., Any], names: Sequence[str]) -> inspect.Signature:
    parameters = list(inspect.signature(function).parameters.values())
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(name, keyword, default=None) for name in names]
    if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        return inspect.Signature([*parameters[:-1], *added, parameters[-1]])
    return inspect.Signature([*parameters, *added])


def _batch_rows(inputs: Mapping[str, Any]) -> int | None:
    """Number of rows of the batch, read from the first tensor that says so."""
    encoded = inputs.get("encoder_outputs")
    states = encoded[0] if isinstance(encoded, tuple) and encoded else None
    states = getattr(encoded, "last_hidden_state", states)
    named = [inputs.get(name) for name in ("input_ids", "inputs_embeds", "inputs")]
    # Pictures, sounds, and whatever else a model reads.
    others = [v for v in inputs.values() if isinstance(v, Tensor) and v.ndim > 1]
    tensors = [value for value in (*named, states, *others) if isinstance(value, Tensor)]
    return int(tensors[0].shape[0]) if tensors and tensors[0].ndim else None


def _refuse_packed(inputs: Mapping[str, Any], active: Active | None) -> None:
    if active is None or active.n_rows is None:
        return
    if found := [name for name in PACKED if inputs.get(name) is not None]:
        raise ConditionError(
            f"got a packed batch ({', '.join(found)}) with conditions of {active.n_rows} rows; "
            "wanted one padded row per condition"
        )
