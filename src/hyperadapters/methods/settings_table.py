"""A flat table of settings that the command line can reach."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar, get_type_hints

from hyperadapters.errors import ConfigError

Table = TypeVar("Table", bound="SettingsTable")


def setting(default: Any, help: str) -> Any:
    """A field with its default, and what it is."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class SettingsTable:
    """Settings of one kind of run: whole numbers, numbers, truth values and words.

    Attributes:
        CHOICES: Name of a field → the words it may be.
        AT_LEAST_ONE: Numbers that may not be less than 1; the others may not be less than 0.
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    AT_LEAST_ONE: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        problems = [p for p in (self._problem(f.name) for f in fields(self)) if p]
        if problems:
            raise ConfigError("; ".join(problems))

    def _problem(self, name: str) -> str | None:
        value = getattr(self, name)
        if name in self.CHOICES:
            known = ", ".join(self.CHOICES[name])
            fits = value in self.CHOICES[name]
            return None if fits else f"{name} must be one of {known}, got {value!r}"
        low = 1 if name in self.AT_LEAST_ONE else 0
        if isinstance(value, bool | str):
            return None
        if not value >= low or value == float("inf"):
            return f"{name} must be a number of at least {low}, got {value}"
        if name.endswith("dropout") and value >= 1:
            return f"{name} must be below 1, got {value}"
        return None

    def changed(self: Table, changes: Mapping[str, Any]) -> Table:
        """A copy with some fields changed; values may be the strings of a command line.

        Raises:
            ConfigError: A field that does not exist, or a value of the wrong type or range. All
                problems are reported together.
        """
        kinds = get_type_hints(type(self))
        hints = {field.name: kinds[field.name] for field in fields(self)}
        parsed: dict[str, Any] = {}
        problems = []
        for name, value in changes.items():
            if name not in hints:
                near = difflib.get_close_matches(name, hints, n=1)
                advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(hints)}"
                problems.append(f"unknown setting {name!r}; {advice}")
                continue
            try:
                parsed[name] = _parse(hints[name], value)
            except (TypeError, ValueError):
                problems.append(f"{name} must be {_WANTED[hints[name]]}, got {value!r}")
        if problems:
            raise ConfigError("; ".join(problems))
        return dataclasses.replace(self, **parsed)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, part of ``run.json``."""
        return dataclasses.asdict(self)


_WANTED = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _parse(kind: type, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() not in _TRUTH:
            raise ValueError
        return _TRUTH[str(value).lower()]
    if isinstance(value, bool) or value is None:
        raise ValueError
    if kind is int and isinstance(value, float) and not value.is_integer():
        raise ValueError
    return kind(value)
