"""The tasks of a run: their order, which fixes their indices, and their declarations."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hyperadapters.errors import ConditionError
from hyperadapters.tasks import Mixture, Task
from hyperadapters.tasks.names import listed


@dataclass(frozen=True)
class KnownTasks:
    """Content of `tasks.json`.

    Attributes:
        order: The tasks that have adapters of their own, in the order of their indices.
        tasks: Every task by its name, also those that were only scored.
        conditioned_as: Name of a task → name of the task whose adapters read it.
        evaluation_only: Names of the tasks that were not trained on.
        columns: Name of a task → its column → the file's column or path.
    """

    order: tuple[str, ...]
    tasks: Mapping[str, Task]
    conditioned_as: Mapping[str, str]
    evaluation_only: tuple[str, ...] = ()
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, mixture: Mixture) -> "KnownTasks":
        """The tasks of a mixture."""
        parts = mixture.all_parts
        return cls(
            mixture.task_names,
            mixture.tasks,
            {part.task.name: part.conditioned_as for part in parts},
            tuple(part.task.name for part in mixture.evaluation_only),
            {part.task.name: dict(part.columns) for part in parts if part.columns},
        )

    @property
    def index(self) -> dict[str, int]:
        """For every task the index of the one whose adapters read it."""
        return {name: self.order.index(like) for name, like in self.conditioned_as.items()}

    def find(self, name: str) -> Task:
        """The task of that name.

        Raises:
            ConditionError: The run does not know it; names the one that comes near and all.
        """
        if name in self.tasks:
            return self.tasks[name]
        near = difflib.get_close_matches(name, self.tasks, n=1)
        advice = f"did you mean {near[0]!r}? " if near else ""
        raise ConditionError(f"the run knows no task {name!r}; {advice}known: {listed(self.tasks)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "order": list(self.order),
            "tasks": {name: task.to_dict() for name, task in self.tasks.items()},
            "conditioned_as": dict(self.conditioned_as),
            "evaluation_only": list(self.evaluation_only),
            "columns": {name: dict(columns) for name, columns in self.columns.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "KnownTasks":
        """Inverse of `to_dict`.

        Raises:
            KeyError: A field is missing.
            ValueError: A task or a column is at fault, or a task is read by the adapters of one
                that is not there.
        """
        tasks = {name: Task.from_dict(plain) for name, plain in data["tasks"].items()}
        known = cls(
            tuple(data["order"]),
            tasks,
            dict(data["conditioned_as"]),
            tuple(data["evaluation_only"]),
            {task: _columns(of_task) for task, of_task in data["columns"].items()},
        )
        if set(known.index) != set(tasks):
            raise ValueError("its tasks and what they are conditioned as do not agree")
        return known


def _columns(plain: Mapping[str, Any]) -> dict[str, str]:
    wrong = [name for name, column in plain.items() if not isinstance(column, str)]
    if wrong:
        raise ValueError(f"column {wrong[0]!r} must be a text, got {plain[wrong[0]]!r}")
    return dict(plain)
