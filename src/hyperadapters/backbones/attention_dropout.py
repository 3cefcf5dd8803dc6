"""Switching off a backbone's own dropout of attention weights.

On a CPU, drawing a number for every pair of tokens takes longer than the attention itself: with 192
tokens a forward pass through it takes ten times as long as without.
"""

from torch import nn

QUERIES = ("q", "query", "q_proj")
"""What the projection of queries is called in the attention of any family."""


def stop_attention_dropout(model: nn.Module) -> int:
    """Set dropout of attention weights to 0, in training too; other dropout stays.

    Args:
        model: Any model of Transformers, adapted or not. What computes attention is found by its
            projection of queries.

    Returns:
        In how many modules there was dropout of attention weights.
    """
    n_changed = 0
    for module in model.modules():
        if not any(name in module._modules for name in QUERIES):
            continue
        for name in ("dropout", "attention_dropout"):
            value = getattr(module, name, None)
            if isinstance(value, nn.Dropout) and value.p:
                value.p = 0.0
                n_changed += 1
            elif isinstance(value, float) and value:
                setattr(module, name, 0.0)
                n_changed += 1
    return n_changed
