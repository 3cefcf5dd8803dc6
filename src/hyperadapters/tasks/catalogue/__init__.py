"""The tasks that are known by name: those of the Hyperdecoders paper, and a few more.

Names, templates, targets, metrics and split rules are the paper's (its released code); where the
hub has moved a data set, `Hub` names its present place. Sets that were made by scripts are read
from the hub's own conversion (`CONVERTED`), since `datasets` runs no scripts any more.
"""

from collections.abc import Mapping
from types import MappingProxyType

from hyperadapters.errors import ConfigError
from hyperadapters.tasks.catalogue.choice import CHOICE
from hyperadapters.tasks.catalogue.glue import GLUE
from hyperadapters.tasks.catalogue.inference import INFERENCE
from hyperadapters.tasks.catalogue.questions import QUESTIONS
from hyperadapters.tasks.catalogue.texts import TEXTS
from hyperadapters.tasks.catalogue.writing import SUMMARIES, TRANSLATIONS
from hyperadapters.tasks.names import advice, listed
from hyperadapters.tasks.task import Task

_ALL = (*GLUE, *INFERENCE, *TEXTS, *CHOICE, *QUESTIONS, *SUMMARIES, *TRANSLATIONS)

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in _ALL})


def find_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ConfigError: There is none; names the one that comes near, or those that exist.
    """
    if name in TASKS:
        return TASKS[name]
    near = advice(name, TASKS)
    if near.startswith("known"):
        near = f"known: {listed(TASKS)}"
    raise ConfigError(f"unknown task '{name}'; {near}")


__all__ = ["TASKS", "find_task"]
