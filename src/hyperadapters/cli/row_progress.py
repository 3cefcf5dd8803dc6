"""Long predictions as people see them: a bar with the rate on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hyperadapters.cli.progress import SECONDS_BETWEEN_LINES

Listener = Callable[[int, int], None]
"""Is told how many rows are done, and of how many."""


@contextmanager
def shown_rows(doing: str = "predicting", what: str = "rows") -> Iterator[Listener]:
    """A listener for `Run.predict_to` that writes to standard error.

    Args:
        doing: What is being done.
        what: What is counted.
    """
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield PlainRows(what)
        return
    columns = (
        *(TextColumn(doing), BarColumn(), TextColumn("{task.percentage:>3.0f}%")),
        *(TextColumn("{task.fields[rate]}"), TimeRemainingColumn()),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield BarRows(bar, doing, what)


class Rate:
    """Rows a second since the first report; what was done before that is not counted."""

    def __init__(self) -> None:
        self._began: tuple[float, int] | None = None

    def __call__(self, done: int) -> float:
        """The rate when so many rows are done, 0 while it is not known."""
        now = time.monotonic()
        if self._began is None:
            self._began = now, done
        seconds = now - self._began[0]
        return (done - self._began[1]) / seconds if seconds > 0 else 0.0


class BarRows:
    """A bar."""

    def __init__(self, bar: Progress, doing: str = "predicting", what: str = "rows") -> None:
        self._bar, self._rate, self._what = bar, Rate(), what
        self._task = bar.add_task(doing, total=None, rate="")

    def __call__(self, done: int, total: int) -> None:
        """Move the bar."""
        rate = f"{self._rate(done):,.0f} {self._what}/s"
        self._bar.update(self._task, completed=done, total=total, rate=rate)


class PlainRows:
    """Lines with the rate and the time left, not more than two a minute; nothing if it is short."""

    def __init__(self, what: str = "rows") -> None:
        self._rate, self._what = Rate(), what
        self._shown = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Print a line if the last one is long ago."""
        rate, now = self._rate(done), time.monotonic()
        if now - self._shown >= SECONDS_BETWEEN_LINES and rate and done < total:
            self._shown = now
            left = (total - done) / rate / 60
            text = (
                f"{done:,} of {total:,} {self._what}, {rate:,.0f} a second, {left:.1f} minutes left"
            )
            print(text, file=sys.stderr, flush=True)
