"""What to say of a name that does not exist: the one that was meant, or all that there are."""

import difflib
from collections.abc import Collection, Iterable

MAX_NAMED = 12

ALL = "all"
"""Slice of the averages over tasks in SCORES; no task can have this name."""


def advice(name: str, known: Collection[str]) -> str:
    """``did you mean 'cola'?``, or where nothing comes near ``known: cola, rte``."""
    begun = [other for other in known if len(name) > 2 and other.startswith(name)]
    near = difflib.get_close_matches(name, known, n=1) or begun
    return f"did you mean '{near[0]}'?" if near else f"known: {listed(known)}"


def unknown_names(what: str, names: Iterable[object], known: Collection[str]) -> list[str]:
    """One sentence for every name that is not known.

    Args:
        what: What the names are of, e.g. ``"field"``.
        names: The names that were given.
        known: The names that there are.
    """
    return [
        f"unknown {what} '{name}'; {advice(str(name), known)}"
        for name in names
        if str(name) not in known
    ]


def listed(names: Iterable[str]) -> str:
    """Names with commas between them, the first dozen."""
    all_names = list(names)
    more = len(all_names) - MAX_NAMED
    return ", ".join(all_names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
