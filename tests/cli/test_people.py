"""`hyperadapters export` and `hyperadapters forget`."""

import shutil

import pytest

from hyperadapters.experiments import load


@pytest.fixture
def copied(quick_run, tmp_path):
    return shutil.copytree(quick_run, tmp_path / "run")


def test_export(copied, command, tmp_path):
    one = command("export", copied, "--annotator", "u1", "--output", tmp_path / "one")
    assert one.status == 0 and f"1 LoRA folder in {tmp_path}/one" in one.out
    assert (tmp_path / "one" / "adapter_config.json").is_file()
    both = ("--annotator", "u1", "--annotator", "v2")
    assert command("export", copied, *both, "--output", tmp_path / "two").status == 0
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["u1", "v2"]
    assert "12 LoRA folders" in (
        command("export", copied, "--annotator", "all", "--output", tmp_path / "all").out
    )


def test_forget(copied, command, tmp_path):
    done = command("forget", copied, "--annotator", "u1", "--output", tmp_path / "after")
    assert done.status == 0 and "1 forgotten, 11 left" in done.out
    assert "u1" not in load(tmp_path / "after").vocabulary and "u1" in load(copied).vocabulary
    assert command("forget", copied, "--annotator", "v1", "--in-place").status == 0
    assert "v1" not in load(copied).vocabulary


def test_mistakes(copied, refused, tmp_path):
    who = ("--annotator", "u1")
    assert "unknown: nobody" in (
        refused("export", copied, "--annotator", "nobody", "--output", tmp_path / "x")
    )
    assert "--in-place" in refused("forget", copied, *who)
    assert "--in-place" in refused("forget", copied, *who, "--in-place", "--output", tmp_path / "x")
    assert "exists" in refused("forget", copied, *who, "--output", copied)


def test_another_name_and_one_of_two(command, quick_run, refused, tmp_path):
    outcome = command(
        *("rename", quick_run, "--annotator", "u1", "--to", "zoe", "--output", tmp_path / "named")
    )
    assert outcome.status == 0, outcome.err
    assert "u1 is zoe now" in outcome.out and "zoe" in load(tmp_path / "named").vocabulary
    two = ("--annotator", "u1", "--annotator", "u2", "--to", "u2")
    outcome = command("merge", quick_run, *two, "--output", tmp_path / "merged")
    assert outcome.status == 0, outcome.err
    assert "u2 is the mean of u1 " in outcome.out and "11 annotators" in outcome.out
    assert "at least two" in (
        refused("merge", quick_run, *two[:2], "--to", "zoe", "--output", tmp_path / "x")
    )
    assert "knows u2 already" in (
        refused("rename", quick_run, *two[:2], "--to", "u2", "--output", tmp_path / "x")
    )
