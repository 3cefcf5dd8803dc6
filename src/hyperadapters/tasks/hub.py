"""Where the library `datasets` finds a task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hyperadapters.errors import ConfigError
from hyperadapters.tasks.names import unknown_names

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Hub:
    """Where the library `datasets` finds a task.

    Attributes:
        path: Name of the data set, e.g. ``"nyu-mll/glue"``, or a folder.
        name: Its configuration; None: the only one.
        splits: For train, dev and test the hub's split, or several that are joined. A test split
            whose labels are hidden is left out.
        revision: Branch or commit; None: the newest.
        columns: Our column -> where it stands in the hub's rows: a column, or a path with dots,
            e.g. ``"answers.text.0"`` (a key, a position, ``*``: each element).
        without: Column -> cells (as text) of the rows that are no examples, e.g. SNLI's label
            ``"-1"`` where the raters did not agree.
    """

    path: str
    name: str | None = None
    splits: Mapping[str, str | tuple[str, ...]] = field(
        default_factory=lambda: {"train": "train", "dev": "validation", "test": "test"}
    )
    revision: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = unknown_names("split", self.splits, SPLITS)
        if problems:
            raise ConfigError(f"hub {self.path}: {'; '.join(problems)}")

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Hub":
        """The place of a plain JSON form whose keys are fields.

        Raises:
            ConfigError: A value that cannot be used, a split that does not exist.
        """
        values = dict(plain)
        for name in ("path", "name", "revision"):
            value = values.get(name)
            if not isinstance(value, str) and (name == "path" or value is not None):
                raise ConfigError(f"hub: {name} must be text, got {value!r}")
        for name in ("splits", "columns", "without"):
            if name in values:
                values[name] = _texts(name, values[name])
        columns = values.get("columns", {})
        several = [name for name, value in columns.items() if not isinstance(value, str)]
        if several:
            raise ConfigError(f"hub: columns: {several[0]} must be one column or path")
        without = values.get("without", {})
        values["without"] = {k: (v,) if isinstance(v, str) else v for k, v in without.items()}
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "path": self.path,
            "name": self.name,
            "splits": {k: v if isinstance(v, str) else list(v) for k, v in self.splits.items()},
            "revision": self.revision,
            "columns": dict(self.columns),
            "without": {key: list(cells) for key, cells in self.without.items()},
        }


def _texts(name: str, table: Any) -> dict[str, str | tuple[str, ...]]:
    """A table of texts, or of lists of texts, with tuples for the lists."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"hub: {name} must be a table, got {table!r}")
    found: dict[str, str | tuple[str, ...]] = {}
    for key, value in table.items():
        values = value if isinstance(value, list | tuple) else [value]
        if not values or not all(isinstance(item, str) for item in values):
            raise ConfigError(f"hub: {name}: {key} must be text or a list of texts, got {value!r}")
        found[str(key)] = value if isinstance(value, str) else tuple(values)
    return found
