"""Keys and values that were computed under one condition are not used under another.

In a graph of `torch.compile` nothing is checked: the check compares numbers.
"""

from collections.abc import Mapping
from typing import Any

from hyperadapters.errors import ConditionError
from hyperadapters.tuner.active import Active

# Attribute of a cache object: what was applied when it was filled.
MADE_UNDER = "_hyperadapters_made_under"
BACKBONE = "the backbone alone"


def holds_states(cache: Any) -> bool:
    """Whether there is anything in the cache."""
    length = getattr(cache, "get_seq_length", None)
    return cache is not None and length is not None and int(length()) > 0


def made_under(cache: Any) -> Active | str | None:
    """What the cache was filled under; `None` if it was not filled by this model."""
    return getattr(cache, MADE_UNDER, None)


def check(cache: Any, active: Active | None) -> None:
    """Refuse a cache that was filled under other conditions.

    Args:
        cache: `past_key_values` of the call.
        active: What is applied; `None` is the backbone alone.

    Raises:
        ConditionError: It was, or it is not known what it was filled under.
    """
    if not holds_states(cache):
        return
    before = made_under(cache)
    if active is None:
        if isinstance(before, Active):
            raise ConditionError(
                "the cache holds keys and values of an adapter, but the adapter is disabled now; "
                "start with a new cache"
            )
        return
    if not isinstance(before, Active):
        raise ConditionError(
            "the cache holds keys and values that were computed without the adapter (by the "
            "backbone alone); start with a new cache"
        )
    if not before.same_conditions(active):
        raise ConditionError(
            "the cache holds keys and values that were computed under other conditions, or by "
            "another adapter; start with a new cache"
        )


def mark(output: Any, inputs: Mapping[str, Any], active: Active | None) -> None:
    """Note in the caches that a call returns, or has filled, what they were filled under."""
    parts = output if isinstance(output, tuple) else (getattr(output, "past_key_values", None),)
    for cache in (*parts, inputs.get("past_key_values")):
        if hasattr(cache, "get_seq_length") and hasattr(cache, "__dict__"):
            setattr(cache, MADE_UNDER, active if active is not None else BACKBONE)
