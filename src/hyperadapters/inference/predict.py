"""Probabilities of every row, joined to the row by its position."""

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from hyperadapters.adaptation import Intervals
from hyperadapters.baselines import AnnotatorMode, GlobalMode
from hyperadapters.data.tokens import TokenizedTexts, tokenize
from hyperadapters.inference.question import Chunk, Question
from hyperadapters.labels import Decision
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.methods.everyone import Everyone
from hyperadapters.tables import predictions_frame
from hyperadapters.tables.frames import column_of

Fitted = AnnotatorClassifier | GlobalMode | AnnotatorMode
"""Whatever a method leaves behind after fitting."""


def predict(fitted: Fitted, rows: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """PREDICTIONS of a fitted method.

    Rows by annotators whom the training data does not know are answered from the population and
    marked ``source = population``, by every method, so that scores by source hold the same rows;
    but ``source = attributes`` where the method is told attributes and a row gives any.

    Args:
        fitted: The fitted method.
        rows: Columns `text_id, text, annotator`, perhaps `text_pair`, `label`, `split`.
        seed: Seed of the run, for the column of that name.

    Raises:
        DataError: A label is not among those of the method, or a pair occurs twice.
    """
    if not isinstance(fitted, AnnotatorClassifier):
        return fitted.predict(rows, seed=seed)
    examples = fitted.examples(rows)
    with fitted.states_of(examples):
        probabilities = fitted.probabilities(examples)
    described = np.any(examples.attributes >= 0, axis=1)
    return _frame(fitted, rows, probabilities, examples.annotators, described, seed)


class Answers:
    """PREDICTIONS of a fitted method, one chunk of a question at a time.

    Args:
        fitted: The fitted method.
        question: What is asked.
        seed: Seed of the run, for the column of that name.
        tick: Is told how many more rows are done, whenever some are.
        intervals: What adds intervals to the answers.
    """

    def __init__(
        self,
        fitted: Fitted,
        question: Question,
        *,
        seed: int = 0,
        tick: Callable[[int], None] | None = None,
        intervals: Intervals | None = None,
    ) -> None:
        self.question = question
        self._fitted = fitted
        self._seed = seed
        self._tick = tick
        self._intervals = intervals
        self._everyone: Everyone | None = None

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return map(self.of, self.question.chunks)

    def of(self, chunk: Chunk) -> pd.DataFrame:
        """PREDICTIONS of a chunk; they depend on no other chunk."""
        rows = self.question.rows(chunk)
        answers = self._of(chunk, rows)
        return answers if self._intervals is None else self._intervals.add_to(answers, rows)

    def _of(self, chunk: Chunk, rows: pd.DataFrame) -> pd.DataFrame:
        names = self.question.names
        if names is None or not isinstance(self._fitted, AnnotatorClassifier):
            answers = predict(self._fitted, rows, seed=self._seed)
            if self._tick is not None:
                self._tick(len(answers))
            return answers
        indices = self._fitted.vocabulary.indices(names)
        if self._everyone is None:
            self._everyone = self._fitted.everyone(indices)
        tokens = _tokens(self._fitted, self.question.texts(chunk))
        probabilities = self._everyone.probabilities(tokens, chunk.annotators, self._tick)
        asked = np.tile(indices[chunk.annotators], len(tokens))
        flat = probabilities.reshape(len(rows), -1)
        # Of these, the model knows the ones of whom it knows any attribute.
        return _frame(self._fitted, rows, flat, asked, np.zeros(len(rows), bool), self._seed)


def _tokens(fitted: AnnotatorClassifier, texts: pd.DataFrame) -> TokenizedTexts:
    pairs = column_of(texts, "text_pair").tolist() if "text_pair" in texts else None
    length = fitted.max_length
    return tokenize(fitted.backbone.tokenizer, column_of(texts, "text").tolist(), pairs, length)


def _frame(
    fitted: AnnotatorClassifier,
    rows: pd.DataFrame,
    probabilities: Float[np.ndarray, "rows labels"],
    annotators: Int[np.ndarray, " rows"],
    described: Bool[np.ndarray, " rows"],
    seed: int,
) -> pd.DataFrame:
    of_known = np.where(fitted.adapted[annotators], "adapted", "known")
    of_others = np.where(described, "attributes", "population")
    return predictions_frame(
        column_of(rows, "text_id"),
        column_of(rows, "annotator"),
        probabilities,
        fitted.labels,
        label=column_of(rows, "label") if "label" in rows else None,
        split=column_of(rows, "split") if "split" in rows else "test",
        method=fitted.method.name,
        seed=seed,
        source=np.where(annotators >= 0, of_known, of_others),
        decision=cast(Decision, fitted.settings.decision),
    )
