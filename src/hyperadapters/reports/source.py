"""What a report about annotators is made of: tables, and what follows from several of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation import BETTER, annotator_scores
from hyperadapters.labels import LabelSpace
from hyperadapters.reports.folders import Finished, Folder
from hyperadapters.reports.statistics import mean_of
from hyperadapters.tables import label_space_of, read_predictions, read_scores
from hyperadapters.tables.frames import column_of, rows_of

BASELINES = ("text-only", "intercept", "majority", "global-mode", "annotator-mode")
"""What a method is compared with, the first of them that is there."""


@dataclass(eq=False)
class Source:
    """Tables of some runs on the same ratings.

    Attributes:
        folder: Where the runs lie.
        ratings: ANNOTATIONS that the runs were made with, if they are given.
        attributes: A table with a column ``annotator`` and some attributes, if there is one.
        by: The attributes that people are grouped by.
        wanted_method: The method to look at closely, if one is named.
        wanted_baseline: What it is compared with, if one is named.
    """

    folder: Folder
    ratings: pd.DataFrame | None = None
    attributes: pd.DataFrame | None = None
    by: Sequence[str] = ()
    wanted_method: str | None = None
    wanted_baseline: str | None = None

    @cached_property
    def scores(self) -> pd.DataFrame:
        """SCORES of all runs."""
        tables = [read_scores(run.path / "scores.json") for run in self.folder.runs]
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def split(self) -> str:
        """The split that is shown: test, or dev where there is no other."""
        return "test" if (column_of(self.scores, "split") == "test").any() else "dev"

    @cached_property
    def every_prediction(self) -> pd.DataFrame:
        """PREDICTIONS of all runs and splits."""
        files = (run.path / "predictions.parquet" for run in self.folder.runs)
        return pd.concat([read_predictions(file) for file in files], ignore_index=True)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The labelled PREDICTIONS of the split that is shown, of all runs."""
        table = self.every_prediction
        is_shown = (column_of(table, "split") == self.split) & column_of(table, "label").notna()
        return rows_of(table, is_shown).reset_index(drop=True)

    def predictions_of(self, method: str, *, one_seed: bool = True) -> pd.DataFrame:
        """Those of one method: of its first seed, or of all."""
        table = rows_of(self.predictions, column_of(self.predictions, "method") == method)
        if one_seed:
            seeds = column_of(table, "seed")
            table = rows_of(table, seeds == seeds.min())
        return table.reset_index(drop=True)

    @cached_property
    def labels(self) -> LabelSpace:
        """What can be predicted."""
        return label_space_of(self.every_prediction)

    @cached_property
    def methods(self) -> list[str]:
        """All methods, that with the lowest nll first."""
        means = {name: self.mean("nll", name) for name in self.folder.names}
        return sorted(means, key=lambda name: (np.isnan(means[name]), means[name]))

    def values(self, metric: str, method: str) -> pd.DataFrame:
        """SCORES of one metric and method in the split that is shown, all rows: one a seed."""
        table = self.scores
        chosen = (table["method"] == method) & (table["metric"] == metric)
        chosen &= (table["split"] == self.split) & (table["slice"] == "all")
        return table.loc[chosen]

    def mean(self, metric: str, method: str) -> float:
        """Mean over seeds; NaN where there is none."""
        return mean_of(self.values(metric, method), "value")

    @cached_property
    def method(self) -> str:
        """The method that is looked at closely.

        Raises:
            ConfigError: There is none of the name that is wanted.
        """
        return self._known(self.wanted_method) or self.methods[0]

    @cached_property
    def baseline(self) -> str | None:
        """What it is compared with; `None` where there is nothing else.

        Raises:
            ConfigError: There is none of the name that is wanted.
        """
        if self.wanted_baseline == self.method:
            raise ConfigError(f"{self.method} cannot be the baseline of itself")
        known = [name for name in BASELINES if name in self.methods and name != self.method]
        others = [name for name in self.methods if name != self.method]
        return self._known(self.wanted_baseline) or next(iter([*known, *others]), None)

    def _known(self, name: str | None) -> str | None:
        if name is not None and name not in self.methods:
            raise ConfigError(f"there is no run of {name!r}; there are {', '.join(self.methods)}")
        return name

    @cached_property
    def run(self) -> Finished:
        """The first run of the method that is looked at closely."""
        return self.folder.of(self.method)[0]

    def people_of(self, method: str) -> pd.DataFrame:
        """Scores of each annotator, means over seeds: index ``annotator``, see `annotator_scores`.

        Also ``rate`` and ``predicted_rate``, see `amount`, and ``ratings``: those in train if the
        ratings are given, else those scored.
        """
        rows = self.predictions_of(method, one_seed=False)
        if rows.empty:
            return pd.DataFrame()
        numbers = annotator_scores(rows).drop(columns=["method", "seed", "split"])
        rates = pd.DataFrame(
            {
                "annotator": rows["annotator"],
                "rate": self.amount.of_labels(column_of(rows, "label")),
                "predicted_rate": self.amount.of_predictions(rows),
            }
        )
        means: list[Any] = [table.groupby("annotator").mean() for table in (numbers, rates)]
        people: pd.DataFrame = means[0].join(means[1])
        return people.assign(ratings=self._ratings_of(people))

    def _ratings_of(self, people: pd.DataFrame) -> pd.Series:
        if self.train is None:
            return column_of(people, "n")
        counts = column_of(self.train, "annotator").value_counts()
        return counts.reindex(people.index).fillna(0).astype(int)

    @cached_property
    def train(self) -> pd.DataFrame | None:
        """The ratings that were learned from; `None` where ratings are not given.

        Also where the run divided them by annotator, which cannot be told from the texts.

        Raises:
            DataError: The ratings have none of the texts of the predictions.
        """
        if self.ratings is None or any(
            "split" in run.record.get("data", {}) for run in self.folder.runs
        ):
            return None
        held_out = column_of(self.ratings, "text_id").isin(self.every_prediction["text_id"])
        if not held_out.any():
            raise DataError("ratings", ["they have none of the texts that the runs predicted"])
        if "split" in self.ratings:
            return rows_of(self.ratings, column_of(self.ratings, "split") == "train")
        # The run made the splits: what it did not predict, it has learned from.
        return rows_of(self.ratings, ~held_out)

    @cached_property
    def texts(self) -> pd.Series | None:
        """Texts by `text_id`, pairs as one; `None` where ratings are not given."""
        if self.ratings is None:
            return None
        shown = self.ratings.drop_duplicates("text_id").set_index("text_id")
        texts = column_of(shown, "text")
        return texts if "text_pair" not in shown else texts + " ⟷ " + shown["text_pair"]

    @cached_property
    def amount(self) -> "Amount":
        """The one number that answers are summed up by."""
        given = column_of(self.predictions, "label")
        return Amount.of(self.labels, given)

    @cached_property
    def metrics(self) -> list[str]:
        """The metrics that there are, in their usual order."""
        there = set(self.scores["metric"])
        return [name for name in BETTER if name in there]


