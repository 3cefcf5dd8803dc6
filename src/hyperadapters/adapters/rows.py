"""Weights of n conditions, applied to the rows of a batch without a loop and without copies.

When a batch has k·n rows for n sets of weights (beams, several choices), k neighbouring rows share
a set: Transformers repeats rows next to each other.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.errors import AdapterShapeError


def project(
    x: Float[Tensor, "rows *positions width"], factor: Float[Tensor, "n out width"]
) -> Float[Tensor, "rows *positions out"]:
    """`factor · x` for every row: one batched product.

    Args:
        x: Rows of input, shape ``(rows, ..., width)``.
        factor: One matrix per condition; with n = 1 it serves all rows.

    Raises:
        AdapterShapeError: The number of rows is not a multiple of n, as happens when a batch was
            packed or unpadded, or the input is a flat list of tokens.
    """
    n = factor.shape[0]
    if n == 1:
        return torch.nn.functional.linear(x, factor[0])
    check_rows(x, n)
    grouped = x.reshape(n, -1, x.shape[-1])
    return torch.bmm(grouped, factor.transpose(1, 2)).reshape(*x.shape[:-1], factor.shape[1])


def check_rows(x: Tensor, n: int) -> None:
    """Whether weights of n rows can be applied to the input of a module.

    Raises:
        AdapterShapeError: As for `project`.
    """
    rows = x.shape[0]
    if n > 1 and (rows % n or (x.ndim == 2 and rows != n)):
        raise AdapterShapeError(
            f"got an input of shape {tuple(x.shape)} for weights of {n} rows; wanted one row of "
            "input per condition (packed, unpadded or flattened batches cannot be adapted per row)"
        )


def add_per_row(
    x: Float[Tensor, "rows *positions width"], values: Float[Tensor, "n width"]
) -> Float[Tensor, "rows *positions width"]:
    """`x` plus one vector per row, the same at every position; n divides the number of rows.

    Raises:
        AdapterShapeError: The number of rows is not a multiple of n.
    """
    if values.shape[0] == 1:
        return x + values[0].to(x.dtype)
    return torch.reshape(grouped(x, values) + values.to(x.dtype).unsqueeze(1), x.shape)


def scale_per_row(
    x: Float[Tensor, "rows *positions width"], values: Float[Tensor, "n width"]
) -> Float[Tensor, "rows *positions width"]:
    """`x` times one vector per row, the same at every position; n divides the number of rows.

    Raises:
        AdapterShapeError: The number of rows is not a multiple of n.
    """
    if values.shape[0] == 1:
        return x * values[0].to(x.dtype)
    return torch.reshape(grouped(x, values) * values.to(x.dtype).unsqueeze(1), x.shape)


def taken(values: Tensor, rows: Int[Tensor, " rows"] | None) -> Tensor:
    """Values of the condition of each row; what does not depend on it is left uncopied."""
    if rows is None or values.shape[0] == 1:
        return values
    return values.index_select(0, rows)


def grouped(x: Tensor, values: Tensor) -> Tensor:
    """`x` with the rows of one set of values side by side, shape ``(n, rows / n, width)``.

    Raises:
        AdapterShapeError: The number of rows is not a multiple of n.
    """
    n, rows = values.shape[0], x.shape[0]
    if rows % n:
        raise AdapterShapeError(
            f"got {rows} rows for values of {n} rows; wanted one row per condition"
        )
    return x.reshape(n, -1, x.shape[-1])
