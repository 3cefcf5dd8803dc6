"""How the value of an attribute is written, and the bucket that a spelling falls into."""

import hashlib
from typing import Any

import numpy as np

from hyperadapters.errors import ConditionError

_MISSING = ("nan", "<na>", "nat")  # how NaN, pandas.NA and NaT print


def spellings(value: Any) -> tuple[str, ...]:
    """The ways to write a value, the canonical one last; none when the value is missing.

    Missing are ``None``, NaN (also that of pandas) and the empty string. A float without a
    fraction is canonically written without a point: pandas makes 1.0 of a 1 as soon as the column
    has a hole.

    Raises:
        ConditionError: The value is a collection.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return (str(value),) if value else ()
    if hasattr(value, "__len__"):
        raise ConditionError(f"got {value!r}, wanted one string or number")
    text = str(value)
    if text.lower() in _MISSING:
        return ()
    if not isinstance(value, float | np.floating):
        return (text,)
    number = float(text)
    return (text, str(int(number))) if number.is_integer() else (text,)


def bucket(text: str, buckets: int) -> int:
    """A number from 0 to ``buckets - 1``, the same on every machine and in every process."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % buckets
