import subprocess
import sys

import pytest

from hyperadapters import __version__
from hyperadapters.cli import main
from hyperadapters.errors import ConfigError

HEAVY = "{'torch', 'pandas', 'transformers', 'peft', 'sklearn'} & set(sys.modules)"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["demo"],
        ["data"],
        ["data", "check"],
        ["train"],
        ["predict"],
        ["evaluate"],
        ["export"],
        ["forget"],
        ["rename"],
        ["merge"],
        ["jury"],
        ["suggest"],
        ["compare"],
    ],
    ids=lambda arguments: " ".join(arguments) or "hyperadapters",
)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_explains_itself(arguments, flag, command):
    outcome = command(*arguments, flag)
    assert outcome.status == 0
    assert "Usage:" in outcome.out and not outcome.err
    assert " ".join(["hyperadapters", *arguments]) in " ".join(outcome.out.split())


def test_all_commands_are_listed(command):
    out = command("--help").out
    for name in ("demo", "data", "train", "predict", "evaluate"):
        assert f" {name} " in out


def test_the_version(command):
    outcome = command("--version")
    assert (outcome.status, outcome.out.strip()) == (0, f"hyperadapters {__version__}")


def loaded_by(arguments, before=""):
    """Heavy modules that a command has loaded when it ends."""
    code = (
        f"import sys, atexit; sys.argv = ['hyperadapters', *{arguments!r}]; {before}\n"
        f"atexit.register(lambda: print(sorted({HEAVY}), file=sys.stderr))\n"
        "from hyperadapters.cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_waits_for_nothing(arguments):
    assert loaded_by(arguments) == "[]"


def test_the_test_before_can_fail():
    assert loaded_by(["--help"], before="import pandas") == "['pandas']"


def test_unknown_commands_and_options(refused):
    assert "No such command 'trian'" in refused("trian")
    assert "--epochs" in refused("train", "x.csv", "--output", "y", "--epochs", "3")
    assert "--output" in refused("train", "x.csv")
    assert "see: hyperadapters train --help" in refused("train", "x.csv")


def test_nothing_at_all_gives_help(command):
    outcome = command()
    assert outcome.status == 2
    assert "Usage:" in outcome.out + outcome.err
    assert "error" not in outcome.err


def ending(monkeypatch, capsys, error):
    def fail(**keywords):
        raise error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as ended:
        main.run()
    return ended.value.code, capsys.readouterr().err


def test_how_errors_end(monkeypatch, capsys):
    assert ending(monkeypatch, capsys, ConfigError("no")) == (2, "error: no\n")
    assert ending(monkeypatch, capsys, KeyboardInterrupt()) == (130, "stopped\n")
    full = OSError(28, "No space left on device", "runs/x")
    assert ending(monkeypatch, capsys, full) == (2, "error: runs/x: No space left on device\n")


def test_our_own_bugs_are_not_hidden(monkeypatch, capsys):
    def fail(**keywords):
        raise ZeroDivisionError

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(ZeroDivisionError):
        main.run()


def test_a_mistake_in_a_process_of_its_own(tmp_path):
    command = [sys.executable, "-m", "hyperadapters.cli.main"]
    arguments = ["train", "no.csv", "--output", "run", "--method", "hyperlore"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown method 'hyperlore'; did you mean 'hyperlora'?")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
