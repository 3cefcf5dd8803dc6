"""Cells of a task's columns made into sources, targets and accepted answers."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from hyperadapters.data.tasks.raw import RawRows
from hyperadapters.errors import DataError
from hyperadapters.tables.faults import FaultList
from hyperadapters.tasks import Task
from hyperadapters.tasks.cells import cell_text, label_text

MAX_CELLS_NAMED = 3


def sources_of(task: Task, rows: RawRows, faults: FaultList) -> dict[str, list[str]]:
    """Every row's source under ``"source"``, and the cells of the template's columns.

    An empty context of a question is a text, every other missing cell is a fault.
    """
    cells: dict[str, list[str]] = {}
    for name in task.source_columns:
        given = rows.cells(name)
        if given is None:
            faults.add(rows.missing(name))
            continue
        texts = [cell_text(cell) for cell in given]
        if task.kind != "qa" or name != "context":
            gone = np.array([text is None for text in texts], bool)
            faults.add(f"column '{rows.columns.get(name, name)}' is empty", gone)
        cells[name] = ["" if text is None else text for text in texts]
    if len(cells) < len(task.source_columns):
        return cells
    lines = zip(*cells.values(), strict=True)
    sources = [task.source_of(dict(zip(cells, line, strict=True))) for line in lines]
    return {**cells, "source": sources}


def targets_of(
    task: Task, rows: RawRows, faults: FaultList, *, need_target: bool
) -> list[str | None]:
    """Every row's target; None where it is not known, which is a fault if it is needed."""
    cells = rows.cells(task.target)
    if cells is None:
        if need_target:
            faults.add(rows.missing(task.target))
        return [None] * len(rows.frame)
    shown = rows.columns.get(task.target, task.target)
    targets: list[str | None] = []
    wrong: dict[int, str] = {}
    for number, cell in enumerate(cells):
        try:
            targets.append(task.target_of({task.target: cell}))
        except DataError:
            wrong[number] = str(label_text(cell))
            targets.append(None)
    if wrong:
        faults.add(_wrong_cells(task, shown, wrong), np.array(list(wrong)))
    if need_target:
        gone = [target is None and row not in wrong for row, target in enumerate(targets)]
        faults.add(f"column '{shown}' is empty", np.array(gone, bool))
    return targets


def references_of(
    task: Task, rows: RawRows, targets: list[str | None], faults: FaultList, *, need_target: bool
) -> list[list[str]]:
    """Every row's accepted answers: those of the column, else the target, else none."""
    alone = [[] if target is None else [target] for target in targets]
    if task.references is None:
        return alone
    cells = rows.cells(task.references)
    if cells is None:
        if need_target:
            faults.add(rows.missing(task.references))
        return alone
    lists = [texts_of(cell) for cell in cells]
    return [given or own for given, own in zip(lists, alone, strict=True)]


def texts_of(cell: Any) -> list[str]:
    """A cell with several texts: a list, a JSON list of texts, or one text by itself."""
    return _items(cell, cell_text, lambda item: isinstance(item, str))


def numbers_of(cell: Any) -> list[int] | None:
    """A cell with whole numbers: a list, a JSON list or a single one; None where it is not."""
    texts = _items(cell, label_text, lambda item: isinstance(item, int))
    signless = [text.removeprefix("-") for text in texts]
    return [int(text) for text in texts] if all(map(str.isdecimal, signless)) else None


def _items(
    cell: Any, text_of: Callable[[Any], str | None], fits: Callable[[Any], bool]
) -> list[str]:
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            listed = json.loads(cell)
        except (ValueError, RecursionError):
            listed = None
        # A text in brackets that is no list of such items is a text in brackets.
        if isinstance(listed, list) and all(map(fits, listed)):
            cell = listed
    items = list(cell) if isinstance(cell, list | tuple | np.ndarray) else [cell]
    return [text for text in map(text_of, items) if text is not None]


def _wrong_cells(task: Task, column: str, wrong: dict[int, str]) -> str:
    values = list(dict.fromkeys(wrong.values()))
    shown = ", ".join(f"'{value}'" for value in values[:MAX_CELLS_NAMED])
    if len(values) > MAX_CELLS_NAMED:
        shown += f" and {len(values) - MAX_CELLS_NAMED} more"
    if task.kind == "regression":
        return f"column '{column}' holds {shown}, which is no number"
    return f"column '{column}' holds {shown}; the labels are {', '.join(task.labels or {})}"
