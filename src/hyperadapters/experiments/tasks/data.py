"""A mixture with its examples, checked before anything is trained on them."""

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any

import pandas as pd

from hyperadapters.data.tasks import read_examples
from hyperadapters.errors import DataError
from hyperadapters.evaluation.tasks import check_metrics
from hyperadapters.experiments.tasks.known import KnownTasks
from hyperadapters.experiments.tasks.record import examples_fingerprint
from hyperadapters.tables.frames import column_of, rows_of
from hyperadapters.tasks import Mixture, read_mixture


@dataclass(frozen=True)
class MixtureData:
    """What runs of all recipes and seeds have in common.

    Attributes:
        mixture: The mixture.
        known: Its tasks.
        examples: EXAMPLES of all of them. Splits and limits do not depend on a run's seed, so that
            runs can be compared.
    """

    mixture: Mixture
    known: KnownTasks
    examples: pd.DataFrame

    @classmethod
    def read(cls, mixture: Mixture | str | PathLike[str]) -> "MixtureData":
        """Read a mixture.

        Raises:
            ConfigError: The YAML file, a task or a metric cannot be used.
            DataError: A file cannot be used, or no trained task has dev rows.
        """
        if not isinstance(mixture, Mixture):
            mixture = read_mixture(mixture)
        known = KnownTasks.of(mixture)
        check_metrics(known.tasks.values())
        data = cls(mixture, known, read_examples(mixture))
        if len(data.without_dev) == len(mixture.parts):
            raise DataError(
                mixture.name, ["no trained task has dev rows, and the best model is chosen by them"]
            )
        return data

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """Sizes and SHA-256 of the examples."""
        return examples_fingerprint(self.examples)

    @property
    def without_dev(self) -> list[str]:
        """Trained tasks that the choice of the best model does not look at."""
        on_dev = set(column_of(self.rows("dev"), "task"))
        return [p.task.name for p in self.mixture.parts if p.task.name not in on_dev]

    def rows(self, *splits: str) -> pd.DataFrame:
        """The examples of some splits."""
        chosen = column_of(self.examples, "split").isin(splits)
        return rows_of(self.examples, chosen).reset_index(drop=True)
