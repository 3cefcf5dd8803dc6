"""A job of prediction: who is asked about which texts, cut into chunks of bounded size."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hyperadapters.conditions import Vocabulary
from hyperadapters.errors import DataError, Fault
from hyperadapters.inference.rows import ROWS, names_for, rows_for
from hyperadapters.labels import LabelSpace
from hyperadapters.tables.frames import column_of

CHUNK_ROWS = 32_768
"""Rows that are held in memory at a time, and that an interrupted job can lose."""


@dataclass(frozen=True)
class Chunk:
    """Some texts and some annotators, or some rows.

    Attributes:
        texts: Positions among the distinct texts; of a table of rows those of the rows.
        annotators: Positions among the annotators who are asked about every text.
        n_rows: Number of rows.
    """

    texts: slice
    annotators: slice
    n_rows: int


class Question:
    """Who is asked about what.

    Args:
        table: Columns `text_id`, `text`, perhaps `text_pair`, `annotator`, `label` and `split`.
        annotators: ``"rows"``, ``"all"``, ``"population"`` or ids, see `rows_for`.
        vocabulary: Annotators that the model knows.
        labels: Labels that the model knows.

    Attributes:
        names: Who is asked about every text; `None` where the rows of the table say who.
        chunks: The chunks, in the order of the answers.

    Raises:
        ConfigError: ``"rows"`` for a table without annotators.
        ConditionError: An id in the list is unknown to the model.
        DataError: There is no text, a label is unknown to the model, a pair occurs twice, or one
            `text_id` has several texts.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        annotators: str | Sequence[str],
        vocabulary: Vocabulary,
        labels: LabelSpace,
    ) -> None:
        if not len(table):
            raise DataError("texts", ["there is no text"])
        self._vocabulary = vocabulary
        self.names = None if annotators == ROWS else names_for(annotators, vocabulary)
        if "label" in table:
            labels.encode(column_of(table, "label"))
        if self.names is None:
            self._rows = rows_for(table, ROWS, vocabulary)
            _check_pairs(self._rows)
            self._order = self._starts = np.arange(len(self._rows) + 1)
        else:
            self._rows = table.reset_index(drop=True)
            _check_texts(self._rows)
            # Rows of a text together, texts in the order in which they come first.
            text, _ = pd.factorize(column_of(self._rows, "text_id"))
            self._order = np.argsort(text, kind="stable")
            self._starts = np.searchsorted(text[self._order], np.arange(text.max() + 2))
        self.chunks = self._cut()

    def __len__(self) -> int:
        return sum(chunk.n_rows for chunk in self.chunks)

    @property
    def n_known(self) -> int:
        """Rows by annotators whom the model knows."""
        return self.n_by(self._vocabulary.names)

    def n_by(self, names: Iterable[str]) -> int:
        """Rows by these annotators."""
        wanted = set(names)
        asked = column_of(self._rows, "annotator") if self.names is None else self.names
        found = sum(str(name) in wanted for name in asked)
        return found if self.names is None else found * (len(self._starts) - 1)

    @property
    def table(self) -> pd.DataFrame:
        """What is known of the texts, as it was given."""
        return self._rows

    def texts(self, chunk: Chunk) -> pd.DataFrame:
        """The distinct texts of a chunk, where the same people are asked about all of them."""
        first = self._starts[:-1][chunk.texts]
        return self._rows.iloc[self._order[first]]

    def rows(self, chunk: Chunk) -> pd.DataFrame:
        """The rows of a chunk, in the order of the answers: by text, then by annotator."""
        first, end = self._starts[chunk.texts.start], self._starts[chunk.texts.stop]
        part = self._rows.iloc[self._order[first:end]]
        if self.names is None:
            return part.reset_index(drop=True)
        return rows_for(part, self.names[chunk.annotators], self._vocabulary)

    def _cut(self) -> list[Chunk]:
        n_texts = len(self._starts) - 1
        n_names = 1 if self.names is None else len(self.names)
        across = min(n_names, CHUNK_ROWS)
        down = CHUNK_ROWS // across
        chunks = []
        for text in range(0, n_texts, down):
            texts = slice(text, min(text + down, n_texts))
            for name in range(0, n_names, across):
                names = slice(name, min(name + across, n_names))
                n_rows = (texts.stop - texts.start) * (names.stop - names.start)
                chunks.append(Chunk(texts, names, n_rows))
        return chunks


def _check_pairs(rows: pd.DataFrame) -> None:
    twice = rows.duplicated([c for c in ("text_id", "annotator", "split") if c in rows])
    _refuse(twice, "the same text and annotator occur before")


def _check_texts(rows: pd.DataFrame) -> None:
    columns = [c for c in ("text_id", "text", "text_pair") if c in rows]
    different = rows.drop_duplicates(columns)
    clashing = different.duplicated("text_id").reindex(rows.index, fill_value=False)
    _refuse(clashing, "another text has this text_id; ids must tell texts apart")


def _refuse(wrong: pd.Series, what: str) -> None:
    places = tuple((np.flatnonzero(wrong.to_numpy(bool)) + 1).tolist())
    if places:
        raise DataError("texts", [Fault(what, places)])
