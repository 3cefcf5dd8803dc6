"""`hyperadapters jury` as a user calls it."""

import pandas as pd
import pytest

from hyperadapters.cli.jury import parse_jurors
from hyperadapters.errors import ConfigError


@pytest.fixture
def texts_csv(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text_id,text\n1,bad red\n2,good one\n3,nice\n")
    return path


def test_of_a_run(command, quick_run, texts_csv, tmp_path):
    out = tmp_path / "verdicts.csv"
    who = ("--juror", "u1", "--juror", "v2=2.5", "--draw", "4", "--seed", "3")
    outcome = command("jury", quick_run, "--input", texts_csv, *who, "--output", out)
    assert outcome.status == 0, outcome.err
    assert "3 verdicts by up to 6 jurors" in outcome.out
    shown = [line.split() for line in outcome.out.splitlines() if line.startswith("  dissent ")]
    dissents = [float(line[1]) for line in shown]
    assert len(shown) == 3 and dissents == sorted(dissents, reverse=True)
    assert all(line[2] in ("fine", "toxic") and line[3:] for line in shown)
    table = pd.read_csv(out)
    assert table["text_id"].tolist() == [1, 2, 3]
    assert table["dissent"].between(0, 0.5).all() and table["low_toxic"].notna().all()


def test_of_predictions_and_attributes(command, quick_run, tmp_path):
    people = tmp_path / "people.csv"
    rows = "".join(f"{k}{i},{k}\n" for k in "uv" for i in range(6))
    people.write_text("annotator,kind\n" + rows)
    given = ("jury", quick_run / "predictions.parquet", "--attributes", people)
    outcome = command(*given, "--where", "kind=u", "--output", tmp_path / "u.parquet")
    assert outcome.status == 0, outcome.err
    table = pd.read_parquet(tmp_path / "u.parquet")
    assert set(table["split"]) == {"dev", "test"} and table["n_jurors"].max() <= 6


def test_mistakes(refused, quick_run, texts_csv, tmp_path):
    out = ("--output", tmp_path / "v.csv")
    asked = ("jury", quick_run, "--input", texts_csv, *out)
    assert "unknown jurors: nobody" in refused(*asked, "--juror", "nobody")
    assert "wants ID or ID=WEIGHT" in refused(*asked, "--juror", "u1=much")
    assert "wants ATTRIBUTE=VALUE" in refused(*asked, "--where", "old")
    assert "told no attributes" in refused(*asked, "--where", "age=old")
    assert "positive number" in refused(*asked, "--juror", "u1=0")
    assert "--input" in refused("jury", quick_run, *out)
    predictions = quick_run / "predictions.parquet"
    assert "is for a run folder" in refused("jury", predictions, "--input", texts_csv, *out)
    assert "no such file" in refused("jury", tmp_path / "no.parquet", *out)
    assert "unknown kind of file" in refused(*asked[:-1], tmp_path / "v.txt")
    assert not (tmp_path / "v.csv").exists()


def test_help(command):
    shown = " ".join(command("jury", "--help").out.split())
    assert "dissent" in shown and "--draw" in shown and "Example" in shown


def test_jurors_as_they_are_written():
    people = ["a", "b=2", "c"]
    assert parse_jurors(["a=1.5", "b=2", "c"], people) == {"a": 1.5, "b=2": 1.0, "c": 1.0}
    assert parse_jurors(["b=2=3"], people) == {"b=2": 3.0}
    for given, match in (("a=x", "wants ID"), ("a", "named twice")):
        with pytest.raises(ConfigError, match=match):
            parse_jurors(["a", given], people)
