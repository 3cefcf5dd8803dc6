"""TASK PREDICTIONS to SCORES: what was written against what would have been accepted."""

from hyperadapters.evaluation.tasks.evaluate import TASK_METRICS, check_metrics, evaluate_tasks
from hyperadapters.evaluation.tasks.spans import normalise_answer
from hyperadapters.evaluation.tasks.summary import differences, summarise_runs
from hyperadapters.evaluation.tasks.windows import choose_windows

__all__ = [
    "TASK_METRICS",
    "check_metrics",
    "choose_windows",
    "differences",
    "evaluate_tasks",
    "normalise_answer",
    "summarise_runs",
]
