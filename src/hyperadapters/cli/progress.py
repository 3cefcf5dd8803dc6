"""Training as people see it: a bar on a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Iterable, Iterator
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
    """One evaluation in words; of tasks with the average that selects, and each task's mean."""
    mark = "  best so far" if record["best"] else ""
    if "dev" in record:
        means = {task: _mean(values.values()) for task, values in record["dev"].items()}
        shown = ", ".join(f"{task} {value:.3f}" for task, value in means.items())
        return (
            f"step {record['step']}: train loss {record['train_loss']:.4f}, "
            f"dev average {_mean([record['dev_average']]):.4f} ({shown}){mark}"
        )
    kind = "  deviations on" if record["deviates"] else ""
    return (
        f"epoch {record['epoch']}: train loss {record['train_loss']:.4f}, "
        f"dev nll {record['dev_nll']:.4f}{kind}{mark}"
    )


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


class BarProgress(Listener):
    """A bar with loss and time left; evaluations stay above it as lines."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None
        self._part: TaskID | None = None
        self._steps = 0

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.print(text)

    def step(self, step: Step) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._bar.add_task("training", total=step.n_steps, loss="")
        elif step.step <= self._steps:  # another training begins
            self._bar.reset(self._task, total=step.n_steps)
        self._steps = step.step
        self._bar.update(
            self._task,
            completed=step.step,
            description=f"epoch {step.epoch}",
            loss=f"{step.loss:.3f}",
        )

    def evaluation(self, record: dict[str, Any]) -> None:
        """Print the evaluation above the bar."""
        self._bar.print(evaluation_line(record))

    def part(self, name: str, done: int, total: int) -> None:
        """Move a second bar, which goes when all is done."""
        if self._part is None:
            self._part = self._bar.add_task(name, total=total, loss="-")
        self._bar.update(self._part, completed=done, total=total, description=name)
        if done >= total:
            self._bar.remove_task(self._part)
            self._part = None


class PlainProgress(Listener):
    """Lines with loss and time left, not more than two a minute, and every evaluation."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._shown = 0.0
        self._first = 0
        self._part_began = 0.0

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

    def part(self, name: str, done: int, total: int) -> None:
        """Print a line if the last one is long ago; nothing about what is done soon."""
        now = time.monotonic()
        if self._part_began == 0.0:
            self._part_began = self._shown = now
        elif done < total and now - self._shown >= SECONDS_BETWEEN_LINES:
            self._shown = now
            self.message(f"{name}: {done:,} of {total:,}")
        if done >= total:
            self._part_began = 0.0

    def evaluation(self, record: dict[str, Any]) -> None:
        """Print the evaluation."""
        self.message(evaluation_line(record))
