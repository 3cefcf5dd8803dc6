"""Types and shapes checked while tests run, without paying for shapes where there are none.

The import hook of jaxtyping (`--jaxtyping-packages`) decorates every function of the package. Its
decorator binds the arguments of every call and checks them twice, which is needed only where a
shape is declared. Other functions are given to beartype alone, with the same error. A test that
calls the same function many times pays for the shapes of its first calls alone.
"""

import functools
import inspect
import typing
from collections import Counter
from collections.abc import Callable
from types import FunctionType
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(violation_type=jaxtyping.TypeCheckError))
_with_shapes = jaxtyping.jaxtyped
CHECKED_CALLS = 25
_calls: Counter[str] = Counter()


def install() -> None:
    """Put the quicker decorator in the place of jaxtyping's, before the package is imported."""
    jaxtyping.jaxtyped = jaxtyped


def begin_test() -> None:
    """Check the shapes of all functions again."""
    _calls.clear()


def jaxtyped(fn: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
    """As `jaxtyping.jaxtyped`: the types of everything, and shapes where they are declared."""
    if fn is None:
        return lambda fn: jaxtyped(fn, typechecker=typechecker)
    if not isinstance(fn, FunctionType):
        return _with_shapes(fn, typechecker=typechecker)
    written = dict(fn.__annotations__)
    read = {name: _read(annotation, fn) for name, annotation in written.items()}
    if any(_has_shape(annotation) for annotation in read.values()):
        return _first_calls(_with_shapes(fn, typechecker=typechecker), fn)
    if "<locals>" in fn.__qualname__:  # would be compiled anew by every call around it
        return fn
    fn.__annotations__ = read
    checked = _check(fn)
    fn.__annotations__ = written
    if checked is not fn:
        checked.__annotations__ = dict(written)
    return checked


def _first_calls(checked: Callable[..., Any], fn: FunctionType) -> Callable[..., Any]:
    """The function, checked in the first calls of a test."""
    name = f"{fn.__module__}.{fn.__qualname__}"

    @functools.wraps(fn)
    def either(*args: Any, **kwargs: Any) -> Any:
        _calls[name] += 1
        return (checked if _calls[name] <= CHECKED_CALLS else fn)(*args, **kwargs)

    return either


def _read(annotation: Any, fn: FunctionType) -> Any:
    """An annotation without quotes; anything where names are known to type checkers alone."""

    def holder() -> None: ...

    holder.__annotations__ = {"value": annotation}
    try:
        hints = typing.get_type_hints(holder, fn.__globals__, include_extras=True)
    except Exception:  # what jaxtyping does: shapes that only people read
        return Any
    return hints["value"]


def _has_shape(annotation: Any) -> bool:
    if inspect.isclass(annotation) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return any(_has_shape(part) for part in typing.get_args(annotation) if part is not annotation)
