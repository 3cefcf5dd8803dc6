"""A table of rows made ready for a model: indices, and distinct texts as tokens."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hyperadapters.conditions import Vocabulary
from hyperadapters.data.people import People
from hyperadapters.data.tokens import TokenizedTexts, tokenize
from hyperadapters.labels import LabelSpace
from hyperadapters.tables.frames import column_of


@dataclass(frozen=True)
class Examples:
    """Rows as integers.

    Attributes:
        text_of_row: Position of each row's text, shape ``(rows,)``.
        annotators: Index of each row's annotator, -1 where unknown, shape ``(rows,)``.
        labels: Index of each row's label, -1 where there is none, shape ``(rows,)``.
        tokens: The distinct texts.
        attributes: Indices of the attributes of each row's annotator, -1 where one is not known,
            shape ``(rows, n_attributes)``; no columns where nobody is described.
    """

    text_of_row: np.ndarray
    annotators: np.ndarray
    labels: np.ndarray
    tokens: TokenizedTexts
    attributes: np.ndarray

    def __len__(self) -> int:
        return len(self.text_of_row)

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        tokenizer: object,
        vocabulary: Vocabulary,
        labels: LabelSpace,
        max_length: int,
        people: People | None = None,
    ) -> "Examples":
        """Make rows ready.

        Args:
            frame: Columns `text`, `annotator`, and perhaps `text_pair` and `label`.
            tokenizer: Tokenizer of the backbone.
            vocabulary: Annotators that the model knows.
            labels: The label space.
            max_length: Longer texts are cut at so many tokens.
            people: What is known of annotators; rows may say more in columns of their own.

        Raises:
            DataError: A label is not among those of the label space.
        """
        columns = ["text", "text_pair"] if "text_pair" in frame else ["text"]
        group = frame.groupby(columns, sort=False, dropna=False)
        distinct = frame.loc[~frame.duplicated(columns), columns]
        pairs = distinct["text_pair"].tolist() if "text_pair" in distinct else None
        known = labels.encode(column_of(frame, "label")) if "label" in frame else None
        return cls(
            text_of_row=group.ngroup().to_numpy(np.int64),
            annotators=vocabulary.indices(frame["annotator"]),
            labels=np.full(len(frame), -1) if known is None else known,
            tokens=tokenize(tokenizer, distinct["text"].tolist(), pairs, max_length),
            attributes=people.indices(frame) if people else np.empty((len(frame), 0), np.int64),
        )
