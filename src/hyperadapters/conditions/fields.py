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

Reading = Literal["normalised", "plain", "none"]
"""What reads a vector before the hypernetwork does.

``"normalised"``: a norm, a linear map, GELU, a linear map. ``"plain"``: a linear map, ReLU, a
linear map, all as wide as the vector, with PyTorch's start, as Ivison & Peters 2022. ``"none"``:
nothing, the vector is taken as it is. The last two are for the published hypernetworks, to which a
vector of zero is not the population.
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


def check_reading(kind: str, value: Any, encoded: int | None, hidden: int | None) -> None:
    """Refuse what is not a `Reading`, and widths that it does not have.

    Raises:
        ConfigError: The value is none of the readings, or a width is given that has no meaning.
    """
    if value not in get_args(Reading):
        raise ConfigError(
            f"{kind}'s reading must be 'normalised', 'plain' or 'none', got {value!r}"
        )
    if value == "none" and (encoded or hidden):
        raise ConfigError(f"{kind} with reading='none' has no encoded_width and no hidden_width")
