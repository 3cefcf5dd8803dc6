"""What is known of annotators: their values of some attributes, as they stand in ANNOTATIONS."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from hyperadapters.conditions import Attributes
from hyperadapters.conditions.spelling import spellings
from hyperadapters.errors import ConditionError, DataError, Fault
from hyperadapters.tables.annotations import STANDARD_COLUMNS
from hyperadapters.tables.frames import column_of, columns_of


@dataclass(frozen=True)
class People:
    """Annotators and their attributes.

    Attributes:
        attributes: The attributes, each with the values that occur.
        values: Annotator → values in the order of `attributes.names`, ``""`` where not given.
    """

    attributes: Attributes
    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, ratings: pd.DataFrame, names: Sequence[str], *, source: str = "table") -> "People":
        """The annotators of some ratings.

        Args:
            ratings: Columns `annotator` and those that are named.
            names: Columns that are attributes.
            source: What errors call the table.

        Raises:
            DataError: A column is missing or empty, a cell is a collection, or an annotator has
                several values of one attribute; lists all.
        """
        faults: list[Fault] = []
        written: dict[str, pd.Series] = {}
        annotators = column_of(ratings, "annotator")
        for name in sorted(set(names)):
            if name not in ratings or name in STANDARD_COLUMNS:
                faults.append(Fault(_missing(name, ratings)))
                continue
            try:
                written[name] = column_of(ratings, name).map(_written)
            except ConditionError as error:
                faults.append(Fault(f"attribute {name!r} {error}"))
                continue
            faults += _faults(name, written[name], annotators)
        if faults:
            raise DataError(source, faults)
        told = pd.DataFrame(written)
        known = told.where(told != "").groupby(annotators.to_numpy(), sort=True).first().fillna("")
        values = {str(who): tuple(row) for who, row in zip(known.index, known.to_numpy())}  # noqa: B905
        kinds = {name: sorted(set(column) - {""}) for name, column in written.items()}
        return cls(Attributes(kinds), values)

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes, in the order of the columns of `indices`."""
        return self.attributes.names

    def indices(self, rows: pd.DataFrame) -> Int[np.ndarray, "rows n_attributes"]:
        """Values of every row as indices; -1 where one is not known.

        A row's own cells come first; what it does not say is taken from what is known of its
        annotator.

        Args:
            rows: Column `annotator`, and perhaps columns of the attributes.

        Raises:
            ConditionError: A cell is a collection.
        """
        given = [name for name in self.names if name in rows]
        # A table names few different people.
        distinct = columns_of(rows, ["annotator", *given]).map(_written)
        _, first, place = np.unique(_keys(distinct), return_index=True, return_inverse=True)
        told = distinct.iloc[first].to_dict("records")
        return self.attributes.indices(self._merged(row) for row in told)[place]

    def of_annotators(self, annotators: Iterable[str]) -> Int[np.ndarray, "n n_attributes"]:
        """What is known of annotators, as indices."""
        return self.attributes.indices(self._merged({"annotator": name}) for name in annotators)

    def without(self, annotator: str) -> "People":
        """The same of everybody else."""
        rest = {name: row for name, row in self.values.items() if name != annotator}
        return People(self.attributes, rest)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, the content of ``people.json``."""
        declared = {name: list(self.attributes.values[name]) for name in self.names}  # pyright: ignore
        return {"attributes": declared, "values": {n: list(v) for n, v in self.values.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "People":
        """Inverse of `to_dict`."""
        values = {str(name): tuple(row) for name, row in data["values"].items()}
        return cls(Attributes(data["attributes"]), values)

    def _merged(self, row: Mapping[Any, Any]) -> dict[str, str]:
        known = self.values.get(str(row["annotator"]), ("",) * len(self.names))
        return {
            name: str(row.get(name) or value) for name, value in zip(self.names, known, strict=True)
        }


def _written(value: Any) -> str:
    found = spellings(value)
    return found[-1] if found else ""


def _keys(cells: pd.DataFrame) -> np.ndarray:
    columns = [column_of(cells, name).tolist() for name in cells]
    return np.array(["\x1f".join(row) for row in zip(*columns, strict=True)], dtype=str)


def _missing(name: str, ratings: pd.DataFrame) -> str:
    there = [str(column) for column in ratings if column not in STANDARD_COLUMNS]
    near = difflib.get_close_matches(name, there, n=1)
    advice = f"did you mean {near[0]!r}? " if near else ""
    found = ", ".join(there) or "none"
    return f"there is no column {name!r} of an attribute; {advice}columns that may be one: {found}"


def _faults(name: str, written: pd.Series, annotators: pd.Series) -> list[Fault]:
    given = np.flatnonzero((written != "").to_numpy(bool))
    if not len(given):
        return [Fault(f"attribute {name!r} is not given in any row")]
    said, who = written.to_numpy(object)[given], annotators.to_numpy(object)[given]
    first = pd.Series(said).groupby(who).transform("first").to_numpy(object)
    rows = tuple((given[said != first] + 1).tolist())
    what = f"attribute {name!r} differs from an earlier row of the same annotator"
    return [Fault(what, rows)] if rows else []