@dataclass(frozen=True)
class Amount:
    """A number for every answer: the label on a scale, or whether it is one certain label.

    Attributes:
        name: What it is called, on an axis.
        labels: The labels.
        values: The number of each label.
    """

    name: str
    labels: LabelSpace
    values: Float[np.ndarray, " labels"]

    @classmethod
    def of(cls, labels: LabelSpace, given: pd.Series) -> "Amount":
        """Of two labels whether it is the second; on a scale the label; else the commonest one."""
        if labels.kind == "ordinal":
            return cls("mean label", labels, np.asarray(labels.names, np.float64))
        index = 1
        if len(labels) > 2 and len(given):
            index = int(np.bincount(labels.encode(given), minlength=len(labels)).argmax())
        values = (np.arange(len(labels)) == index).astype(np.float64)
        return cls(f"rate of {labels.names[index]}", labels, values)

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest value."""
        return float(self.values.min()), float(self.values.max())

    def of_labels(self, given: pd.Series) -> Float[np.ndarray, " rows"]:
        """The number of each label that was given."""
        return self.values[self.labels.encode(given)]

    def of_predictions(self, rows: pd.DataFrame) -> Float[np.ndarray, " rows"]:
        """The number that each prediction expects."""
        return self.probabilities(rows) @ self.values

    def probabilities(self, rows: pd.DataFrame) -> Float[np.ndarray, "rows labels"]:
        """Of every label, in the order of the labels."""
        chosen: Any = rows[list(self.labels.columns)]
        return chosen.to_numpy(np.float64)
