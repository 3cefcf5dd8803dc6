"""Values for some rows of a large table, kept for those rows alone."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from hyperadapters.errors import RunError


class RowStore:
    """Tensors with one line for each row of a table that was asked for, in the order of asking.

    Memory grows with the rows that were asked for (and at most twice as fast), beside four bytes
    for each row of the table, which say where its line is.

    Args:
        size: Number of rows of the table.
        shapes: Name of a value → shape of one line of it; lines start at zero.
        like: A tensor of the wanted type and place.
    """

    def __init__(self, size: int, shapes: Mapping[str, Sequence[int]], like: Tensor) -> None:
        self._line = torch.full((size,), -1, dtype=torch.int32, device=like.device)
        self._rows = torch.empty(0, dtype=torch.int64, device=like.device)
        self._values = {name: like.new_empty(0, *shape) for name, shape in shapes.items()}
        self._length = 0

    def __len__(self) -> int:
        """Number of rows that were asked for."""
        return self._length

    @property
    def rows(self) -> Int[Tensor, " n"]:
        """The rows that were asked for."""
        return self._rows[: self._length]

    def __getitem__(self, name: str) -> Tensor:
        """The lines of a value, a view of shape ``(n, *shape)`` until the next `lines`."""
        return self._values[name][: self._length]

    def has(self, rows: Int[Tensor, " k"]) -> Tensor:
        """Which of these rows have a line, shape ``(k,)``."""
        return self._line[rows] >= 0

    def lines(self, rows: Int[Tensor, " k"]) -> Int[Tensor, " k"]:
        """Where these rows, all different, have their line; those that had none get one."""
        missing = rows[~self.has(rows)]
        if len(missing):
            first, self._length = self._length, self._length + len(missing)
            self._reserve(self._length)
            lines = torch.arange(first, self._length, dtype=torch.int32, device=rows.device)
            self._line[missing] = lines
            self._rows[first : self._length] = missing
        return self._line[rows].long()

    def state(self) -> dict[str, Tensor]:
        """Everything, by name (views)."""
        return {"rows": self.rows, **{name: self[name] for name in self._values}}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave; the store must be empty.

        Raises:
            RunError: It is of another table.
        """
        wanted = {name: tuple(values.shape[1:]) for name, values in self._values.items()}
        got = {name: tuple(values.shape[1:]) for name, values in state.items() if name != "rows"}
        rows = state["rows"].to(self._line.device) if "rows" in state else None
        if rows is None or wanted != got or (len(rows) and int(rows.max()) >= len(self._line)):
            raise RunError("the checkpoint belongs to a model of another shape; train anew")
        lines = self.lines(rows)
        for name, values in self._values.items():
            values[lines] = state[name].to(values)

    def _reserve(self, length: int) -> None:
        capacity = len(self._rows)
        if length <= capacity:
            return
        capacity = min(max(length, 2 * capacity), len(self._line))
        self._rows = _grown(self._rows, capacity)
        for name in self._values:
            self._values[name] = _grown(self._values[name], capacity)


def _grown(values: Tensor, capacity: int) -> Tensor:
    grown = values.new_zeros(capacity, *values.shape[1:])
    grown[: len(values)] = values
    return grown
