"""Rows of tasks: files and the hub in, EXAMPLES, tokens and batches out."""

from hyperadapters.data.tasks.examples import EXAMPLE_COLUMNS, check_examples
from hyperadapters.data.tasks.read import read_examples, read_task_file
from hyperadapters.data.tasks.sampling import epoch_batches
from hyperadapters.data.tasks.tokenising import tokenise
from hyperadapters.data.tasks.tokens import TaskTokens

__all__ = [
    "EXAMPLE_COLUMNS",
    "TaskTokens",
    "check_examples",
    "epoch_batches",
    "read_examples",
    "read_task_file",
    "tokenise",
]
