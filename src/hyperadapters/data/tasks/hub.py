"""Rows of a task from the Hugging Face hub, by the library `datasets`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.data.tasks.raw import RawRows, with_splits
from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tables.faults import RowOrigin
from hyperadapters.tables.frames import column_of
from hyperadapters.tasks import Hub, Task
from hyperadapters.tasks.cells import cell_text


def read_hub(task: Task, columns: Mapping[str, str]) -> RawRows:
    """Download a task, or read it from the cache of `datasets`.

    Args:
        task: The task.
        columns: Our column -> the hub's column or path; goes before what the task says itself.

    Raises:
        ConfigError: The task is not on the hub, or `datasets` is not installed.
        DataError: The hub cannot be reached, or has no such data set, configuration or split.
    """
    hub = task.hub
    if hub is None:
        raise ConfigError(f"task {task.name}: is not on the hub; name its file")
    try:
        import datasets  # an extra
    except ImportError:
        raise ConfigError(
            f"task {task.name} is read from the hub by the library `datasets`, which is not"
            " installed; run `pip install hyperadapters[tasks]`"
        ) from None
    frames, names = [], []
    for split, theirs in hub.splits.items():
        for name in (theirs,) if isinstance(theirs, str) else theirs:
            frame = _without(_load(datasets, hub, name), hub, name)
            frames.append(frame.assign(split=split))
            names += [f"{name}:{number}" for number in frame.index]
    frame = pd.concat(frames, ignore_index=True)
    return with_splits(frame, RowOrigin.of(_shown(hub), names), {**hub.columns, **columns})


def _load(datasets: Any, hub: Hub, split: str) -> pd.DataFrame:
    """One split; its index counts rows from 1."""
    try:
        loaded = datasets.load_dataset(hub.path, hub.name, split=split, revision=hub.revision)
        frame = loaded.to_pandas()
    except Exception as error:
        # `datasets` raises errors of its own, of fsspec, of pyarrow and of three HTTP libraries.
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        what = f"split '{split}' cannot be read: {reason}"
        hint = "Is the network there? A copy of the data can be named with `file` instead."
        raise DataError(_shown(hub), [what], hint) from error
    return frame.astype(object).set_axis(pd.RangeIndex(1, len(frame) + 1), axis=0)


def _without(frame: pd.DataFrame, hub: Hub, split: str) -> pd.DataFrame:
    """The rows that are examples."""
    kept = np.ones(len(frame), bool)
    for column, cells in hub.without.items():
        if column not in frame:
            raise DataError(_shown(hub), [f"split '{split}' has no column '{column}'"])
        kept &= ~column_of(frame, column).map(cell_text).isin(cells).to_numpy(bool)
    return frame.loc[kept]


def _shown(hub: Hub) -> str:
    return f"hub {hub.path}" + (f" ({hub.name})" if hub.name else "")
