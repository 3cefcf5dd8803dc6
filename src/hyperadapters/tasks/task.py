"""A task: what is put to the model, what it should answer, and how answers are counted."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tasks import template
from hyperadapters.tasks.cells import cell_text, label_text, number_of
from hyperadapters.tasks.faults import check_keys, task_problems
from hyperadapters.tasks.generation import Generation
from hyperadapters.tasks.hub import Hub

Kind = Literal["classification", "regression", "qa", "text"]
SplitRule = Literal["official", "half", "thousand"]


@dataclass(frozen=True)
class Task:
    """What is put to the model, what it should answer, and how answers are counted.

    Attributes:
        name: The task's name.
        kind: What a target is: a label word, a number, an answer to a question about a context,
            or any text.
        source: Template over columns, e.g. ``"sentence1: {sentence1} sentence2: {sentence2}"``.
            That of a question ends with ``{context}``, the part that may be read in windows.
        target: Column of the answer.
        metrics: Names of `METRICS`, the first one first.
        labels: Cell (as text) -> label word, in order; None where targets are no labels.
        prefix: What stands before the source; None: the task's name, "": nothing.
        references: Column with all accepted answers (a list); None: the target is the only one.
        split_rule: How dev and test are made (`data.tasks.splits`).
        generation: How answers are written.
        hub: Where `datasets` finds it; None: only in files.

    Raises:
        ConfigError: A field that cannot be used; all problems are reported together.
    """

    name: str
    kind: Kind
    source: str
    target: str
    metrics: tuple[str, ...]
    labels: Mapping[str, str] | None = None
    prefix: str | None = None
    references: str | None = None
    split_rule: SplitRule = "official"
    generation: Generation = field(default_factory=Generation)
    hub: Hub | None = None

    def __post_init__(self) -> None:
        _refuse({f.name: getattr(self, f.name) for f in dataclasses.fields(self)})
        labels = self.labels
        if labels is not None:
            labels = {str(label_text(cell)): word.strip() for cell, word in labels.items()}
            object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "metrics", tuple(self.metrics))

    def __hash__(self) -> int:
        return hash((self.name, self.kind, self.source, self.target))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that the template and the target need."""
        return tuple(dict.fromkeys((*template.fields(self.source), self.target)))

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Names of the columns that the template needs."""
        return template.fields(self.source)

    @property
    def words(self) -> tuple[str, ...]:
        """The label words, each once, in order; empty where targets are no labels."""
        return tuple(dict.fromkeys((self.labels or {}).values()))

    @property
    def shown_prefix(self) -> str:
        """What stands before the source, with the space behind it; may be empty."""
        prefix = self.name if self.prefix is None else self.prefix
        return f"{prefix} " if prefix else ""

    def source_of(self, row: Mapping[str, Any]) -> str:
        """The text that is put to the model: prefix and filled template.

        Args:
            row: Column -> cell.

        Raises:
            DataError: A column that the template needs is missing from the row, or empty.
        """
        cells = {name: cell_text(row.get(name)) for name in self.source_columns}
        gone = [name for name, text in cells.items() if text is None]
        if gone:
            raise DataError(f"task {self.name}", [f"column '{name}' is empty" for name in gone])
        texts = {name: text for name, text in cells.items() if text is not None}
        return self.shown_prefix + template.fill(self.source, texts)

    def target_of(self, row: Mapping[str, Any]) -> str | None:
        """The text that should be answered; None where it is missing.

        A label becomes its word, a number is rounded to 0.1 (``"3.4"``), a text is kept.

        Raises:
            DataError: The cell is no label of this task, or no number.
        """
        cell = row.get(self.target)
        if self.kind in ("qa", "text"):
            return cell_text(cell)
        text = label_text(cell)
        if text is None:
            return None
        if self.kind == "regression":
            return self._rounded(text)
        words = self.labels or {}
        if text not in words:
            raise DataError(
                f"task {self.name}",
                [f"column '{self.target}' holds {text!r}; labels: {', '.join(words)}"],
            )
        return words[text]

    def answer(self, text: str) -> str | float | None:
        """A written answer as what it says: a label word or None, a number or None, or the text."""
        stripped = text.strip()
        if self.kind == "regression":
            return number_of(stripped)
        if self.kind == "classification":
            return stripped if stripped in self.words else None
        return stripped

    def _rounded(self, text: str) -> str:
        number = number_of(text)
        if number is None:
            what = f"column '{self.target}' holds {text!r}, which is no number"
            raise DataError(f"task {self.name}", [what])
        # + 0.0 turns the negative zero into the usual one.
        return f"{round(number, 1) + 0.0:.1f}"

    def changed(self, **fields: Any) -> "Task":
        """A copy with some fields changed; of `generation` those that are given.

        Raises:
            ConfigError: A field that cannot be used.
        """
        plain = self.to_dict()
        if isinstance(fields.get("generation"), Mapping):
            fields["generation"] = {**plain["generation"], **fields["generation"]}
        return Task.from_dict({**plain, **fields})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; `from_dict` reads it."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain["metrics"] = list(self.metrics)
        plain["labels"] = None if self.labels is None else dict(self.labels)
        plain["generation"] = dataclasses.asdict(self.generation)
        plain["hub"] = None if self.hub is None else self.hub.to_dict()
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Task":
        """The task of a plain JSON form.

        Raises:
            ConfigError: Fields that do not exist (with the one that was meant), that are missing,
                or that cannot be used.
        """
        values = dict(plain)
        where = f"task {values.get('name', '')}".strip()
        check_keys(where, values, cls)
        for name, kind in (("generation", Generation), ("hub", Hub)):
            given = values.get(name)
            if isinstance(given, Mapping):
                check_keys(f"{where}: {name}", given, kind)
                try:
                    values[name] = kind.from_dict(given)
                except ConfigError as error:
                    raise ConfigError(f"{where}: {error}") from None
        metrics = values["metrics"]
        if isinstance(metrics, list | str):
            values["metrics"] = (metrics,) if isinstance(metrics, str) else tuple(metrics)
        _refuse(values)
        return cls(**values)


def _refuse(values: Mapping[str, Any]) -> None:
    name = values["name"]
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"a task needs a name, got {name!r}")
    problems = task_problems(values)
    if problems:
        raise ConfigError(f"task {name}: {'; '.join(problems)}")
