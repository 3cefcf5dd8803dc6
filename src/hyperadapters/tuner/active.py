"""Weights that are applied, and the conditions they were made of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from hyperadapters.adapters import AdapterWeights
from hyperadapters.errors import ConditionError


@dataclass(frozen=True)
class Active:
    """What is applied during a call or a block.

    Attributes:
        weights: Name of the adapter → its weights.
        conditions: Name of the adapter → the conditions they were made of.
        n_rows: Number of rows that have conditions of their own; `None` when any number will do.
        repeats: Whether rows may be repeated, as `generate` does for beams.
        state: What else the weights depend on: which model, which adapters, how far trained.
        pending: Names of the conditions that are known only when a part of the model has run.
        first_pass: Whether this is the first pass over the input, in which it is read.
    """

    weights: Mapping[str, AdapterWeights]
    conditions: Mapping[str, Mapping[str, Tensor]]
    n_rows: int | None
    repeats: bool = False
    state: tuple[Any, ...] = ()
    pending: frozenset[str] = frozenset()
    first_pass: bool = False

    def same_conditions(self, other: "Active") -> bool:
        """Whether the same adapters, in the same state, work under equal conditions."""
        if self is other or self.conditions is other.conditions:
            return True
        if self.state != other.state or self.conditions.keys() != other.conditions.keys():
            return False
        return all(
            self._equal(given, other.conditions[name], self.pending | other.pending)
            for name, given in self.conditions.items()
        )

    def continued(self, rows: int | None, repeats: bool) -> "Active":
        """What an inner call does with the weights of an outer one.

        Args:
            rows: Number of rows of the inner batch, where it is known.
            repeats: Whether its rows may be repeated inside.

        Raises:
            ConditionError: The outer conditions are those of another number of rows.
        """
        fixed = None if self.repeats else self.n_rows
        if rows is not None and fixed is not None and rows != fixed:
            raise ConditionError(
                f"got a batch of {rows} rows inside a block with conditions of {fixed} rows; give "
                "one condition for all rows, or batches of that many rows"
            )
        return replace(self, repeats=True) if repeats and not self.repeats else self

    @staticmethod
    def _equal(
        given: Mapping[str, Tensor], theirs: Mapping[str, Tensor], pending: frozenset[str]
    ) -> bool:
        names = (given.keys() | theirs.keys()) - pending
        if not names <= given.keys() & theirs.keys():
            return False
        return all(torch.equal(given[name], theirs[name]) for name in names)
