"""Which rows go together: batches are drawn by text, so that work on a text is shared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# Texts of similar length are sought within this many batches: little padding, much shuffling.
BATCHES_PER_POOL = 20


@dataclass(frozen=True)
class RowBatch:
    """Some rows and the distinct texts they are about.

    Attributes:
        rows: Positions of the rows, shape ``(rows,)``.
        texts: Positions of the distinct texts, shape ``(texts,)``.
        text_of_row: For each row the position of its text in `texts`, shape ``(rows,)``.
    """

    rows: np.ndarray
    texts: np.ndarray
    text_of_row: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, text_of_row: np.ndarray) -> "RowBatch":
        """A batch of these rows.

        Args:
            rows: Positions of the rows.
            text_of_row: Position of the text of *every* row of the table.
        """
        return cls(rows, *np.unique(text_of_row[rows], return_inverse=True))


def training_batches(
    text_of_row: np.ndarray, lengths: np.ndarray, batch_size: int, seed: Sequence[int]
) -> list[RowBatch]:
    """All rows once, shuffled; rows of a text stay together where they fit into a batch.

    Args:
        text_of_row: Position of the text of every row, shape ``(rows,)``.
        lengths: Number of tokens of every text, shape ``(texts,)``.
        batch_size: Rows a batch.
        seed: Seeds of the shuffling; the same seeds give the same batches.
    """
    generator = np.random.default_rng(list(seed))
    order = generator.permutation(len(text_of_row))
    text_rank = generator.permutation(len(lengths))
    # Rows of one text side by side, texts in random order.
    order = order[np.argsort(text_rank[text_of_row[order]], kind="stable")]
    pool = batch_size * BATCHES_PER_POOL
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        text = text_of_row[rows]
        rows = rows[np.lexsort((text_rank[text], lengths[text]))]
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return [RowBatch.of(batches[i], text_of_row) for i in generator.permutation(len(batches))]


def prediction_batches(
    text_of_row: np.ndarray, lengths: np.ndarray, batch_size: int
) -> Iterator[RowBatch]:
    """All rows once, by length and text; positions of the rows travel with them."""
    order = np.lexsort((text_of_row, lengths[text_of_row]))
    for start in range(0, len(order), batch_size):
        yield RowBatch.of(order[start : start + batch_size], text_of_row)
