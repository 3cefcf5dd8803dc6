"""Runs on mixtures of tasks: fit a recipe, load it again, compare recipes over seeds."""

from hyperadapters.experiments.tasks.compare import Comparison, compare_tasks
from hyperadapters.experiments.tasks.fit import fit_tasks
from hyperadapters.experiments.tasks.run import TaskRun, load_tasks

__all__ = ["Comparison", "TaskRun", "compare_tasks", "fit_tasks", "load_tasks"]
