"""The scored rows of one task: what was written, and what would have been accepted."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Int
from scipy import sparse

from hyperadapters.errors import ConfigError, DataError, Fault
from hyperadapters.evaluation.counts import Metric, mean_metric
from hyperadapters.tables.frames import column_of
from hyperadapters.tasks import Task


@dataclass(frozen=True)
class Answers:
    """Rows of one task that have an answer, in the order of their text ids.

    Attributes:
        task: What the rows are answers of.
        text_ids: Id of the text of every row; sorted, so that a text meets the same bootstrap
            draws wherever its row stands in the table.
        predicted: What was written, as it was written.
        labels: The target text of every row: its label, or its first reference.
        references: All accepted answers of every row, at least one.
    """

    task: Task
    text_ids: tuple[str, ...]
    predicted: tuple[str, ...]
    labels: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, frame: pd.DataFrame, task: Task) -> "Answers":
        """The rows of checked TASK PREDICTIONS of one task that have references."""
        known = frame.loc[[bool(cell) for cell in frame["references"]]].sort_values("text_id")
        references = tuple(tuple(cell) for cell in known["references"])
        given = column_of(known, "label").to_numpy(object, na_value=None)
        pairs = zip(given, references, strict=True)
        return cls(
            task=task,
            text_ids=tuple(known["text_id"]),
            predicted=tuple(known["predicted"]),
            labels=tuple(accepted[0] if label is None else label for label, accepted in pairs),
            references=references,
        )

    def __len__(self) -> int:
        return len(self.predicted)

    def mean(self, name: str, amounts: list[float], highest: float = 1.0) -> Metric:
        """The mean of an amount over rows, as a metric."""
        rows = np.arange(len(self))
        return mean_metric(name, rows, np.array(amounts, np.float64), len(self), highest)

    def whole(self) -> sparse.csr_array:
        """Sums that keep every row by itself, for metrics that no sums over rows can give."""
        return sparse.csr_array(sparse.eye_array(len(self)))

    def label_words(self, metric: str) -> tuple[str, ...]:
        """The label words of the task, in its order.

        Raises:
            ConfigError: The task has none; `metric` is what asks for them.
        """
        if not self.task.words:
            raise ConfigError(
                f"task {self.task.name!r}: the metric {metric!r} needs labels, and the task has "
                "none; give it labels or another metric"
            )
        return self.task.words

    def classes(self, metric: str) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
        """Positions of the true and the written label words; -1 for what is no label word.

        Raises:
            ConfigError: The task has no labels; `metric` is what asks for them.
            DataError: A true answer is no label word.
        """
        place = {word: index for index, word in enumerate(self.label_words(metric))}
        true = np.array([place.get(text.strip(), -1) for text in self.labels], np.int64)
        written = np.array([place.get(text.strip(), -1) for text in self.predicted], np.int64)
        self.refuse(true < 0, f"is no label word of the task ({', '.join(place)})")
        return true, written

    def refuse(self, wrong: np.ndarray, what: str) -> None:
        """Raise `DataError` where the true answer of a row cannot be used.

        Args:
            wrong: Boolean, one per row.
            what: What is wrong with it, e.g. ``"is not a number"``.
        """
        rows = np.flatnonzero(wrong)
        if len(rows):
            ids = tuple(self.text_ids[row] for row in rows)
            got = f"task {self.task.name!r}: the true answer {self.labels[rows[0]]!r} {what}"
            raise DataError("predictions", [Fault(got, ids, where="text")])
