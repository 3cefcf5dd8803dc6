"""Rows in, PREDICTIONS out."""

from hyperadapters.inference.predict import Fitted, predict
from hyperadapters.inference.rows import ALL, POPULATION, ROWS, rows_for

__all__ = ["ALL", "POPULATION", "ROWS", "Fitted", "predict", "rows_for"]
