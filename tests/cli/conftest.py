import sys

import pytest


class Outcome:
    """How a command ended."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `hyperadapters ...` in this process, as the installed script does."""
    from hyperadapters.cli.main import run

    def call(*arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["hyperadapters", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "100")
        with pytest.raises(SystemExit) as ended:
            run()
        captured = capsys.readouterr()
        return Outcome(ended.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def refused(command):
    """Run a command that must end as a user's mistake; returns what it says."""

    def call(*arguments):
        outcome = command(*arguments)
        assert outcome.status == 2, outcome.err
        assert "Traceback" not in outcome.err
        assert 1 <= len(outcome.err.strip().splitlines()) <= 2, outcome.err
        assert outcome.err.startswith("error: ")
        assert not outcome.out
        return outcome.err

    return call


@pytest.fixture
def ratings_csv(two_kinds, tmp_path):
    path = tmp_path / "ratings.csv"
    two_kinds.to_csv(path, index=False)
    return path


@pytest.fixture
def quick_set(quick):
    """`quick` as options of the command line."""
    return [part for key, value in quick.items() for part in ("--set", f"{key}={value}")]
