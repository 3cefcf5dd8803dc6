"""Tasks as declarations: templates, labels, metrics, mixtures; no model and no rows."""

from hyperadapters.tasks.catalogue import TASKS, find_task
from hyperadapters.tasks.generation import Generation
from hyperadapters.tasks.hub import Hub
from hyperadapters.tasks.metrics import METRICS
from hyperadapters.tasks.mixture import Mixture, MixturePart, Sampling
from hyperadapters.tasks.mixture_file import read_mixture
from hyperadapters.tasks.task import Kind, SplitRule, Task

__all__ = [
    "METRICS",
    "TASKS",
    "Generation",
    "Hub",
    "Kind",
    "Mixture",
    "MixturePart",
    "Sampling",
    "SplitRule",
    "Task",
    "find_task",
    "read_mixture",
]
