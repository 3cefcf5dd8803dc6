"""Every error the library raises on purpose.

All of them derive from `HyperAdaptersError`; the command line prints them on standard error and
ends with exit status 2. Anything else that escapes is a bug of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_ROWS_NAMED = 5


class HyperAdaptersError(Exception):
    """A mistake that the user can put right; the message says what was got and what was wanted."""


class ConfigError(HyperAdaptersError, ValueError):
    """An option, a method name or a configuration field that cannot be used."""


class ConditionError(HyperAdaptersError, ValueError):
    """A condition that is missing, out of range, or of the wrong shape."""


class SiteError(HyperAdaptersError, ValueError):
    """A target that matches nothing in the backbone, or a module that cannot be adapted."""


class AdapterShapeError(HyperAdaptersError, ValueError):
    """Generated weights and the rows they should be applied to do not fit together."""


class RunError(HyperAdaptersError):
    """A run folder that cannot be read, written, resumed or combined with the given data."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault in a table, with every row it occurs in.

    Attributes:
        what: What is wrong and what was wanted, e.g. ``"column 'label' is empty"``.
        rows: The rows (or item ids) concerned, as the user would count them; empty when the fault
            concerns the whole file.
        where: What `rows` counts: ``"row"`` or ``"item"``.
    """

    what: str
    rows: tuple[int | str, ...] = ()
    where: str = "row"

    def __str__(self) -> str:
        if not self.rows:
            return self.what
        named = ", ".join(str(row) for row in self.rows[:MAX_ROWS_NAMED])
        more = len(self.rows) - MAX_ROWS_NAMED
        plural = self.where + ("s" if len(self.rows) > 1 else "")
        return f"{self.what} ({plural} {named}" + (f" and {more} more)" if more > 0 else ")")


class DataError(HyperAdaptersError, ValueError):
    """A table that cannot be used; holds all its faults, not only the first.

    Attributes:
        source: The file (or the name of the table) that is at fault.
        faults: Every fault found.
    """

    def __init__(self, source: str, faults: Sequence[Fault | str], hint: str = "") -> None:
        self.source = source
        self.faults = tuple(Fault(f) if isinstance(f, str) else f for f in faults)
        self.hint = hint
        text = "; ".join(str(fault) for fault in self.faults)
        super().__init__(f"{source}: {text}" + (f"\n{hint}" if hint else ""))

    def __reduce__(self) -> tuple[type["DataError"], tuple[object, ...]]:
        return DataError, (self.source, self.faults, self.hint)
