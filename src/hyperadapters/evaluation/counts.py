"""Rows as integers, and counts that add up over texts.

Every metric here is a function of sums over texts: hits, labels, errors, distances. So a metric is
kept as one line of sums per text and the function that ends the calculation. The whole sample is
the sum of the lines; a bootstrap draw is the same sum with other weights, and two hundred draws
are one matrix product. Where people are drawn instead of texts, there is a line for each person.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import sparse

from hyperadapters.labels import LabelSpace
from hyperadapters.tables.prediction_faults import column

Drawn = Literal["texts", "annotators"]
"""What a bootstrap draws."""


@dataclass(frozen=True)
class CodedRows:
    """Labelled predictions with texts, annotators and labels as integers from 0.

    Attributes:
        text: Index of the text of every row, in the order of the sorted text ids.
        annotator: Index of the annotator of every row.
        label: Index of the true label in `labels`.
        predicted: Index of the predicted label in `labels`.
        probabilities: Of every label, in the order of `labels`.
        labels: What can be predicted.
        n_texts: Number of different texts.
        n_annotators: Number of different annotators.
        drawn: What a bootstrap is to draw: whole texts, or whole annotators.
    """

    text: Int[np.ndarray, " rows"]
    annotator: Int[np.ndarray, " rows"]
    label: Int[np.ndarray, " rows"]
    predicted: Int[np.ndarray, " rows"]
    probabilities: Float[np.ndarray, "rows labels"]
    labels: LabelSpace
    n_texts: int
    n_annotators: int
    drawn: Drawn = "texts"

    @classmethod
    def of(cls, frame: pd.DataFrame, labels: LabelSpace, drawn: Drawn = "texts") -> "CodedRows":
        """The rows of checked PREDICTIONS that have a label."""
        frame = frame.loc[frame["label"].notna()]
        # Sorted, so that a text meets the same draws wherever its rows stand in the table.
        text, texts = pd.factorize(frame["text_id"], sort=True)
        annotator, annotators = pd.factorize(frame["annotator"], sort=True)
        return cls(
            text=text,
            annotator=annotator,
            label=labels.encode(column(frame, "label")),
            predicted=labels.encode(column(frame, "predicted")),
            probabilities=frame[list(labels.columns)].to_numpy(np.float64),
            labels=labels,
            n_texts=len(texts),
            n_annotators=len(annotators),
            drawn=drawn,
        )

    def __len__(self) -> int:
        return len(self.text)

    @property
    def unit(self) -> Int[np.ndarray, " rows"]:
        """Index of what is drawn with each row: its text or its annotator."""
        return self.text if self.drawn == "texts" else self.annotator

    @property
    def n_units(self) -> int:
        """Number of texts, or of annotators, that a draw chooses from."""
        return self.n_texts if self.drawn == "texts" else self.n_annotators

    @property
    def correct(self) -> Float[np.ndarray, " rows"]:
        """1 where the predicted label is the true one, else 0."""
        return (self.label == self.predicted).astype(np.float64)

    def votes(self, answers: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "texts labels"]:
        """How many rows of each text give each answer."""
        shape = (self.n_texts, len(self.labels))
        cells = self.text * shape[1] + answers
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    def summed_probabilities(self) -> Float[np.ndarray, "texts labels"]:
        """Probabilities added up over the rows of each text."""
        columns = [
            np.bincount(self.text, weights=column, minlength=self.n_texts)
            for column in self.probabilities.T
        ]
        return np.stack(columns, axis=1).astype(np.float64)


@dataclass(frozen=True)
class Metric:
    """A metric as sums per text.

    Attributes:
        name: Name in SCORES.
        sums: One line of sums per text (or annotator, see `CodedRows.drawn`), shape
            ``(texts, sums)``.
        finish: Weighted totals, shape ``(draws, sums)``, to values, shape ``(draws,)``; NaN where
            the metric is undefined.
        n: Number of rows, annotators or texts that the value rests on.
        varies: Whether the metric differs between samples; coverage describes the sample at hand
            and has no interval.
        highest: Upper end of the range.
        lowest: Lower end of the range, 0 for all but correlations.
    """

    name: str
    sums: sparse.csr_array
    finish: Callable[[np.ndarray], np.ndarray]
    n: int
    varies: bool = True
    highest: float = 1.0
    lowest: float = 0.0

    def at(self, weights: Float[np.ndarray, "draws texts"]) -> Float[np.ndarray, " draws"]:
        """The metric where each text counts as often as its weight says."""
        return self.finish(weights @ self.sums)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of texts (or annotators) that a draw chooses from, and of sums for each."""
        return cast(tuple[int, int], self.sums.shape)

    @property
    def value(self) -> float:
        """The metric on the sample; NaN where it rests on nothing."""
        if self.n == 0:
            return float("nan")
        return float(self.at(np.ones((1, self.shape[0])))[0])


