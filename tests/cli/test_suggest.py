"""`hyperadapters suggest` as a user calls it."""

import pandas as pd
import pytest


@pytest.fixture
def pool(tmp_path):
    path = tmp_path / "pool.csv"
    path.write_text("text\nbad red\ngood one\nnice\ncold the\n")
    return path


def test_what_is_suggested_can_be_labelled_and_learned(command, quick_run, pool, tmp_path):
    ask = tmp_path / "ask.csv"
    given = ("--annotator", "zoe", "--pool", pool, "--count", "3", "--output", ask)
    outcome = command("suggest", quick_run, *given)
    assert outcome.status == 0, outcome.err
    assert "3 of 4 texts in" in outcome.out and "nats about zoe" in outcome.out
    pd.read_csv(ask).assign(label="toxic").to_csv(tmp_path / "told.csv", index=False)
    second = ("--input", tmp_path / "told.csv", "--output", tmp_path / "second")
    outcome = command("adapt", quick_run, *second)
    assert outcome.status == 0, outcome.err


def test_mistakes(refused, quick_run, pool, tmp_path):
    given = ("suggest", quick_run, "--pool", pool, "--output", tmp_path / "ask.csv")
    assert "trained on u1" in refused(*given, "--annotator", "u1", "--count", "2")
    who = ("--annotator", "zoe")
    assert "pool of 4" in refused(*given, *who, "--count", "9")
    assert "unknown kind" in refused(*given[:-1], tmp_path / "ask.txt", *who, "--count", "2")
    assert "exists" in refused(*given[:-1], pool, *who)
