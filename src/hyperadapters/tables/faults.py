"""Where rows stand in the user's files, and the collection of everything wrong with them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from hyperadapters.errors import DataError, Fault

MAX_COLUMNS_NAMED = 12

# What other people call our columns; used only to suggest, never to guess.
USUAL_NAMES = {
    "text": (
        *("comment", "sentence", "post", "tweet", "content", "body", "document", "message"),
        *("premise", "sentence1", "question1"),
    ),
    "text_pair": ("hypothesis", "sentence2", "question2", "text2"),
    "annotator": ("worker", "worker_id", "annotator_id", "rater", "rater_id", "user", "user_id"),
    "label": ("rating", "annotation", "class", "score", "value", "labels", "answer"),
    "text_id": ("item", "item_id", "id", "comment_id", "tweet_id", "post_id"),
    "split": ("fold", "partition", "set", "subset"),
}


@dataclass(frozen=True)
class RowOrigin:
    """Where every row of a table stands in the files that it was read from.

    Attributes:
        sources: The files, as the user named them.
        wheres: For every file, what its names count: ``"row"`` or ``"item"``.
        source_index: File of every row, an index into `sources`; shape ``(n_rows,)``, int64.
        names: Row number or item id of every row in its file, as the user would count.
    """

    sources: tuple[str, ...]
    wheres: tuple[str, ...]
    source_index: np.ndarray
    names: tuple[int | str, ...]

    @classmethod
    def of(cls, source: str, names: Iterable[int | str], where: str = "row") -> "RowOrigin":
        """The origin of a table that was read from one file."""
        names = tuple(names)
        return cls((source,), (where,), np.zeros(len(names), np.int64), names)

    def take(self, positions: np.ndarray) -> "RowOrigin":
        """The origin of some of the rows.

        Args:
            positions: Their positions, shape ``(n,)``.
        """
        names = tuple(self.names[row] for row in positions)
        return RowOrigin(self.sources, self.wheres, self.source_index[positions], names)

    @classmethod
    def join(cls, origins: Sequence["RowOrigin"]) -> "RowOrigin":
        """The origin of tables that were put one below the other."""
        offsets = np.cumsum([0] + [len(origin.sources) for origin in origins])
        parts = [o.source_index + offset for o, offset in zip(origins, offsets, strict=False)]
        return cls(
            tuple(source for origin in origins for source in origin.sources),
            tuple(where for origin in origins for where in origin.wheres),
            np.concatenate(parts),
            tuple(name for origin in origins for name in origin.names),
        )


class FaultList:
    """Collects the faults of one table and raises them together.

    Attributes:
        origin: Where the rows of the table stand.
    """

    def __init__(self, origin: RowOrigin) -> None:
        self.origin = origin
        self._faults: list[tuple[str, np.ndarray | None]] = []

    def add(self, what: str, rows: np.ndarray | None = None) -> None:
        """Notes a fault.

        Args:
            what: What is wrong, and what was wanted.
            rows: Boolean mask or positions of the rows concerned; no fault if it selects none.
                None for a fault of the whole table.
        """
        if rows is not None:
            rows = np.flatnonzero(rows) if rows.dtype == bool else rows
            if len(rows) == 0:
                return
        self._faults.append((what, rows))

    def raise_any(self, hint: str = "") -> None:
        """Raises what was collected, if anything was.

        Raises:
            DataError: Names the file at fault, and with several files the file of every row.
        """
        if not self._faults:
            return
        files = self._files_at_fault()
        source = ", ".join(self.origin.sources[index] for index in files)
        faults = [self._fault(what, rows, files) for what, rows in self._faults]
        raise DataError(source, faults, hint)

    def _files_at_fault(self) -> list[int]:
        if any(rows is None for _, rows in self._faults):
            return list(range(len(self.origin.sources)))
        rows = np.concatenate([rows for _, rows in self._faults if rows is not None])
        return np.unique(self.origin.source_index[rows]).tolist()

    def _fault(self, what: str, rows: np.ndarray | None, files: list[int]) -> Fault:
        if rows is None:
            return Fault(what)
        names = [self.origin.names[row] for row in rows]
        wheres = {self.origin.wheres[index] for index in files}
        if len(files) > 1:
            sources = [self.origin.sources[i] for i in self.origin.source_index[rows]]
            names = [f"{source}:{name}" for source, name in zip(sources, names, strict=True)]
        # The ratings of one item share its name.
        return Fault(what, tuple(dict.fromkeys(names)), wheres.pop() if len(wheres) == 1 else "row")


def raise_together(faults: Sequence[tuple[str, Fault]], hint: str = "") -> None:
    """Raises faults of several files as one error, if there are any.

    Args:
        faults: File and fault.
        hint: What to do about it.

    Raises:
        DataError: With several files at fault, each fault begins with its file.
    """
    sources = list(dict.fromkeys(source for source, _ in faults))
    if len(sources) == 1:
        raise DataError(sources[0], [fault for _, fault in faults], hint)
    if sources:
        named = [Fault(f"{source}: {f.what}", f.rows, f.where) for source, f in faults]
        raise DataError(f"{len(sources)} files", named, hint)


def missing_column(name: str, role: str, option: str, columns: Iterable[object]) -> Fault:
    """The fault of a column that is not there, with a suggestion where one comes to mind.

    Args:
        name: The column that was looked for.
        role: What it was wanted as: one of the standard columns.
        option: The command line option that names this column, e.g. ``--label``.
        columns: The columns that are there.
    """
    present = [str(column) for column in columns]
    listed = ", ".join(present[:MAX_COLUMNS_NAMED])
    if len(present) > MAX_COLUMNS_NAMED:
        listed += f" and {len(present) - MAX_COLUMNS_NAMED} more"
    meant = _near_miss(name, role, present)
    suggestion = f"did you mean '{meant}'? " if meant else ""
    return Fault(
        f"no column '{name}'; the columns are {listed}; {suggestion}name yours with {option}"
    )


def _near_miss(name: str, role: str, present: list[str]) -> str | None:
    # Columns that already serve as something else are no candidates.
    taken = set(USUAL_NAMES) - {role}
    by_lower = {column.lower(): column for column in present if column not in taken}
    usual = [usual for usual in USUAL_NAMES.get(role, ()) if usual in by_lower]
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
    found = close or usual
    return by_lower[found[0]] if found else None
