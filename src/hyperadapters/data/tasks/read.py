"""The door for tasks: mixtures and files in, EXAMPLES out."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from hyperadapters.data.tasks.answers import answers_of
from hyperadapters.data.tasks.cells import references_of, sources_of, targets_of
from hyperadapters.data.tasks.examples import check_examples, examples_frame
from hyperadapters.data.tasks.hub import read_hub
from hyperadapters.data.tasks.raw import RawRows, matching, read_files
from hyperadapters.data.tasks.splits import LEFT_OUT, divide, draw
from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tables.faults import FaultList
from hyperadapters.tasks import Mixture, MixturePart, Task


def read_examples(mixture: Mixture, seed: int = 0) -> pd.DataFrame:
    """Read every task of a mixture, and make its splits.

    Args:
        mixture: The tasks, their files and limits.
        seed: What the drawing of limited rows depends on; splits do not.

    Returns:
        EXAMPLES, the parts in the mixture's order and rows in their files' order. Rows of parts
        that are only scored have no split train. `attrs["splits"]` tells for every task how its
        splits were made: ``{"asked": rule, "used": rule, "left_out": rows}`` (see `splits`).

    Raises:
        DataError: A file cannot be used; names file, rows and columns.
        ConfigError: A task of the hub without the library `datasets`; a negative seed.
    """
    if seed < 0:
        raise ConfigError(f"the seed must be 0 or more, got {seed}")
    frames, divisions = [], {}
    for part in mixture.all_parts:
        scored = part in mixture.evaluation_only
        frame, divisions[part.task.name] = _read_part(part, seed, only_scored=scored)
        frames.append(frame)
    examples = check_examples(pd.concat(frames, ignore_index=True), source=mixture.name)
    examples.attrs["splits"] = divisions
    return examples


def read_task_file(
    task: Task,
    path: str | os.PathLike[str],
    *,
    need_target: bool,
    columns: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Read examples of one task from one file, as they are: no rule, no limit.

    Args:
        task: The task.
        path: CSV, TSV, JSON lines or Parquet.
        need_target: Whether every row must have its answer. If not, a missing one is None.
        columns: The task's column -> the file's column or path.

    Returns:
        EXAMPLES; rows without a split are test.

    Raises:
        DataError: The file cannot be used; names file, rows and columns.
    """
    rows = read_files([Path(path)], dict(columns or {}))
    split = rows.split if rows.split is not None else np.full(len(rows.frame), "test", object)
    frame = _examples(task, rows, split, need_target=need_target, strict=True)
    return check_examples(frame, source=str(path))


def _read_part(
    part: MixturePart, seed: int, *, only_scored: bool
) -> tuple[pd.DataFrame, dict[str, object]]:
    task = part.task
    rows = (
        read_files(part.files, dict(part.columns)) if part.files else read_hub(task, part.columns)
    )
    if rows.split is None:
        what = f"task {task.name}: {rows.missing('split')}"
        raise DataError(rows.source, [what], "Its cells are train, dev (or validation) and test.")
    rows = matching(rows, part.where, task.name)
    official = np.asarray(rows.split, object)
    split, division = divide(official, task.split_rule, source=f"{rows.source}: task {task.name}")
    kept = split != LEFT_OUT
    if only_scored:
        kept &= split != "train"
    kept &= draw(split, part.limits, seed, task.name)
    _check_there(task, rows, set(split[kept].tolist()), only_scored=only_scored)
    frame = _examples(task, rows.rows(kept), split[kept], need_target=True, strict=bool(part.files))
    return frame, division.to_dict()


def _check_there(task: Task, rows: RawRows, there: set[str], *, only_scored: bool) -> None:
    """Whether there is something to train on, or to score."""
    if only_scored and not there:
        what = f"task {task.name}: no rows are dev or test, and it is only evaluated"
        raise DataError(rows.source, [what])
    if not only_scored and "train" not in there:
        what = f"task {task.name}: no rows are train; there is {', '.join(sorted(there))}"
        hint = "A task that is only scored says `evaluate_only: true` and which one it is `like`."
        raise DataError(rows.source, [what], hint)


def _examples(
    task: Task, rows: RawRows, split: np.ndarray, *, need_target: bool, strict: bool
) -> pd.DataFrame:
    """EXAMPLES of rows; all faults are raised together."""
    faults = FaultList(rows.origin)
    cells = sources_of(task, rows, faults)
    columns: dict[str, object] = {"text_id": rows.ids, "task": [task.name] * len(split)}
    if task.kind == "qa":
        contexts = cells.get("context", [""] * len(split))
        answers = answers_of(task, rows, contexts, faults, need_target=need_target, strict=strict)
        columns |= {"question": cells.get("question"), "context": contexts, **answers}
    else:
        targets = targets_of(task, rows, faults, need_target=need_target)
        references = references_of(task, rows, targets, faults, need_target=need_target)
        columns |= {"target": targets, "references": references}
    faults.raise_any(_hint(task, rows, need_target))
    return examples_frame({**columns, "source": cells["source"], "split": split})


def _hint(task: Task, rows: RawRows, need_target: bool) -> str:
    if need_target or task.kind == "qa" or task.target not in rows.frame:
        return ""
    return f"Where answers are not known, leave the column '{task.target}' out."
