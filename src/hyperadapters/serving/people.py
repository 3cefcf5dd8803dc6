"""Who is in a run: ids, attributes, and a map of their vectors."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from hyperadapters.adaptation import PersonalVectors
from hyperadapters.conditions import Vocabulary
from hyperadapters.data.people import People
from hyperadapters.experiments import Run
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.tables.simulated import is_simulated

LEAST_PEOPLE = 4
"""Fewer make no map."""


@dataclass(frozen=True)
class PeopleMap:
    """The two main components of the vectors of people.

    Attributes:
        places: Where people lie.
        share: Share of the variance of the vectors that lies in the plane.
    """

    places: Float[np.ndarray, "people 2"]
    share: float
    _mean: Float[np.ndarray, " width"]
    _axes: Float[np.ndarray, "2 width"]

    @classmethod
    def of(cls, vectors: Float[np.ndarray, "people width"]) -> "PeopleMap | None":
        """The map; `None` where there are too few people, or all are the same."""
        if len(vectors) < LEAST_PEOPLE or np.ptp(vectors, axis=0).max(initial=0.0) < 1e-9:
            return None
        mean = vectors.mean(axis=0)
        _, sizes, axes = np.linalg.svd(vectors - mean, full_matrices=False)
        two = np.zeros((2, vectors.shape[1]))
        two[: len(axes[:2])] = axes[:2]
        largest = np.abs(two).argmax(axis=1)
        two *= np.where(two[[0, 1], largest] < 0, -1.0, 1.0)[:, None]
        share = float((sizes[:2] ** 2).sum() / (sizes**2).sum())
        return cls((vectors - mean) @ two.T, share, mean, two)

    def place_of(self, vector: Float[np.ndarray, " width"]) -> Float[np.ndarray, " 2"]:
        """Where somebody lies who is not among them."""
        return self._axes @ (vector - self._mean)


@dataclass(frozen=True)
class Directory:
    """The people of a run.

    Attributes:
        vocabulary: Their ids.
        adapted: Those who came after training → of how many labels they were learned.
        people: Their attributes, where the run is told any.
        map: The map, where people have vectors.
        simulated: Whether people are invented.
    """

    vocabulary: Vocabulary
    adapted: dict[str, int]
    people: People | None
    map: PeopleMap | None
    simulated: bool

    @classmethod
    def of(cls, run: Run) -> "Directory":
        """Those of a run."""
        vectors = vectors_of(run)
        return cls(
            run.vocabulary,
            {name: int(run.record.adapted[name].get("labels", 0)) for name in run.adapted},
            run.people,
            None if vectors is None else PeopleMap.of(vectors),
            is_simulated(run.vocabulary.names),
        )

    @cached_property
    def attributes(self) -> dict[str, list[str]]:
        """Attributes → the values that occur among the people."""
        if self.people is None:
            return {}
        found = zip(self.people.names, zip(*self.people.values.values(), strict=True), strict=False)
        return {name: sorted({value for value in column if value}) for name, column in found}

    def source_of(self, name: str) -> str:
        """Where somebody's adapter comes from, as in PREDICTIONS."""
        if name in self.adapted:
            return "adapted"
        return "known" if name in self.vocabulary else "population"

    def value_of(self, name: str, attribute: str) -> str:
        """Somebody's value of an attribute; empty where it is not known."""
        if self.people is None or name not in self.people.values:
            return ""
        return self.people.values[name][self.people.names.index(attribute)]

    def described(self, index: int) -> dict[str, Any]:
        """What is known of one person."""
        name = self.vocabulary.names[index]
        told: dict[str, Any] = {
            "annotator": name,
            "source": self.source_of(name),
        }
        if name in self.adapted:
            told["labels"] = self.adapted[name]
        if self.people is not None:
            values = self.people.values.get(name, ("",) * len(self.people.names))
            pairs = zip(self.people.names, values, strict=True)
            told["attributes"] = {key: value for key, value in pairs if value}
        if self.map is not None:
            told["place"] = [round(float(x), 5) for x in self.map.places[index]]
        return told


def vectors_of(run: Run) -> Float[np.ndarray, "people width"] | None:
    """The vectors of the annotators, in the order of their indices; `None` where there are none."""
    fitted = run.fitted
    if not isinstance(fitted, AnnotatorClassifier):
        return None
    vectors = PersonalVectors(fitted.network)
    if not vectors.width:
        return None
    found = vectors.of_annotators().to(torch.float64).cpu().numpy()
    return found if len(found) == len(run.vocabulary) else None
