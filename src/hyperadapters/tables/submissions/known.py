"""The labels of a task, and which of them a label in a file is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hyperadapters.labels import LabelSpace, parts_of
from hyperadapters.tables.submissions.formats import as_labels


@dataclass(frozen=True)
class TaskLabels:
    """What can be answered: no other label is read from a file.

    The labels of the task are those that are named and those of the ratings. Where none are named
    and those of the ratings are a scale (three or more integers), so are the integers between its
    ends, which may happen not to occur. Where some are sets, so are all sets of their labels.

    Attributes:
        names: The labels in the order of the file.
        given: Those of the ratings, in ascending order.
        are_named: Whether somebody named them, or they are those of the ratings.
    """

    names: Sequence[str | int]
    given: Sequence[str | int]
    are_named: bool = False

    @classmethod
    def of(cls, labels: Sequence[str | int] | None, given: Sequence[str | int]) -> "TaskLabels":
        """The labels that are named, or else those of the ratings.

        Integers may be named together with words, answers that are no label; all are text then.

        Raises:
            ConfigError: They are words in the place of the integers of the ratings, or one is
                named twice.
        """
        if not labels:
            return cls(as_labels(given, given), given)
        named = {str(name) for name in labels}
        besides = {str(name) for name in given} < named
        like = [name for name in labels if not _is_whole(str(name))] if besides else []
        return cls(as_labels(labels, like or given), given, are_named=True)

    def find(self, said: Any) -> str | int | None:
        """The label that is meant by what a file says; None where it is none of the task's."""
        text = str(said)
        for spelling in (text, text.removesuffix(".0")):
            if spelling in self._by_text:
                return self._by_text[spelling]
        whole = text.removesuffix(".0")
        if self._inside and _is_whole(whole):
            number = int(whole)
            return number if number in self._inside or number in self.names else None
        held = parts_of(text)
        if self._parts and len(set(held)) == len(held) and self._parts.issuperset(held):
            return self._sets.get(frozenset(held), text)
        return None

    @property
    def shown(self) -> str:
        """The labels, for an error."""
        return ", ".join(self._by_text)

    @cached_property
    def _by_text(self) -> dict[str, str | int]:
        known = {str(name): name for name in self.names}
        return known | {str(name): name for name in self.given if str(name) not in known}

    @cached_property
    def _inside(self) -> range | tuple[()]:
        """The integers of a scale that need not occur."""
        scale = [name for name in self.names if isinstance(name, int)]
        if self.are_named or len(scale) != len(self.names) or len(scale) < 3:
            return ()
        return range(min(scale), max(scale) + 1)

    @cached_property
    def _parts(self) -> frozenset[str]:
        names = tuple(self._by_text)
        return frozenset(LabelSpace(names).parts if len(names) > 1 else ())

    @cached_property
    def _sets(self) -> dict[frozenset[str], str | int]:
        return {frozenset(parts_of(text)): name for text, name in self._by_text.items()}


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
