"""Checks that the declarations of all kinds of conditions share."""

import operator
from typing import Any, Literal, get_args

from hyperadapters.errors import ConfigError

POPULATION = -1
"""The index that stands for "nobody in particular": the shared adapter, without a deviation."""

UnknownPolicy = Literal["population", "error", "base"]
"""What a missing or unknown value means.

``"population"`` answers with the vector of nobody in particular, ``"error"`` refuses it, and
``"base"`` lets the row run through the backbone without any adapter.
"""


def whole_number(what: str, value: Any) -> int:
    """The value as a plain `int`, so that it can be written as JSON.

    Raises:
        ConfigError: It is not a whole number.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise ConfigError(f"{what} must be a whole number, got {value!r}") from None


def positive(kind: str, field: str, value: Any) -> int:
    """The value as a plain `int` of at least 1.

    Raises:
        ConfigError: It is not a whole number, or less than 1.
    """
    number = whole_number(f"{kind}'s {field}", value)
    if number < 1:
        article = "an" if field[0] in "aeiou" else "a"
        raise ConfigError(f"{kind} needs {article} {field} of at least 1, got {number}")
    return number


def optional_positive(kind: str, field: str, value: Any) -> int | None:
    """Like `positive`, and `None` stays `None`.

    Raises:
        ConfigError: It is not a whole number, or less than 1.
    """
    return None if value is None else positive(kind, field, value)


def check_unknown(kind: str, value: Any) -> None:
    """Refuse what is not an `UnknownPolicy`.

    Raises:
        ConfigError: The value is none of the policies.
    """
    if value not in get_args(UnknownPolicy):
        raise ConfigError(
            f"{kind}'s unknown must be 'population', 'error' or 'base', got {value!r}"
        )
