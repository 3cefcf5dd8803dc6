"""Conditions as keywords of the model's own `forward` and `generate`.

`PeftModel` does not pass every keyword on, and Transformers swallows unknown ones without a word.
So the entry points of the *inner* model are replaced on the instance: they take the conditions out,
generate the weights once, and run the original. The signature names the conditions, which is how
`Trainer` knows to keep their columns.
"""

import functools
import inspect
import types
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from hyperadapters.errors import ConfigError
from hyperadapters.tuner.conditioning import ATTRIBUTE, Conditioning

ENTRY_POINTS = ("forward", "generate")

# Instance attribute with the entry points that the instance had of its own, such as those that
# Accelerate puts there for a model that is spread over devices.
OWN = "_hyperadapters_own"


def install(model: nn.Module, conditioning: Conditioning, names: Sequence[str]) -> None:
    """Make `forward` and `generate` of this instance take the conditions `names`.

    Raises:
        ConfigError: The model has an argument of that name itself and would not get it any more.
    """
    uninstall(model)
    if taken := sorted(set(names) & set(inspect.signature(model.forward).parameters)):
        raise ConfigError(
            f"a condition cannot be called {', '.join(taken)}: {type(model).__name__}.forward has "
            "an argument of that name"
        )
    state = model.__dict__
    state[ATTRIBUTE] = conditioning
    state[OWN] = {name: state[name] for name in ENTRY_POINTS if name in state}
    for entry_point in ENTRY_POINTS:
        if hasattr(model, entry_point):
            state[entry_point] = types.MethodType(_wrap(model, entry_point, names), model)


def uninstall(model: nn.Module) -> None:
    """Give the instance its own `forward` and `generate` back."""
    if model.__dict__.pop(ATTRIBUTE, None) is not None:
        for entry_point in ENTRY_POINTS:
            model.__dict__.pop(entry_point, None)
        model.__dict__.update(model.__dict__.pop(OWN))


def _wrap(model: nn.Module, entry_point: str, names: Sequence[str]) -> Callable[..., Any]:
    function = getattr(type(model), entry_point)

    @functools.wraps(function)
    def entry(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        # Both are looked up on the instance so that a deep copy finds its own.
        conditioning: Conditioning = self.__dict__[ATTRIBUTE]
        original = self.__dict__[OWN].get(entry_point) or functools.partial(function, self)
        conditions = {name: kwargs.pop(name, None) for name in names}
        with conditioning.applied(conditions, _batch_rows(args, kwargs)):
            return original(*args, **kwargs)

    entry.__signature__ = _signature(function, names)  # pyright: ignore[reportAttributeAccessIssue]
    return entry


def _signature(function: Callable[..., Any], names: Sequence[str]) -> inspect.Signature:
    parameters = list(inspect.signature(function).parameters.values())
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(name, keyword, default=None) for name in names]
    if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        return inspect.Signature([*parameters[:-1], *added, parameters[-1]])
    return inspect.Signature([*parameters, *added])


def _batch_rows(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Number of rows of the batch, read from the first tensor that says so."""
    for name in ("input_ids", "inputs_embeds", "inputs", "decoder_input_ids"):
        value = kwargs.get(name)
        if isinstance(value, Tensor):
            return int(value.shape[0])
    return int(args[0].shape[0]) if args and isinstance(args[0], Tensor) else None
