"""What can be predicted: the set of labels, their order, and their way to integers and back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from hyperadapters.errors import ConfigError, DataError, Fault

LabelKind = Literal["nominal", "ordinal"]
Decision = Literal["mode", "median", "marginal"]
DECISIONS: tuple[Decision, ...] = ("mode", "median", "marginal")

SEPARATOR = "+"
"""Stands between the labels of a set, ``contradiction+neutral``."""

NOTHING = SEPARATOR
"""The set without a label, where others are sets too."""

# Sums of probabilities differ from 1/2 by rounding alone within this.
_HALF = 0.5 - 1e-9


@dataclass(frozen=True)
class LabelSpace:
    """The labels of a data set in their fixed order.

    Attributes:
        names: The labels; all `str`, or all `int` (in ascending order).
        kind: ``"nominal"`` (classes without order) or ``"ordinal"`` (integers on a scale).
    """

    names: tuple[str | int, ...]
    kind: LabelKind = "nominal"

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise ConfigError(
                f"a label set needs at least 2 different labels, got {list(self.names)}"
            )
        if len(set(self.names)) != len(self.names):
            raise ConfigError(f"a label occurs twice in {list(self.names)}")
        if self.kind == "ordinal" and not all(isinstance(name, int) for name in self.names):
            raise ConfigError(f"ordinal labels must be integers, got {list(self.names)}")
        if len({str(name) for name in self.names}) != len(self.names):
            raise ConfigError(f"two labels read the same as text in {list(self.names)}")

    @classmethod
    def of(cls, labels: Iterable[Any], kind: LabelKind | None = None) -> "LabelSpace":
        """The label space of the labels that occur.

        Args:
            labels: Labels as they stand in a checked table: all strings or all integers.
            kind: Forced kind; by default three or more integers are a scale (``"ordinal"``) and
                everything else is ``"nominal"``.
        """
        values = sorted(pd.unique(pd.Series(list(labels))).tolist())
        integers = all(isinstance(value, int | np.integer) for value in values)
        names = tuple(int(value) if integers else str(value) for value in values)
        if kind is None:
            kind = "ordinal" if integers and len(names) > 2 else "nominal"
        return cls(names, kind)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the probability columns in PREDICTIONS, `p_<label>`, in label order."""
        return tuple(f"p_{name}" for name in self.names)

    def encode(self, labels: pd.Series, source: str = "table") -> np.ndarray:
        """Labels → indices, shape ``(len(labels),)``, int64; -1 where the label is missing.

        Raises:
            DataError: A label is not in the space; lists the labels and the space.
        """
        index = {str(name): i for i, name in enumerate(self.names)}
        keys = labels.map(lambda value: None if pd.isna(value) else _as_text(value))
        codes = keys.map(lambda key: -1 if key is None or pd.isna(key) else index.get(key, -2))
        unknown = (codes == -2).to_numpy(bool)
        if unknown.any():
            got = sorted(pd.unique(keys[unknown]).tolist())[:5]
            wanted = ", ".join(map(str, self.names))
            fault = Fault(
                f"labels {got} are not among those of the run ({wanted})",
                tuple((np.flatnonzero(unknown) + 1).tolist()),
            )
            raise DataError(source, [fault])
        return codes.to_numpy(np.int64)

    def decode(self, indices: np.ndarray) -> np.ndarray:
        """Indices → labels, same shape; int64 for integer labels, object (`str`) otherwise."""
        return np.asarray(self.names, dtype=None if self.is_integer else object)[indices]

    def decide(
        self, probabilities: Float[np.ndarray, "rows labels"], decision: Decision = "mode"
    ) -> Int[np.ndarray, " rows"]:
        """The one label that is answered for each distribution over labels, as an index.

        ``"mode"`` is the most probable label, which errs least often. ``"median"``, for ordinal
        labels, is the first label at which at least half of the probability is reached: no other
        one has a smaller expected distance Σ p_j |label_j - label| from the answer, also where
        labels are unevenly spaced. Of labels that are equally good the lower one is taken (of the
        mode the first).

        ``"marginal"``, for sets of labels, is the set with the least expected number of labels
        that are wrongly there or wrongly missing, among the sets that there are: where all are
        there, the labels that are more probable than not, which have the least expected Hamming
        loss (Dembczyński et al. 2012, https://doi.org/10.1007/s10994-012-5285-8). Of sets that are
        equally good it is one with the fewest labels.

        Args:
            probabilities: One row for each distribution, sum 1.
            decision: The rule.

        Raises:
            ConfigError: The median of labels without an order, or the marginal of labels of which
                none is a set.
        """
        if decision == "mode":
            return probabilities.argmax(axis=1)
        if decision == "marginal":
            return self._marginal(probabilities)
        if self.kind != "ordinal":
            raise ConfigError(
                "decision median needs labels on a scale (three or more whole numbers), got "
                + ", ".join(map(str, self.names))
            )
        return (probabilities.cumsum(axis=1) >= _HALF).argmax(axis=1)

    def _marginal(
        self, probabilities: Float[np.ndarray, "rows labels"]
    ) -> Int[np.ndarray, " rows"]:
        if not self.parts:
            raise ConfigError(
                f"decision marginal needs sets of labels, such as a{SEPARATOR}b, got "
                + ", ".join(map(str, self.names))
            )
        members = self.members.astype(np.float64)
        marginal = probabilities @ members
        wrong = marginal @ (1 - members).T + (1 - marginal) @ members.T
        smaller = np.broadcast_to(members.sum(axis=1), wrong.shape)
        return np.lexsort((smaller, np.round(wrong, 9)), axis=1)[:, 0]

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The labels that sets are made of, in the order of the alphabet; none where no sets are.

        A label that stands alone is a set of one.
        """
        split = [parts_of(str(name)) for name in self.names]
        if all(len(parts) < 2 for parts in split) or not all(map(all, split)):
            return ()
        return tuple(sorted({part for parts in split for part in parts}))

    @property
    def members(self) -> Bool[np.ndarray, "labels parts"]:
        """Which of the `parts` each label holds."""
        split = [parts_of(str(name)) for name in self.names]
        return np.array([[part in parts for part in self.parts] for parts in split], bool)

    @property
    def is_integer(self) -> bool:
        """Whether the labels are integers."""
        return all(isinstance(name, int) for name in self.names)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, the content of ``labels.json``."""
        return {"kind": self.kind, "names": list(self.names)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LabelSpace":
        """Inverse of `to_dict`."""
        return cls(tuple(data["names"]), data["kind"])


def parts_of(name: str) -> list[str]:
    """The labels of a set."""
    return [] if name == NOTHING else name.split(SEPARATOR)


def _as_text(label: Any) -> str:
    """A label as text; integers beside missing values are floats in pandas."""
    whole = isinstance(label, float) and label.is_integer()
    return str(int(label)) if whole else str(label)