def sums_of(
    text: Int[np.ndarray, " cells"],
    column: Int[np.ndarray, " cells"],
    amount: Float[np.ndarray, " cells"],
    shape: tuple[int, int],
) -> sparse.csr_array:
    """Amounts added up per text and column."""
    return sparse.csr_array((amount, (text, column)), shape=shape)


def mean_metric(
    name: str,
    text: Int[np.ndarray, " cells"],
    amount: Float[np.ndarray, " cells"],
    n_texts: int,
    highest: float = 1.0,
) -> Metric:
    """The mean of an amount over rows (or over texts, where each gives one amount).

    Args:
        name: Name in SCORES.
        text: What is drawn with the amount, a text or an annotator.
        amount: What is averaged.
        n_texts: Number of different texts, or annotators.
        highest: Upper end of the range.
    """
    column = np.repeat([0, 1], len(text))
    amounts = np.concatenate([amount, np.ones(len(text))])
    sums = sums_of(np.tile(text, 2), column, amounts, (n_texts, 2))

    def finish(totals: np.ndarray) -> np.ndarray:
        return ratio(totals[:, 0], totals[:, 1])

    return Metric(name, sums, finish, len(text), highest=highest)


def text_metric(rows: CodedRows, metric: Metric) -> Metric:
    """A metric of whole texts; without interval where annotators are drawn.

    What a text's people say together is another question once some of them are gone or doubled.
    """
    return metric if rows.drawn == "texts" else replace(metric, varies=False)


def mean_over_texts(
    name: str, rows: CodedRows, amount: Float[np.ndarray, " texts"], highest: float = 1.0
) -> Metric:
    """The mean over texts of an amount that each of them has; see `text_metric`."""
    texts = np.arange(rows.n_texts)
    return text_metric(rows, mean_metric(name, texts, amount, rows.n_texts, highest))


def confusion_sums(
    text: Int[np.ndarray, " cells"],
    group: Int[np.ndarray, " cells"],
    label: Int[np.ndarray, " cells"],
    predicted: Int[np.ndarray, " cells"],
    shape: tuple[int, int, int],
) -> sparse.csr_array:
    """What F1 needs, per text: hits, true labels and predictions of each group and label.

    Args:
        text: Index of the text.
        group: Index of the group that is scored by itself, e.g. the annotator.
        label: Index of the true label.
        predicted: Index of the predicted label.
        shape: Number of texts, groups and labels.

    Returns:
        Shape ``(texts, groups * 3 * labels)``.
    """
    n_texts, n_groups, n_labels = shape
    hit = label == predicted
    start = group * 3 * n_labels
    column = np.concatenate(
        [(start + label)[hit], start + n_labels + label, start + 2 * n_labels + predicted]
    )
    texts = np.concatenate([text[hit], text, text])
    return sums_of(texts, column, np.ones(len(column)), (n_texts, n_groups * 3 * n_labels))


def macro_f1_of(
    totals: Float[np.ndarray, "draws sums"], n_labels: int
) -> Float[np.ndarray, "draws groups"]:
    """Macro-F1 of each group from the totals of `confusion_sums`.

    The mean of ``F1 = 2 * hits / (true + predicted)`` over the labels that occur among the true
    labels or the predictions of the group; NaN for a group without rows. scikit-learn's
    ``f1_score(average="macro")`` has the same convention.
    """
    cells = totals.reshape(len(totals), -1, 3, n_labels)
    hits, occurrences = cells[:, :, 0], cells[:, :, 1] + cells[:, :, 2]
    f1 = np.divide(2 * hits, occurrences, out=np.zeros_like(hits), where=occurrences > 0)
    return ratio(f1.sum(axis=-1), (occurrences > 0).sum(axis=-1))


@dataclass(frozen=True)
class OfGroups:
    """A metric of every group of rows by itself, such as those of an annotator.

    Attributes:
        sums: Which rows count, shape ``(rows,)``, what is drawn with each, the group of each, and
            how many there are of these, to sums, shape ``(units, groups * sums)``.
        values: Weighted totals, shape ``(draws, groups * sums)``, to values, shape ``(draws,
            groups)``; NaN for a group without rows.
    """

    sums: Callable[[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]], sparse.csr_array]
    values: Callable[[np.ndarray], np.ndarray]


def macro_f1_of_groups(rows: CodedRows) -> OfGroups:
    """Macro-F1, each over the labels that occur in the group."""
    n_labels = len(rows.labels)

    def sums(
        kept: np.ndarray, unit: np.ndarray, group: np.ndarray, shape: tuple[int, int]
    ) -> sparse.csr_array:
        cells = (unit, group, rows.label, rows.predicted)
        return confusion_sums(*(cell[kept] for cell in cells), shape=(*shape, n_labels))

    return OfGroups(sums, lambda totals: macro_f1_of(totals, n_labels))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """`above / below`, NaN where `below` is 0; any shape."""
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
