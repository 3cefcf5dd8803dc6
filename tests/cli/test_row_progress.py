import io

from rich.console import Console
from rich.progress import Progress, TextColumn

from hyperadapters.cli import row_progress
from hyperadapters.cli.row_progress import BarRows, PlainRows, shown_rows


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


def test_lines_with_rate_and_time_left(monkeypatch, capsys):
    clock = Clock()
    monkeypatch.setattr(row_progress, "time", clock)
    with shown_rows() as tell:
        assert isinstance(tell, PlainRows)
        for _ in range(10):
            tell(60_000 + int(1000 * (clock.now - 100)), 100_000)  # 60,000 were done before
            clock.now += 10.0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "90,000 of 100,000 rows, 1,000 a second, 0.2 minutes left"
    assert len(lines) == 1


def test_short_work_says_nothing(capsys):
    tell = PlainRows()
    tell(5, 10)
    tell(10, 10)
    assert not capsys.readouterr().err


def test_a_bar():
    console = Console(file=io.StringIO())
    with Progress(TextColumn("{task.fields[rate]}"), console=console) as bar:
        tell = BarRows(bar)
        tell(5, 10)
        tell(10, 10)
        (task,) = bar.tasks
        assert (task.completed, task.total) == (10, 10)
        assert task.fields["rate"].endswith("rows/s")
