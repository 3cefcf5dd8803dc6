import shutil

import pandas as pd
import pytest

from hyperadapters.experiments import load


@pytest.fixture
def texts_csv(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text\ngood red\nbad one\n")
    return path


@pytest.fixture
def ask(command, quick_run, tmp_path):
    def call(file, *options, name="out.parquet"):
        outcome = command(
            *("predict", quick_run, "--input", file, "--output", tmp_path / name), *options
        )
        assert outcome.status == 0, outcome.err
        path = tmp_path / name
        return outcome, pd.read_parquet(path) if path.suffix == ".parquet" else path

    return call


def test_who_is_asked(ask, texts_csv, quick_run):
    run = load(quick_run)
    _, everyone = ask(texts_csv, "--annotators", "all", name="all.parquet")
    assert len(everyone) == 2 * len(run.vocabulary)
    pd.testing.assert_frame_equal(everyone, run.predict(["good red", "bad one"]))
    _, some = ask(texts_csv, "--annotators", "v1,u0", name="some.parquet")
    assert some["annotator"].tolist() == ["v1", "u0"] * 2
    outcome, nobody = ask(texts_csv, "--annotators", "population", name="pop.parquet")
    assert set(nobody["source"]) == {"population"}
    assert "(2 population)" in outcome.out


def test_aggregates(ask, command, texts_csv, quick_run, tmp_path):
    path = tmp_path / "texts.parquet"
    outcome, everyone = ask(texts_csv, "--annotators", "all", "--aggregate", path)
    assert "24 predictions in" in outcome.out and "texts.parquet (24 known)" in outcome.out
    table = pd.read_parquet(path)
    assert table["n_annotators"].tolist() == [12, 12]
    means = everyone.groupby("text_id", sort=False)["p_toxic"].mean()
    assert table["p_toxic"].to_numpy() == pytest.approx(means.to_numpy())
    alone = tmp_path / "alone.csv"
    options = ("--annotators", "all", "--aggregate", alone)
    assert command("predict", quick_run, "--input", texts_csv, *options).status == 0
    assert pd.read_csv(alone)["share_toxic"].tolist() == table["share_toxic"].tolist()


def test_stopped_and_resumed(ask, command, refused, texts_csv, quick_run, tmp_path, monkeypatch):
    from hyperadapters.inference import Answers, question

    monkeypatch.setattr(question, "CHUNK_ROWS", 12)
    options = ("--input", texts_csv, "--output", tmp_path / "out.csv", "--annotators", "all")
    of = Answers.of

    def stop(self, chunk):
        if chunk.texts.start == 1:
            raise KeyboardInterrupt
        return of(self, chunk)

    monkeypatch.setattr(Answers, "of", stop)
    assert command("predict", quick_run, *options).status == 130
    monkeypatch.setattr(Answers, "of", of)
    assert not (tmp_path / "out.csv").exists()
    assert "go on with --resume" in refused("predict", quick_run, *options)
    _, table = ask(texts_csv, "--annotators", "all", name="other.csv")
    assert command("predict", quick_run, *options, "--resume").status == 0
    assert (tmp_path / "out.csv").read_bytes() == table.read_bytes()
    assert "is there already" in refused("predict", quick_run, *options, "--resume")


def test_rows_is_the_default(ask, ratings_csv, two_kinds):
    _, table = ask(ratings_csv)
    assert table["annotator"].tolist() == two_kinds["annotator"].tolist()
    assert table["label"].tolist() == two_kinds["label"].tolist()
    assert table["split"].tolist() == two_kinds["split"].tolist()


def test_one_split(ask, ratings_csv, two_kinds):
    _, table = ask(ratings_csv, "--split", "dev")
    assert len(table) == (two_kinds["split"] == "dev").sum()
    assert set(table["split"]) == {"dev"}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_other_kinds_of_files(ask, texts_csv, ending):
    _, path = ask(texts_csv, "--annotators", "u1", name=f"out.{ending}")
    table = pd.read_csv(path) if ending == "csv" else pd.read_json(path, lines=True)
    assert table["annotator"].tolist() == ["u1", "u1"]


@pytest.fixture
def mistake(refused, tmp_path, quick_run):
    """A mistake of `predict` must write nothing."""

    def call(file, *options, run=quick_run, output="out.parquet"):
        before = sorted(tmp_path.iterdir())
        message = refused(
            *("predict", run, "--input", file, "--output", tmp_path / output), *options
        )
        assert sorted(tmp_path.iterdir()) == before
        return message

    return call


def test_mistakes(mistake, texts_csv, ratings_csv, two_kinds, tmp_path):
    assert "--annotator" in mistake(texts_csv)  # no such column
    assert "unknown: nobody" in mistake(texts_csv, "--annotators", "u1,nobody")
    assert "no row is of split 'val'; the splits are dev, test, train" in mistake(
        *(ratings_csv, "--split", "val")
    )
    message = mistake(texts_csv, "--split", "test", "--annotators", "all")
    assert "it has no column 'split'" in message
    assert "absent.csv" in mistake(tmp_path / "absent.csv")
    assert "unknown kind of file '.txt'" in mistake(
        *(texts_csv, "--annotators", "all"), output="out.txt"
    )
    two_kinds.assign(label="rude").to_csv(tmp_path / "rude.csv", index=False)
    assert "['rude'] are not among those of the run (fine, toxic)" in mistake(tmp_path / "rude.csv")


def test_what_to_make(mistake, refused, texts_csv, quick_run, tmp_path):
    options = ("--annotators", "all")
    assert "name a file to make" in refused("predict", quick_run, "--input", texts_csv, *options)
    both = (*options, "--aggregate", tmp_path / "out.parquet")
    assert "cannot both be written" in mistake(texts_csv, *both)
    assert "unknown kind of file '.xls'" in mistake(
        *(texts_csv, *options, "--aggregate", tmp_path / "texts.xls")
    )


def test_nobody_at_all(mistake, texts_csv):
    assert "--annotators names nobody" in mistake(texts_csv, "--annotators", " , ")


def test_runs_that_cannot_be_read(mistake, texts_csv, quick_run, tmp_path):
    options = ("--annotators", "all")
    assert "is not a run folder" in mistake(texts_csv, *options, run=tmp_path / "none")
    damaged = shutil.copytree(quick_run, tmp_path / "damaged")
    (damaged / "adapter_model.safetensors").write_bytes(b"x")
    assert "cannot be loaded" in mistake(texts_csv, *options, run=damaged)
    (damaged / "run.json").write_text("{}")
    assert "is not the record of a run" in mistake(texts_csv, *options, run=damaged)


def test_an_existing_output(refused, texts_csv, quick_run, tmp_path):
    (tmp_path / "out.csv").write_text("mine")
    message = refused(
        *("predict", quick_run, "--input", texts_csv, "--output", tmp_path / "out.csv"),
        *("--annotators", "all"),
    )
    assert "exists" in message
    assert (tmp_path / "out.csv").read_text() == "mine"
