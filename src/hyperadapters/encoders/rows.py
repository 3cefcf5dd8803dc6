"""Some rows of a large table, and a gradient that is no larger than what was read.

The gradient of `index_select` has the size of the whole table. Where there are a million annotators
and a batch reads 64 of them, that gradient, and every step over it, is nearly all zeros. A table
whose module says `sparse_gradient` gets a sparse one (``torch.sparse_coo``) with the rows that were
read. Optimisers that know only dense gradients refuse it, so it is off unless training asks for it.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hyperadapters.conditions import POPULATION


@runtime_checkable
class HasTables(Protocol):
    """A module with tables of one row per condition.

    Attributes:
        sparse_gradient: Whether rows that are looked up give a sparse gradient.
    """

    sparse_gradient: bool

    def tables(self) -> list[nn.Parameter]:
        """The tables, each of shape ``(size, ...)``."""
        ...


def look_up(
    table: Float[Tensor, "size *shape"], index: Int[Tensor, " n"], *, sparse: bool = False
) -> Float[Tensor, "n *shape"]:
    """Rows of a table; for index -1 some row or other, which gets no gradient from it if sparse.

    Args:
        table: One row per condition.
        index: From -1 to ``size - 1``, not checked.
        sparse: Whether the gradient of the table is sparse.
    """
    if sparse:
        rows: Any = _SparseRows.apply(table, index)
        return rows
    return table.index_select(0, index.clamp(min=0))


def all_known(index: Int[Tensor, " n"]) -> bool:
    """Whether no index is -1; `False` also where numbers cannot be looked at (tracing, meta)."""
    if torch.compiler.is_compiling() or index.is_meta:
        return False
    return not bool((index == POPULATION).any())


class _SparseRows(torch.autograd.Function):
    """As `index_select`; the gradient has the rows that were read, and no others."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor) -> Tensor:  # pyright: ignore
        ctx.save_for_backward(index)
        ctx.shape = table.shape
        return table.index_select(0, index.clamp(min=0))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None]:  # pyright: ignore
        (index,) = ctx.saved_tensors
        kept = index != POPULATION
        rows, values = index[kept].unsqueeze(0), gradient[kept]
        return torch.sparse_coo_tensor(rows, values, ctx.shape, check_invariants=False), None
