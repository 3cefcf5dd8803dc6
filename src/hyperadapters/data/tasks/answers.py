"""Answers to questions: which texts are accepted, and where each stands in the context.

An answer keeps the place that was given for *it*: answers and places are paired once, here, and
accepted answers that have no place are put behind them (the released code paired the accepted
answers with the places of the detected ones, which are others).
"""

from typing import Any

import numpy as np

from hyperadapters.data.tasks.cells import numbers_of, texts_of
from hyperadapters.data.tasks.raw import RawRows
from hyperadapters.tables.faults import FaultList
from hyperadapters.tasks import Task
from hyperadapters.tasks.cells import cell_text

Answers = dict[str, list[Any]]
NOWHERE = -1


def answers_of(
    task: Task,
    rows: RawRows,
    contexts: list[str],
    faults: FaultList,
    *,
    need_target: bool,
    strict: bool,
) -> Answers:
    """Targets, accepted answers and their places, of every row.

    Columns: `answers` (texts), `answer_starts` (positions of characters, -1: not literally there),
    the task's target (by default the first answer) and its references (more accepted answers).
    A row with none of them has the null answer ``""``.

    Args:
        task: A task of kind ``qa``.
        rows: Its rows.
        contexts: The context of every row.
        faults: Takes what cannot be used.
        need_target: Whether a table without answers is a fault.
        strict: Whether an answer that does not stand at its place is a fault; otherwise its place
            is not known.

    Returns:
        Lists ``target`` (None where there is no column), ``references`` and ``starts``.
    """
    listed, single = rows.cells("answers"), rows.cells(task.target)
    if listed is None and single is None:
        if need_target:
            faults.add(rows.missing("answers"))
        n_rows = len(contexts)
        empty: Answers = {"references": [[] for _ in contexts], "starts": [[] for _ in contexts]}
        return {"target": [None] * n_rows, **empty}
    texts = _texts(listed, single, len(contexts))
    starts = _starts(rows, texts, contexts, faults, strict=strict)
    targets = _targets(single, texts)
    more = _more(task, rows, len(contexts))
    references = []
    for row, target in enumerate(targets):
        known = texts[row]
        if not known:
            known = [target]
        extra = [text for text in dict.fromkeys(more[row]) if text and text not in known]
        references.append([*known, *extra])
        starts[row] += [NOWHERE] * (len(known) + len(extra) - len(starts[row]))
    return {"target": targets, "references": references, "starts": starts}


def _texts(listed: list[Any] | None, single: list[Any] | None, n_rows: int) -> list[list[str]]:
    if listed is not None:
        return [texts_of(cell) for cell in listed]
    cells = single if single is not None else [None] * n_rows
    return [[text] if (text := cell_text(cell)) else [] for cell in cells]


def _targets(single: list[Any] | None, texts: list[list[str]]) -> list[str]:
    first = [given[0] if given else "" for given in texts]
    if single is None:
        return first
    given = [cell_text(cell) for cell in single]
    return [own if text is None else text for text, own in zip(given, first, strict=True)]


def _more(task: Task, rows: RawRows, n_rows: int) -> list[list[str]]:
    """Accepted answers beside those that have places."""
    if task.references in (None, "answers"):
        return [[] for _ in range(n_rows)]
    cells = rows.cells(str(task.references))
    return [texts_of(cell) for cell in cells] if cells is not None else [[] for _ in range(n_rows)]


def _starts(
    rows: RawRows,
    texts: list[list[str]],
    contexts: list[str],
    faults: FaultList,
    *,
    strict: bool,
) -> list[list[int]]:
    """The place of every answer."""
    cells = rows.cells("answer_starts")
    if cells is None:
        return [[NOWHERE] * len(given) for given in texts]
    numbers = [numbers_of(cell) for cell in cells]
    column = rows.columns.get("answer_starts", "answer_starts")
    wrong = np.array([given is None for given in numbers], bool)
    faults.add(f"column '{column}' must hold whole numbers, -1 for no literal span", wrong)
    read = [given or [] for given in numbers]
    pairs = list(zip(read, texts, strict=True))
    uneven = np.array([len(given) != len(answers) for given, answers in pairs], bool) & ~wrong
    if strict or not all(len(given) >= len(answers) for given, answers in pairs):
        faults.add(f"column '{column}' has not one number for every answer", uneven)
    placed = [
        [_place(context, text, start) for start, text in zip(given, answers, strict=False)]
        for (given, answers), context in zip(pairs, contexts, strict=True)
    ]
    if strict:
        lost = [
            any(was != NOWHERE and now == NOWHERE for was, now in zip(given, found, strict=False))
            for given, found in zip(read, placed, strict=True)
        ]
        what = f"column '{column}': the answer does not stand at that place of the context"
        faults.add(what, np.array(lost, bool) & ~uneven)
    return placed


def _place(context: str, text: str, start: int) -> int:
    """The place of an answer if its first word stands there.

    Case, punctuation and endings of words may differ: people write an answer as a sentence.
    """
    if start < 0 or not text.strip():
        return NOWHERE
    there = context[start : start + len(text)]
    words = [word for word in map(_letters, text.split()) if word]
    fits = _letters(there).startswith(words[0]) if words else there == text
    return start if fits else NOWHERE


def _letters(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum()).casefold()
