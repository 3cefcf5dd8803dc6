"""Which finished runs lie in a folder, and what their small files say."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperadapters.errors import RunError

RECORD, COMPARISON = "run.json", "compare.json"
ABOUT = ("annotators", "tasks")


@dataclass(frozen=True)
class Finished:
    """A finished run.

    Attributes:
        path: Its folder.
        record: What its `run.json` says.
    """

    path: Path
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its method, or its recipe."""
        return str(self.record.get("method", self.record.get("recipe")))

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.record["seed"])

    @property
    def results(self) -> Mapping[str, Any]:
        """Parameters and seconds."""
        return self.record.get("results", {})

    def file(self, name: str) -> Any:
        """A file of JSON beside the record; `None` where there is none.

        Raises:
            RunError: It cannot be read.
        """
        path = self.path / name
        return read_json(path) if path.is_file() else None


@dataclass(frozen=True)
class Folder:
    """A run, or the runs of a comparison.

    Attributes:
        path: The folder.
        about: ``"annotators"`` or ``"tasks"``.
        runs: The finished runs.
        comparison: What `compare.json` says; empty where there is none.
        left_out: Why other runs in it are not shown, a sentence each.
    """

    path: Path
    about: str
    runs: Sequence[Finished]
    comparison: Mapping[str, Any]
    left_out: Sequence[str] = ()

    @property
    def is_run(self) -> bool:
        """Whether it is the folder of one run."""
        return (self.path / RECORD).is_file()

    @property
    def names(self) -> list[str]:
        """Methods or recipes, in the order of the comparison."""
        wanted = self.comparison.get("methods", self.comparison.get("recipes", []))
        found = dict.fromkeys(run.name for run in self.runs)
        return [n for n in wanted if n in found] + [n for n in found if n not in wanted]

    def of(self, name: str) -> list[Finished]:
        """The runs of a method or recipe, by seed."""
        return sorted((run for run in self.runs if run.name == name), key=lambda run: run.seed)


def open_folder(path: Path) -> Folder:
    """The finished runs at `path`: the run itself, or those up to two folders below.

    Raises:
        RunError: There is none, a record cannot be read, or some are about tasks and some not.
    """
    alone = (path / RECORD).is_file()
    files = [path / RECORD] if alone else [*path.glob("*/run.json"), *path.glob("*/*/run.json")]
    if not files:
        what = "has no run.json" if path.is_dir() else "is no folder"
        raise RunError(
            f"{path} {what}; name a run folder, or a folder of runs such as "
            "`hyperadapters compare` makes"
        )
    runs, left_out = [], []
    for file in sorted(files):
        run = Finished(file.parent, _checked(read_json(file), file))
        if run.record.get("complete"):
            runs.append(run)
        else:
            left_out.append(f"{file.parent.relative_to(path)} was not finished.")
    if not runs:
        raise RunError(f"{path} was not finished; go on with --resume first")
    kinds = {str(run.record.get("kind", ABOUT[0])) for run in runs}
    if len(kinds) > 1 or not kinds <= set(ABOUT):
        raise RunError(f"{path} holds runs about {' and '.join(sorted(kinds))}; report them apart")
    record = {} if alone or not (path / COMPARISON).is_file() else read_json(path / COMPARISON)
    failed = record.get("failed", {})
    left_out += [f"{name} failed: {reason}." for name, reason in failed.items()]
    return Folder(path, kinds.pop(), runs, record, left_out)


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        RunError: It cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _checked(record: Any, file: Path) -> Mapping[str, Any]:
    named = isinstance(record, dict) and ("method" in record or "recipe" in record)
    if not named or not isinstance(record.get("seed"), int):
        raise RunError(f"{file} is not the record of a run")
    return record
