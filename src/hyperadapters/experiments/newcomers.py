"""People whom a run does not know, answered again and again as more of their labels are known.

What `Run.adapt`, `Run.rates` and `Run.predict` find for each of many choices of labels, without
reading the same texts through the model for each.
"""

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from torch import Tensor

from hyperadapters.adaptation import (
    Found,
    Known,
    LabelledRows,
    SetEncoder,
    VectorLogits,
    find_among,
    rates_among,
)
from hyperadapters.adaptation.newton import MAX_STEPS
from hyperadapters.experiments.prior import prior_of_run
from hyperadapters.labels import Decision
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.tables import predictions_frame
from hyperadapters.tables.frames import column_of

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run

ROWS_AT_ONCE = 4096


class Newcomers:
    """Some people, ratings of theirs that can become known, and what they are asked.

    Args:
        run: The run; people can be added to its method.
        pool: ANNOTATIONS that can become known.
        asked: ANNOTATIONS of the same people, of whom each has one in the pool.
    """

    def __init__(self, run: "Run", pool: pd.DataFrame, asked: pd.DataFrame) -> None:
        fitted = run.fitted
        assert isinstance(fitted, AnnotatorClassifier)  # noqa: S101 - people can be added
        self._run, self._fitted, self._asked = run, fitted, asked
        self._prior = prior_of_run(run, fitted)
        examples = fitted.examples(pool)
        self._given = LabelledRows(
            VectorLogits(fitted, examples),
            examples.labels,
            column_of(pool, "annotator").astype(str).to_numpy(),
            len(fitted.labels),
        )
        self._names = column_of(asked, "annotator").astype(str).to_numpy()
        self._logits = VectorLogits(fitted, fitted.examples(asked))

    def find(
        self,
        known: Bool[np.ndarray, " rows"],
        *,
        encoder: SetEncoder | None = None,
        max_steps: int = MAX_STEPS,
    ) -> Found:
        """Their vectors by some of the ratings.

        Args:
            known: Which rows of the pool are known, at least one of everybody.
            encoder: See `find_people`.
            max_steps: See `find_people`.
        """
        given = self._given.only(np.flatnonzero(known))
        return find_among(given, self._prior, encoder=encoder, max_steps=max_steps)

    def predictions(self, found: Found) -> pd.DataFrame:
        """PREDICTIONS of what they are asked, as of people who were adapted to."""
        vectors = found.vectors[found.places(self._names)]
        rows = np.arange(len(self._names))
        pieces = np.array_split(rows, 1 + len(rows) // ROWS_AT_ONCE)
        probabilities = np.concatenate([self._probabilities(some, vectors) for some in pieces])
        return predictions_frame(
            column_of(self._asked, "text_id"),
            column_of(self._asked, "annotator"),
            probabilities,
            self._fitted.labels,
            label=column_of(self._asked, "label"),
            split=column_of(self._asked, "split"),
            method=self._run.record.method,
            seed=self._run.record.seed,
            source="adapted",
            decision=cast(Decision, self._fitted.settings.decision),
        )

    def rates(self, found: Found) -> pd.DataFrame:
        """What `Run.rates` says of them, with `observed`."""
        vectors = dict(zip(found.names, found.vectors, strict=True))
        known = Known.of(found.posterior, vectors)
        labels = self._fitted.labels.names
        rates = rates_among(
            *(self._logits, self._names, known, self._prior, labels), self._run.record.seed
        )
        return with_observed(rates, self._asked)

    def _probabilities(
        self, rows: np.ndarray, vectors: Float[Tensor, "rows width"]
    ) -> Float[np.ndarray, "n labels"]:
        return self._logits(rows, vectors[rows])[0].softmax(dim=1).numpy()


def with_observed(rates: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Rates with a column `observed`: how often each label was given on the rows."""
    given = rows.groupby(["annotator", "label"]).size()
    pairs = zip(rates["annotator"], rates["label"], rates["n"], strict=True)
    return rates.assign(observed=[given.get((who, what), 0) / n for who, what, n in pairs])
