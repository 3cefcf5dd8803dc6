"""What `run.json` says of a run on tasks."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from hyperadapters.experiments.record import FORMAT, Record
from hyperadapters.tables.frames import column_of
from hyperadapters.tasks import Mixture, MixturePart

_COLUMNS = (
    *("text_id", "task", "source", "target", "references", "split"),
    *("question", "context", "starts"),
)


@dataclass(frozen=True)
class TaskRecord(Record):
    """Content of `run.json`.

    Attributes:
        recipe: Name of the recipe.
        backbone: Name of the backbone.
        seed: The seed.
        settings: Every setting.
        mixture: The mixture as data: tasks, files, limits, sampling.
        tasks: The tasks in the order of their indices.
        data: Fingerprint and sizes of the examples, and how splits were made.
        selection: How the best evaluation is found.
        versions: Versions of Python and the packages that matter.
        complete: Whether training, prediction and evaluation are done.
        results: Parameters, best evaluation, truncated texts, seconds.
        kind: Tells the run from one for annotators.
        format: Version of this layout.
    """

    ABOUT: ClassVar[str] = "tasks"

    recipe: str
    backbone: str
    seed: int
    settings: dict[str, Any]
    mixture: dict[str, Any]
    tasks: list[str]
    data: dict[str, Any]
    selection: str
    versions: dict[str, str]
    complete: bool = False
    results: dict[str, Any] = field(default_factory=dict)
    kind: str = "tasks"
    format: int = FORMAT

    def differences(self, other: "TaskRecord") -> list[str]:
        """What another run was started with differently; where the files lie does not count."""
        mine, its = self.to_dict(), other.to_dict()
        fields = ("recipe", "backbone", "seed", "tasks", "data")
        found = [name for name in fields if mine[name] != its[name]]
        if _without_files(self.mixture) != _without_files(other.mixture):
            found.append("mixture")
        settings = other.settings
        return found + [n for n, value in self.settings.items() if settings.get(n) != value]


def selection_of(dev_limit: int) -> str:
    """How the best evaluation is found, in words."""
    rows = f"at most {dev_limit} dev examples of each task" if dev_limit else "all dev examples"
    return (
        "highest dev average: the mean over the trained tasks of the mean of each task's metrics, "
        f"on {rows}; the earlier of two equals"
    )


def mixture_data(mixture: Mixture) -> dict[str, Any]:
    """A mixture as plain JSON."""
    return {
        "name": mixture.name,
        "parts": [_part(part) for part in mixture.parts],
        "evaluation_only": [_part(part) for part in mixture.evaluation_only],
        "sampling": mixture.sampling.to_dict(),
    }


def examples_fingerprint(examples: pd.DataFrame) -> dict[str, Any]:
    """Sizes and SHA-256 of examples with their splits.

    Args:
        examples: EXAMPLES.
    """
    digest = hashlib.sha256()
    columns = [column_of(examples, name).tolist() for name in _COLUMNS if name in examples]
    for row in zip(*columns, strict=True):
        digest.update(json.dumps(row, default=str).encode() + b"\n")
    sizes: dict[str, Counter[str]] = {}
    pairs = (column_of(examples, name).tolist() for name in ("task", "split"))
    for task, split in zip(*pairs, strict=True):
        sizes.setdefault(task, Counter())[split] += 1
    return {
        "rows": len(examples),
        "rows_by_task": {task: dict(counts) for task, counts in sizes.items()},
        "splits": examples.attrs.get("splits", {}),
        "sha256": digest.hexdigest(),
    }


def _part(part: MixturePart) -> dict[str, Any]:
    return {
        "task": part.task.to_dict(),
        "files": [str(file) for file in part.files],
        "limits": dict(part.limits),
        "where": {column: list(cells) for column, cells in part.where.items()},
        "columns": dict(part.columns),
        "conditioned_as": part.conditioned_as,
    }


def _without_files(mixture: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in mixture.items() if name != "name"}
    for name in ("parts", "evaluation_only"):
        parts = mixture.get(name, [])
        kept[name] = [{k: v for k, v in part.items() if k != "files"} for part in parts]
    return kept
