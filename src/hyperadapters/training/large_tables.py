"""Tables of very many rows, of which a step of training touches those of its batch alone.

Gradient, moments and update exist for the rows of the batch; moments and checkpoints for the rows
that were ever in one. So a step costs the same for a hundred annotators as for a million.

The step is Adam's (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980; decay as in AdamW), counted
for each row by itself: a row that is in every batch moves as under AdamW, and a row that is not in
the batch does not move, where AdamW would let it drift on along its old gradients.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hyperadapters.encoders.rows import HasTables
from hyperadapters.errors import RunError
from hyperadapters.training.row_store import RowStore

LARGE = 20_000
"""Number of rows from which a table is large. Smaller ones are trained as everything else."""


class LargeTable:
    """One table with what training has to remember about it.

    Args:
        parameter: The table, shape ``(size, ...)``, as it is before training.
    """

    def __init__(self, parameter: nn.Parameter) -> None:
        self.parameter = parameter
        shape = parameter.shape[1:]
        kept = {"step": (1,) * len(shape), "exp_avg": shape, "exp_avg_sq": shape}
        self.moments = RowStore(len(parameter), kept, parameter.detach())
        # Rows that have moved since the best evaluation, as they were at it.
        self.before: RowStore | None = None
        self._start = parameter[-1].detach().clone()

    @torch.no_grad()
    def step(self, group: Mapping[str, Any]) -> None:
        """Move the rows that have a gradient, and let go of it.

        Args:
            group: Options of AdamW: `lr`, `betas`, `eps`, `weight_decay`.
        """
        table, gradient = self.parameter, self.parameter.grad
        if gradient is None:
            return
        rows, values = _rows_of(gradient)
        table.grad = None
        if self.before is not None:
            self._remember(rows, self.before)
        (first, second), rate = group["betas"], group["lr"]
        lines = self.moments.lines(rows)
        step = self.moments["step"].index_select(0, lines).add_(1)
        mean = self.moments["exp_avg"].index_select(0, lines).lerp_(values, 1 - first)
        square = self.moments["exp_avg_sq"].index_select(0, lines)
        square.mul_(second).addcmul_(values, values, value=1 - second)
        for name, value in (("step", step), ("exp_avg", mean), ("exp_avg_sq", square)):
            self.moments[name].index_copy_(0, lines, value)
        count = step.double()
        scale = square.sqrt_().div_((1 - second**count).sqrt().to(values)).add_(group["eps"])
        moved = mean.div_(scale).mul_((rate / (1 - first**count)).to(values))
        kept = table.index_select(0, rows).mul_(1 - rate * group["weight_decay"])
        table.index_copy_(0, rows, kept.sub_(moved))

    def keep(self) -> None:
        """Let `restore` come back to how the table is now."""
        shapes = {"values": self.parameter.shape[1:]}
        self.before = RowStore(len(self.parameter), shapes, self.parameter.detach())

    @torch.no_grad()
    def restore(self) -> None:
        """Go back to the last `keep`."""
        if self.before is not None:
            self.parameter.index_copy_(0, self.before.rows, self.before["values"])

    def state(self) -> dict[str, Tensor]:
        """All that training has changed or will need, by name; rows never touched are left out."""
        moments = {f"moments/{name}": values for name, values in self.moments.state().items()}
        before = {} if self.before is None else self.before.state()
        return {
            "start": self._start,
            "values": self.parameter.detach().index_select(0, self.moments.rows),
            **moments,
            **{f"before/{name}": values for name, values in before.items()},
        }

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of `state`, for a table that is as it was before training.

        Raises:
            RunError: The state is of another table, or of one that started otherwise.
        """
        if "start" not in state or not torch.equal(state["start"].to(self._start), self._start):
            raise RunError("the checkpoint belongs to a model with another start; train anew")
        self.moments.load(_below("moments/", state))
        values = state["values"].to(self.parameter)
        self.parameter.index_copy_(0, self.moments.rows, values)
        if before := _below("before/", state):
            self.keep()
            assert self.before is not None  # noqa: S101 - for the type checker
            self.before.load(before)

    def _remember(self, rows: Tensor, before: RowStore) -> None:
        moving = rows[~before.has(rows)]
        if len(moving):
            lines = before.lines(moving)
            before["values"].index_copy_(0, lines, self.parameter.index_select(0, moving))


class LargeTables:
    """The large tables of a model, by the name of the parameter.

    Args:
        model: The model; what is frozen in it is left alone.
        size: Number of rows from which a table is large.
    """

    def __init__(self, model: nn.Module, size: int = LARGE) -> None:
        holders = [module for module in model.modules() if isinstance(module, HasTables)]
        large = {id(t) for holder in holders for t in holder.tables() if len(t) >= size}
        self._tables = {
            name: LargeTable(parameter)
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and id(parameter) in large
        }
        # All tables of a module are of one length.
        self._holders = [h for h in holders if any(id(table) in large for table in h.tables())]

    def __len__(self) -> int:
        return len(self._tables)

    def __iter__(self) -> Iterator[LargeTable]:
        return iter(self._tables.values())

    @property
    def names(self) -> list[str]:
        """Names of the parameters."""
        return [*self._tables]

    @contextmanager
    def sparse_gradients(self) -> Iterator[None]:
        """In this block large tables get sparse gradients."""
        for holder in self._holders:
            holder.sparse_gradient = True
        try:
            yield
        finally:
            for holder in self._holders:
                holder.sparse_gradient = False

    def keep(self) -> None:
        """Let `restore` come back to how all tables are now."""
        for table in self:
            table.keep()

    def restore(self) -> None:
        """Go back to the last `keep`."""
        for table in self:
            table.restore()

    def state(self) -> dict[str, Tensor]:
        """The state of all, by name."""
        return {
            f"{name}/{key}": values
            for name, table in self._tables.items()
            for key, values in table.state().items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of `state`.

        Raises:
            RunError: The state is of other tables.
        """
        for name, table in self._tables.items():
            table.load(_below(f"{name}/", state))


def _rows_of(
    gradient: Tensor,
) -> tuple[Int[Tensor, " n"], Float[Tensor, "n *shape"]]:
    """Rows, all different, and their gradient; of a dense one (of mixtures, say) all rows."""
    if not gradient.is_sparse:
        return torch.arange(len(gradient), device=gradient.device), gradient
    gradient = gradient.coalesce()
    return gradient.indices()[0], gradient.values()


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}
