"""Rows of tasks in, written answers out."""

from hyperadapters.inference.tasks.words import Spelling, spellings
from hyperadapters.inference.tasks.write import write_answers

__all__ = ["Spelling", "spellings", "write_answers"]
