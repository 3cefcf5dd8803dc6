"""Training as people see it: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from hyperadapters.training import Progress as Listener
from hyperadapters.training.progress import Step

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def shown_progress() -> Iterator[Listener]:
    """A listener for `fit` that writes to standard error."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield PlainProgress()
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("loss {task.fields[loss]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        yield BarProgress(bar)


def evaluation_line(record: dict[str, Any]) -> str:
    """One evaluation in words."""
    kind = "  deviations on" if record["deviates"] else ""
    mark = "  best so far" if record["best"] else ""
    return (
        f"epoch {record['epoch']}: train loss {record['train_loss']:.4f}, "
        f"dev nll {record['dev_nll']:.4f}{kind}{mark}"
    )


class BarProgress(Listener):
    """A bar with loss and time left; evaluations stay above it as lines."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.print(text)

    def step(self, step: Step) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._bar.add_task("training", total=step.n_steps, loss="")
        self._bar.update(
            self._task,
            completed=step.step,
            description=f"epoch {step.epoch}",
            loss=f"{step.loss:.3f}",
        )

    def evaluation(self, record: dict[str, Any]) -> None:
        """Print the evaluation above the bar."""
        self._bar.print(evaluation_line(record))


class PlainProgress(Listener):
    """Lines with loss and time left, not more than two a minute, and every evaluation."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._shown = 0.0
        self._first = 0

    def message(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)

    def step(self, step: Step) -> None:
        """Print a line if the last one is long ago."""
        now = time.monotonic()
        if self._started is None or step.step <= self._first:
            # A training begins; what came before its first step, such as reading, is not counted.
            self._started, self._shown, self._first = now, now, step.step
        elif now - self._shown >= SECONDS_BETWEEN_LINES:
            self._shown = now
            left = (now - self._started) / (step.step - self._first) * (step.n_steps - step.step)
            self.message(
                f"epoch {step.epoch}, step {step.step} of at most {step.n_steps}: "
                f"loss {step.loss:.4f}, {left / 60:.1f} minutes left at most"
            )

    def evaluation(self, record: dict[str, Any]) -> None:
        """Print the evaluation."""
        self.message(evaluation_line(record))
