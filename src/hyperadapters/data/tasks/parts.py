"""A batch in two parts of like length: the same gradient, with less padding."""

import numpy as np
from jaxtyping import Int

# What a pass through a model costs beside its tokens, in tokens.
OVERHEAD = 400


def parts_of_like_length(
    rows: Int[np.ndarray, " n"], lengths: Int[np.ndarray, " n"]
) -> list[Int[np.ndarray, " _"]]:
    """The rows in one or two parts, short ones and long ones, whichever pads less.

    A sum over rows is the sum of those of its parts, so training on the parts one after the other
    gives the gradient of the batch.

    Args:
        rows: Row numbers.
        lengths: Tokens of each of them.
    """
    order = np.argsort(lengths, kind="stable")
    ordered, n = lengths[order], len(rows)
    if n < 2:
        return [rows]
    first = np.arange(1, n)
    cost = first * ordered[first - 1] + (n - first) * ordered[-1] + OVERHEAD
    best = int(cost.argmin())
    if cost[best] >= n * ordered[-1]:
        return [rows]
    # Rows keep their order, so that a batch in which nothing is gained stays as it is.
    short = np.sort(order[: first[best]])
    return [rows[short], np.delete(rows, short)]
