"""Rows in, PREDICTIONS out."""

from hyperadapters.inference.asked import Texts, as_table
from hyperadapters.inference.predict import Answers, Fitted, predict
from hyperadapters.inference.question import Chunk, Question
from hyperadapters.inference.rows import ALL, POPULATION, ROWS, rows_for
from hyperadapters.inference.stream import targets_of, write_answers

__all__ = [
    "ALL",
    "POPULATION",
    "ROWS",
    "Answers",
    "Chunk",
    "Fitted",
    "Question",
    "Texts",
    "as_table",
    "predict",
    "rows_for",
    "targets_of",
    "write_answers",
]
