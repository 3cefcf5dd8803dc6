"""Which tasks are learned together, from which rows, and how batches are drawn from them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperadapters.errors import ConfigError
from hyperadapters.tasks.hub import SPLITS
from hyperadapters.tasks.names import ALL, unknown_names
from hyperadapters.tasks.task import Task


@dataclass(frozen=True)
class Sampling:
    """How rows are drawn in training.

    Attributes:
        temperature: Task i is drawn with probability proportional to (n_i / N)^(1 / temperature):
            1 by size, infinity all alike.
        one_task_per_batch: Whether the rows of a batch are all of one task.
    """

    temperature: float | int = 1.0
    one_task_per_batch: bool = False

    def __post_init__(self) -> None:
        _refuse_sampling(self.temperature, self.one_task_per_batch)
        object.__setattr__(self, "temperature", float(self.temperature))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Sampling":
        """The sampling of a plain form; the texts ``"inf"`` and ``".inf"`` are infinity.

        Raises:
            ConfigError: A key that does not exist, or a value that cannot be used.
        """
        problems = unknown_names("key", plain, ("temperature", "one_task_per_batch"))
        if problems:
            raise ConfigError("; ".join(problems))
        values = dict(plain)
        if str(values.get("temperature")).lower().lstrip(".") in ("inf", "infinity"):
            values["temperature"] = math.inf
        _refuse_sampling(values.get("temperature", 1.0), values.get("one_task_per_batch", False))
        return cls(**values)

    @property
    def is_permutation(self) -> bool:
        """Whether an epoch is every row once, in random order."""
        return self.temperature == 1 and not self.one_task_per_batch

    def to_dict(self) -> dict[str, float | str | bool]:
        """Plain JSON form; infinity, which JSON does not know, is the text ``"inf"``."""
        shown = "inf" if math.isinf(self.temperature) else self.temperature
        return {"temperature": shown, "one_task_per_batch": self.one_task_per_batch}


@dataclass(frozen=True)
class MixturePart:
    """One task of a mixture and where its rows are.

    Attributes:
        task: The task.
        files: Files that are put one below the other; none: the hub.
        limits: Split -> at most so many of its rows, drawn with the seed.
        where: Column -> cells (as text) of the rows that are wanted.
        columns: The task's column -> the file's column, or a path with dots in it.
        conditioned_as: The trained task whose adapters read these rows; by default the task itself.
    """

    task: Task
    files: tuple[Path, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    conditioned_as: str = ""

    def __post_init__(self) -> None:
        problems = unknown_names("split", self.limits, SPLITS)
        problems += [
            f"{split} must be a whole number of rows, at least 1, got {limit!r}"
            for split, limit in self.limits.items()
            if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1
        ]
        if not self.files and self.task.hub is None:
            problems.append("no file, and the hub does not have it; name one with `file`")
        if problems:
            raise ConfigError(f"task {self.task.name}: {'; '.join(problems)}")
        object.__setattr__(self, "conditioned_as", self.conditioned_as or self.task.name)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "task": self.task.to_dict(),
            "files": [str(path) for path in self.files],
            "limits": dict(self.limits),
            "where": {column: list(cells) for column, cells in self.where.items()},
            "columns": dict(self.columns),
            "conditioned_as": self.conditioned_as,
        }


@dataclass(frozen=True)
class Mixture:
    """Tasks that are learned together.

    Attributes:
        name: What the mixture is called.
        parts: What is trained on, in the user's order.
        sampling: How rows are drawn in training.
        evaluation_only: What is only scored, with the adapters of a trained task.

    Raises:
        ConfigError: No part, a name twice, a task called ``all``, or a part that is conditioned as
            no trained task.
    """

    name: str
    parts: tuple[MixturePart, ...]
    sampling: Sampling = field(default_factory=Sampling)
    evaluation_only: tuple[MixturePart, ...] = ()

    def __post_init__(self) -> None:
        if not self.parts:
            raise ConfigError(f"mixture {self.name}: no task is trained")
        names = [part.task.name for part in self.all_parts]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        problems = [f"task '{name}' occurs twice" for name in twice]
        if ALL in names:
            problems.append(f"a task cannot be called {ALL!r}, the slice of the averages")
        trained = self.task_names
        astray = [part for part in self.all_parts if part.conditioned_as not in trained]
        problems += [_trained_nowhere(part, trained) for part in astray]
        if problems:
            raise ConfigError(f"mixture {self.name}: {'; '.join(problems)}")

    @property
    def all_parts(self) -> tuple[MixturePart, ...]:
        """The trained parts, then those that are only scored."""
        return self.parts + self.evaluation_only

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks that have adapters of their own, in the user's order."""
        return tuple(p.task.name for p in self.parts if p.conditioned_as == p.task.name)

    @property
    def tasks(self) -> dict[str, Task]:
        """Every task by its name, also those that are only scored."""
        return {part.task.name: part.task for part in self.all_parts}

    @property
    def task_index(self) -> dict[str, int]:
        """For every task the position in `task_names` of the one that it is conditioned as."""
        names = self.task_names
        return {part.task.name: names.index(part.conditioned_as) for part in self.all_parts}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, for the record of a run."""
        return {
            "name": self.name,
            "parts": [part.to_dict() for part in self.parts],
            "sampling": self.sampling.to_dict(),
            "evaluation_only": [part.to_dict() for part in self.evaluation_only],
        }


def _refuse_sampling(temperature: Any, one_task_per_batch: Any) -> None:
    is_number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    if not is_number or not temperature > 0:
        raise ConfigError(f"temperature must be a number above 0 (or .inf), got {temperature!r}")
    if not isinstance(one_task_per_batch, bool):
        raise ConfigError(f"one_task_per_batch must be true or false, got {one_task_per_batch!r}")


def _trained_nowhere(part: MixturePart, trained: tuple[str, ...]) -> str:
    name, wanted = part.task.name, part.conditioned_as
    known = f"trained: {', '.join(trained)}"
    if wanted == name:
        return (
            f"task '{name}' is only evaluated; say with `like` which trained task it is ({known})"
        )
    return f"task '{name}' is like '{wanted}', which is trained nowhere ({known})"
