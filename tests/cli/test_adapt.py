import pandas as pd
import pytest

from hyperadapters.experiments import load


@pytest.fixture
def new_csv(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("text,annotator,label\nbad red,zoe,toxic\ngood one,zoe,fine\nbad,max,fine\n")
    return path


def test_new_people_end_to_end(command, new_csv, quick_run, tmp_path):
    second = tmp_path / "second"
    outcome = command("adapt", quick_run, "--input", new_csv, "--output", second)
    assert outcome.status == 0, outcome.err
    assert "2 annotators learned, from 1 to 2 labels each" in outcome.out
    assert "knows 14 annotators" in outcome.out
    assert load(second).adapted == ["max", "zoe"]
    out = tmp_path / "out.csv"
    options = ("--annotators", "zoe,u1", "--intervals", "--output", out)
    outcome = command("predict", second, "--input", new_csv, *options)
    assert outcome.status == 0, outcome.err
    assert "(3 known, 3 adapted)" in outcome.out
    table = pd.read_csv(out)
    assert table["low_toxic"].notna().tolist() == [True, False] * 3
    outcome = command("adapt", second, "--input", new_csv, "--output", tmp_path / "third")
    assert "2 annotators learned, 2 of them anew" in outcome.out


def test_mistakes(refused, new_csv, quick_run, tmp_path):
    new = ("--input", new_csv, "--output", tmp_path / "second")
    assert "--known must be" in refused("adapt", quick_run, *new, "--known", "no")
    assert "no row is of split" in refused("adapt", quick_run, *new, "--split", "dev")
    assert "exists" in refused("adapt", quick_run, "--input", new_csv, "--output", new_csv)
    new_csv.write_text("text,annotator,label\nbad red,u1,toxic\n")
    assert "trained on u1" in refused("adapt", quick_run, *new)
    new_csv.write_text("text,annotator,label\n")
    assert "no rows" in refused("adapt", quick_run, *new)
    assert not (tmp_path / "second").exists()
