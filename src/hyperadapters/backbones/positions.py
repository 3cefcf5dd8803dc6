"""How a backbone numbers the positions of a text."""

import sys
from typing import Any


def first_position(model: Any) -> int | None:
    """The number of the first word where words are counted and padding is not, as in RoBERTa.

    Returns:
        `None` where positions are counted from the left, padding or not, or have no numbers.
    """
    for module in model.modules():
        padding = getattr(module, "padding_idx", None)
        if padding is not None and hasattr(module, "create_position_ids_from_inputs_embeds"):
            return int(padding) + 1
    return None


def n_positions(model: Any) -> int:
    """How many positions a text can have; `sys.maxsize` where the model names no limit."""
    limit = getattr(model.config, "max_position_embeddings", None)
    # Some say -1 or 0 for none.
    return limit - (first_position(model) or 0) if limit and limit > 0 else sys.maxsize
