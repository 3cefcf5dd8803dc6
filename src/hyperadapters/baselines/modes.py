"""The two floors of every comparison: predict what is usual, and what is usual for the person.

Neither reads the text. The person's most frequent label is the baseline of LeWiDi 2025 ("most
frequent label per annotator"); a model of people that does not beat it has learned nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.labels import LabelSpace
from hyperadapters.tables.prediction_faults import as_text, column
from hyperadapters.tables.predictions import predictions_frame

Counts = tuple[int, ...]


@dataclass(frozen=True)
class GlobalMode:
    """Predicts the most frequent label of the training rows, whoever is asked.

    Probabilities are the shares of the labels with add-one smoothing,
    ``(count + 1) / (rows + labels)``; of equally frequent labels the first is predicted.

    Attributes:
        labels: What can be predicted.
        counts: Training rows of each label, in label order.
        annotators: Whom the training rows are of, sorted. They change no prediction; their
            `source` is ``known``, so that slices hold the same people as those of other methods.
    """

    labels: LabelSpace
    counts: Counts
    annotators: tuple[str, ...]

    @classmethod
    def fit(cls, train: pd.DataFrame, labels: LabelSpace | None = None) -> "GlobalMode":
        """Count the labels of ANNOTATIONS (columns `annotator, label`).

        Args:
            train: Training rows; those without a label are left out.
            labels: What can be predicted; by default the labels that occur.

        Raises:
            DataError: No row has a label, or a label is not in `labels`.
        """
        labels, annotators, table = _count(train, labels)
        return cls(labels, tuple(table.sum(axis=0).tolist()), tuple(annotators))

    @property
    def shares(self) -> Float[np.ndarray, " labels"]:
        """Probability of each label."""
        return _shares(self.counts)

    def predict(self, rows: pd.DataFrame, *, split: str = "test", seed: int = 0) -> pd.DataFrame:
        """PREDICTIONS for ``text_id, annotator`` and, where there are, `label` and `split`.

        Args:
            rows: One row for each text and annotator to predict.
            split: Name of the split where `rows` have none.
            seed: Goes into the table; nothing here is random.
        """
        people = as_text(column(rows, "annotator"))
        known = people.isin(self.annotators).to_numpy(bool)
        probabilities = np.tile(self.shares, (len(rows), 1))
        place = {"split": split, "method": "global-mode", "seed": seed}
        return _predictions(rows, probabilities, known, self.labels, place)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "method": "global-mode",
            "labels": self.labels.to_dict(),
            "counts": list(self.counts),
            "annotators": list(self.annotators),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "GlobalMode":
        """Inverse of `to_dict`."""
        labels = LabelSpace.from_dict(data["labels"])
        return cls(labels, tuple(data["counts"]), tuple(data["annotators"]))


@dataclass(frozen=True)
class AnnotatorMode:
    """Predicts the most frequent training label of the person; of the others, the global one.

    A person's probabilities are their counts, shrunk towards the shares `g` of everyone's labels
    (`GlobalMode.shares`): ``(count + strength * g) / (rows + strength)``. As every share lies
    between 0 and 1, a strength of at most 1 never outweighs a lead of one row: the label of highest
    probability is the most frequent one, and among equally frequent ones that of the higher share
    (then the first). An unknown annotator gets `g`, and ``population`` as `source`.

    Attributes:
        labels: What can be predicted.
        counts: Training rows of each label, in label order, by annotator.
        strength: Rows that the shares of everyone count for, above 0 and at most 1.
    """

    labels: LabelSpace
    counts: Mapping[str, Counts]
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 1:
            raise ConfigError(f"strength must be above 0 and at most 1, got {self.strength}")

    @classmethod
    def fit(
        cls, train: pd.DataFrame, labels: LabelSpace | None = None, *, strength: float = 1.0
    ) -> "AnnotatorMode":
        """Count the labels of each annotator in ANNOTATIONS (columns `annotator, label`).

        Args:
            train: Training rows; those without a label are left out.
            labels: What can be predicted; by default the labels that occur.
            strength: Rows that the shares of everyone count for.

        Raises:
            ConfigError: `strength` is not above 0 and at most 1.
            DataError: No row has a label, or a label is not in `labels`.
        """
        labels, annotators, table = _count(train, labels)
        counts = (tuple(line) for line in table.tolist())
        return cls(labels, dict(zip(annotators, counts, strict=True)), strength)

    @property
    def shares(self) -> Float[np.ndarray, " labels"]:
        """Probability of each label for an annotator nobody knows."""
        return _shares(np.sum(list(self.counts.values()), axis=0))

    def predict(self, rows: pd.DataFrame, *, split: str = "test", seed: int = 0) -> pd.DataFrame:
        """PREDICTIONS for ``text_id, annotator`` and, where there are, `label` and `split`.

        Args:
            rows: One row for each text and annotator to predict.
            split: Name of the split where `rows` have none.
            seed: Goes into the table; nothing here is random.
        """
        people = as_text(column(rows, "annotator"))
        nothing = (0,) * len(self.labels)
        shape = (len(rows), len(self.labels))
        counts = np.array([self.counts.get(who, nothing) for who in people], np.float64)
        probabilities = counts.reshape(shape) + self.strength * self.shares
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        known = np.array([who in self.counts for who in people], bool)
        place = {"split": split, "method": "annotator-mode", "seed": seed}
        return _predictions(rows, probabilities, known, self.labels, place)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "method": "annotator-mode",
            "labels": self.labels.to_dict(),
            "counts": {annotator: list(counts) for annotator, counts in self.counts.items()},
            "strength": self.strength,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "AnnotatorMode":
        """Inverse of `to_dict`."""
        counts = {annotator: tuple(counts) for annotator, counts in data["counts"].items()}
        return cls(LabelSpace.from_dict(data["labels"]), counts, data["strength"])


def global_mode(train: pd.DataFrame, labels: LabelSpace | None = None) -> GlobalMode:
    """The method ``global-mode``, fitted; see `GlobalMode.fit`."""
    return GlobalMode.fit(train, labels)


def annotator_mode(train: pd.DataFrame, labels: LabelSpace | None = None) -> AnnotatorMode:
    """The method ``annotator-mode``, fitted; see `AnnotatorMode.fit`."""
    return AnnotatorMode.fit(train, labels)


def mode_from_dict(data: Mapping[str, Any]) -> GlobalMode | AnnotatorMode:
    """Whichever of the two a `to_dict` came from.

    Raises:
        ConfigError: `data` is of another method.
    """
    kinds = {"global-mode": GlobalMode, "annotator-mode": AnnotatorMode}
    if data.get("method") not in kinds:
        raise ConfigError(f"wanted one of {', '.join(kinds)}, got {data.get('method')!r}")
    return kinds[data["method"]].from_dict(data)


def _count(
    train: pd.DataFrame, labels: LabelSpace | None
) -> tuple[LabelSpace, list[str], np.ndarray]:
    """Labels, sorted annotators, and training rows of shape ``(annotators, labels)``, int64."""
    rows = train.loc[train["label"].notna()]
    if not len(rows):
        raise DataError("training rows", ["no row has a label"])
    given = column(rows, "label")
    labels = LabelSpace.of(given) if labels is None else labels
    people, annotators = pd.factorize(as_text(column(rows, "annotator")), sort=True)
    cells = people * len(labels) + labels.encode(given, "training rows")
    table = np.bincount(cells, minlength=len(annotators) * len(labels))
    return labels, list(annotators), table.reshape(len(annotators), len(labels))


def _shares(counts: Counts | np.ndarray) -> Float[np.ndarray, " labels"]:
    smoothed = np.asarray(counts, dtype=np.float64) + 1
    return smoothed / smoothed.sum()


def _predictions(
    rows: pd.DataFrame,
    probabilities: Float[np.ndarray, "rows labels"],
    known: np.ndarray,
    labels: LabelSpace,
    place: dict[str, Any],
) -> pd.DataFrame:
    if "split" in rows:
        place = {**place, "split": column(rows, "split")}
    return predictions_frame(
        column(rows, "text_id"),
        column(rows, "annotator"),
        probabilities,
        labels,
        label=cast(Any, rows.get("label")),
        source=np.where(known, "known", "population"),
        **place,
    )
