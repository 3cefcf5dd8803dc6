"""Small tables of task predictions, written by hand."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from hyperadapters.evaluation.tasks import evaluate_tasks
from hyperadapters.tasks import Task

SOURCES = {"qa": "question: {question} context: {context}"}


def build_task(metrics: str, kind: str = "text", name: str = "t", words: str = "no yes") -> Task:
    """A task with these metrics (with spaces between them)."""
    labels = {str(i): word for i, word in enumerate(words.split())}
    return Task(
        name=name,
        kind=kind,
        source=SOURCES.get(kind, "{text}"),
        target="target",
        metrics=tuple(metrics.split()),
        labels=labels if kind == "classification" else None,
    )


def build_frame(rows: list[tuple[str, Any]], task: str = "t", **place: Any) -> pd.DataFrame:
    """TASK PREDICTIONS from (written, accepted): accepted is a label, a list, or None."""
    written, accepted = zip(*rows, strict=True)
    lists = [cell if isinstance(cell, list) else None for cell in accepted]
    return pd.DataFrame(
        {
            "text_id": [f"x{i:05d}" for i in range(len(rows))],
            "task": task,
            "label": [cell if isinstance(cell, str) else None for cell in accepted],
            "predicted": written,
            "references": pd.Series(lists, dtype=object),
            **place,
        }
    )


def score_of(metric: str, rows: list[tuple[str, Any]], kind: str = "text", **fields: Any) -> float:
    """The value of one metric of some rows."""
    scores = evaluate_tasks(
        build_frame(rows), {"t": build_task(metric, kind, **fields)}, intervals=False
    )
    return scores.set_index("metric")["value"][metric]


@pytest.fixture(scope="session")
def task() -> Callable[..., Task]:
    return build_task


@pytest.fixture(scope="session")
def frame() -> Callable[..., pd.DataFrame]:
    return build_frame


@pytest.fixture(scope="session")
def score() -> Callable[..., float]:
    return score_of
