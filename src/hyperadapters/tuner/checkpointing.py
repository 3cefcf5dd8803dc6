"""Gradient checkpointing: a layer that is run again must see the weights of its first run.

By the time of the backward pass the call is over and its conditions are gone, and with two forward
passes before one backward pass they are not even unique. So every checkpoint takes its conditions
along, by the `context_fn` of `torch.utils.checkpoint`. Reentrant checkpointing has no such place.
"""

import functools
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from hyperadapters.errors import ConfigError
from hyperadapters.tuner.conditioning import ATTRIBUTE, Conditioning

# The one method of Transformers through which checkpointing is switched on and off.
SETTER = "_set_gradient_checkpointing"
FUNCTION = "_gradient_checkpointing_func"
# Instance attribute of everything that can be switched by itself: the whole model.
OUTER = "_hyperadapters_outer"


def install(model: nn.Module) -> None:
    """Let checkpoints of this model take their conditions along, also those switched on already."""
    for module in model.modules():
        if hasattr(type(module), SETTER):
            # In the dictionary of the instance it is no submodule, and a deep copy finds its own.
            module.__dict__[OUTER] = model
            module.__dict__[SETTER] = types.MethodType(_setter(type(module)), module)
        if getattr(module, "gradient_checkpointing", False) and hasattr(module, FUNCTION):
            setattr(module, FUNCTION, _carrying(getattr(module, FUNCTION), model))


def uninstall(model: nn.Module) -> None:
    """Take it back."""
    for module in model.modules():
        module.__dict__.pop(SETTER, None)
        module.__dict__.pop(OUTER, None)
        function = module.__dict__.get(FUNCTION)
        if isinstance(function, _Carrying):
            setattr(module, FUNCTION, function.original)


def _setter(cls: Any) -> Callable[..., Any]:
    original = getattr(cls, SETTER)

    @functools.wraps(original)
    def setter(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        outer = self.__dict__[OUTER]
        function = kwargs.get("gradient_checkpointing_func")
        if function is not None:
            kwargs["gradient_checkpointing_func"] = _carrying(function, outer)
        elif len(args) > 1:
            args = (args[0], _carrying(args[1], outer), *args[2:])
        return original(self, *args, **kwargs)

    return setter


class _Carrying:
    """A checkpoint function that hands the conditions over."""

    def __init__(self, original: Callable[..., Any], model: nn.Module) -> None:
        self.original = original
        self.model = model

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        theirs = getattr(self.original, "keywords", {}).get("context_fn")
        conditioning: Conditioning = self.model.__dict__[ATTRIBUTE]

        def contexts() -> tuple[Any, Any]:
            first, second = conditioning.recomputed()
            if theirs is None:
                return first, second
            their_first, their_second = theirs()
            return their_first, _both(their_second, second)

        return self.original(function, *args, **{**kwargs, "context_fn": contexts})


def _carrying(function: Callable[..., Any], model: nn.Module) -> Callable[..., Any]:
    if isinstance(function, _Carrying):
        return function
    if getattr(function, "keywords", {}).get("use_reentrant", False):
        raise ConfigError(
            "reentrant gradient checkpointing loses the gradient of generated weights; use "
            "gradient_checkpointing_kwargs={'use_reentrant': False}"
        )
    if "use_reentrant" not in getattr(function, "keywords", {}):
        function = functools.partial(function, use_reentrant=False)
    return _Carrying(function, model)


@contextmanager
def _both(first: Any, second: Any) -> Iterator[None]:
    with first, second:
        yield
