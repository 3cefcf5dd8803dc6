import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from hyperadapters.baselines import AnnotatorMode
from hyperadapters.errors import ConfigError, DataError, RunError
from hyperadapters.experiments import load
from hyperadapters.inference import Answers, Question, parts, question, stream, write_answers
from hyperadapters.tables import write_predictions
from hyperadapters.tables.aggregates import aggregates_of, moments_of
from pairwise import one_by_one

TEXTS = ["good red", "bad", "a kind one was nasty", "the warm blue one", "cold", "nice two"]
MADE_OF = {"run": "r", "input": "i"}


@pytest.fixture(scope="module")
def run(quick_run):
    return load(quick_run)


@pytest.fixture
def table():
    return pd.DataFrame({"text_id": [f"t{i}" for i in range(6)], "text": TEXTS})


def answers(run, table, who="all", tick=None, fitted=None):
    asked = Question(table, who, run.vocabulary, run.labels)
    return Answers(fitted or run.fitted, asked, seed=3, tick=tick)


def write(run, table, who="all", tick=None, fitted=None, **options):
    options.setdefault("made_of", MADE_OF)
    write_answers(answers(run, table, who, tick, fitted), run.labels, **options)


@one_by_one(who=["all", "rows", "population", ["v1", "u0"]], most=[12, 5, 30, 1000])
def test_files_hold_what_predict_gives(run, two_kinds, who, most, tmp_path, monkeypatch):
    monkeypatch.setattr(question, "CHUNK_ROWS", most)
    table = two_kinds.head(40).reset_index(drop=True)
    whole = pd.concat(list(answers(run, table, who)), ignore_index=True)
    for ending in ("parquet", "csv", "jsonl"):
        write(run, table, who, output=tmp_path / f"out.{ending}")
        write_predictions(whole, tmp_path / f"whole.{ending}")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), whole, rtol=0, atol=0)
    for ending in ("csv", "jsonl"):
        paths = [tmp_path / f"{name}.{ending}" for name in ("out", "whole")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(list(tmp_path.iterdir())) == 6  # nothing is left behind


def test_chunks_do_not_change_the_answers(run, table, monkeypatch):
    whole = pd.concat(list(answers(run, table)), ignore_index=True)
    monkeypatch.setattr(question, "CHUNK_ROWS", 5)
    pieces = pd.concat(list(answers(run, table)), ignore_index=True)
    pd.testing.assert_frame_equal(pieces, whole, rtol=0, atol=1e-6)


def test_no_frame_is_larger_than_a_chunk(run, table, tmp_path, monkeypatch):
    monkeypatch.setattr(question, "CHUNK_ROWS", 12)
    held = []

    class Watched(parts.Parts):
        def save(self, number, frame):
            held.append(len(frame))
            super().save(number, frame)

        def frames(self):
            for frame in super().frames():
                held.append(len(frame))
                yield frame

    monkeypatch.setattr(stream, "Parts", Watched)
    for n in (2, 6):
        held.clear()
        write(run, table.head(n), output=tmp_path / f"{n}.parquet")
        assert held == [12] * 2 * n
        file = pq.ParquetFile(tmp_path / f"{n}.parquet")
        assert [file.metadata.row_group(i).num_rows for i in range(n)] == [12] * n


def test_aggregates_of_a_job(run, table, tmp_path, monkeypatch):
    monkeypatch.setattr(question, "CHUNK_ROWS", 5)  # the people of a text are in three chunks
    write(run, table, output=tmp_path / "all.csv", aggregate=tmp_path / "both.parquet")
    write(run, table, output=None, aggregate=tmp_path / "alone.parquet")
    both, alone = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("both", "alone"))
    pd.testing.assert_frame_equal(both, alone, rtol=1e-12)
    whole = pd.concat(list(answers(run, table)), ignore_index=True)
    wanted = aggregates_of(moments_of(whole, run.labels), run.labels)
    pd.testing.assert_frame_equal(both, wanted, rtol=1e-9)
    assert both["text_id"].tolist() == table["text_id"].tolist()
    assert set(both["n_annotators"]) == {12}


def test_counting_methods_too(run, table, two_kinds, tmp_path, monkeypatch):
    monkeypatch.setattr(question, "CHUNK_ROWS", 30)
    fitted = AnnotatorMode.fit(two_kinds[two_kinds["split"] == "train"])
    done = []
    write(run, table, fitted=fitted, tick=done.append, output=tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    rows = table.merge(pd.DataFrame({"annotator": run.vocabulary.names}), how="cross")
    pd.testing.assert_frame_equal(found, fitted.predict(rows, seed=3))
    assert done == [24, 24, 24]


class Snapshots:
    """Copies of all files at every moment at which a process might be killed."""

    def __init__(self, folder, kept):
        self.folder, self.kept, self.n = folder, kept, 0

    def __call__(self, *_):
        shutil.copytree(self.folder, self.kept / str(self.n))
        self.n += 1


@pytest.mark.parametrize("only_aggregates", [False, True])
def test_killed_anywhere_and_resumed(run, table, only_aggregates, tmp_path, monkeypatch):
    monkeypatch.setattr(question, "CHUNK_ROWS", 24)
    home = tmp_path / "home"
    home.mkdir()
    take = Snapshots(home, tmp_path)
    for target, name in (
        (parts.Parts, "save"),
        (parts.Parts, "assemble"),
        (parts.Parts, "_write_manifest"),
        (stream, "write_pieces"),
    ):
        original = getattr(target, name)

        def watched(*args, _original=original, **kwargs):
            take()
            _original(*args, **kwargs)
            take()

        monkeypatch.setattr(target, name, watched)

    def options(folder):
        output = None if only_aggregates else folder / "out.parquet"
        return {"output": output, "aggregate": folder / "texts.csv"}

    write(run, table, tick=take, **options(home))
    monkeypatch.undo()
    monkeypatch.setattr(question, "CHUNK_ROWS", 24)
    wanted = {path.name: path.read_bytes() for path in home.iterdir()}
    assert wanted.keys() == {"texts.csv"} | ({"out.parquet"} if not only_aggregates else set())
    assert take.n > 15
    for number in range(take.n):
        folder = tmp_path / str(number)
        finished = [path.name for path in folder.rglob("*.parquet") if "parts" in path.parent.name]
        done = []
        write(run, table, tick=done.append, resume=True, **options(folder))
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == wanted
        assert sum(done) == 72 - 24 * len(finished)


@pytest.fixture
def stopped(run, table, tmp_path, monkeypatch):
    """A job that was stopped in its second chunk."""
    monkeypatch.setattr(question, "CHUNK_ROWS", 24)

    def stop(_):
        if list(tmp_path.rglob("000000.parquet")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(run, table, tick=stop, output=tmp_path / "out.parquet")
    (folder,) = tmp_path.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["000000.parquet", "job.json"]
    return folder


def test_a_stopped_job_is_not_forgotten(run, table, stopped, tmp_path):
    output = tmp_path / "out.parquet"
    with pytest.raises(RunError, match=r"was stopped; go on with --resume, or remove .*out"):
        write(run, table, output=output)
    with pytest.raises(RunError, match="had another input; repeat it as it was"):
        write(run, table, output=output, resume=True, made_of={"run": "r", "input": "other"})
    with pytest.raises(RunError, match="another kind of output"):
        write(run, table, output=None, aggregate=output, resume=True)
    with pytest.raises(RunError, match="another layout"):
        write(run, table.head(1), output=output, resume=True)
    (stopped / "000000.parquet").write_bytes(b"PAR1")  # half a part is no part
    done = []
    write(run, table, output=output, resume=True, tick=done.append)
    assert sum(done) == 72
    assert len(pd.read_parquet(output)) == 72
    assert not stopped.exists()


def test_a_damaged_manifest(run, table, stopped, tmp_path):
    (stopped / "job.json").write_text("{")
    with pytest.raises(RunError, match="is damaged; remove it to begin again"):
        write(run, table, output=tmp_path / "out.parquet", resume=True)


def test_what_is_there_already_stays(run, table, stopped, tmp_path):
    output, other = tmp_path / "out.parquet", tmp_path / "texts.csv"
    other.write_text("mine")
    for resume in (False, True):
        with pytest.raises(RunError, match=r"texts\.csv: is there already"):
            write(run, table, output=tmp_path / "new.csv", aggregate=other, resume=resume)
    output.write_text("mine")
    with pytest.raises(RunError, match=r"out\.parquet: is there already"):
        write(run, table, output=output, resume=True)
    assert output.read_text() == other.read_text() == "mine"
    assert stopped.is_dir()


def test_a_full_disk_loses_nothing(run, table, tmp_path, monkeypatch):
    monkeypatch.setattr(question, "CHUNK_ROWS", 24)
    to_parquet = pd.DataFrame.to_parquet
    written = []

    def full(self, path, **options):
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return to_parquet(self, path, **options)

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    message = r"out\.csv: cannot be written: No space left on device; 1 finished part"
    with pytest.raises(RunError, match=message):
        write(run, table, output=tmp_path / "out.csv")
    write(run, table, output=tmp_path / "out.csv", resume=True)
    assert len(written) == 4
    assert len(pd.read_csv(tmp_path / "out.csv")) == 72


def test_mistakes_before_the_work(run, table, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"out\.csv: cannot be written"):
        write(run, table, output=tmp_path / "file" / "out.csv")
    with pytest.raises(ConfigError, match="name a file to make"):
        write(run, table, output=None)
    with pytest.raises(ConfigError, match="cannot both be written to"):
        write(run, table, output=tmp_path / "a.csv", aggregate=tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"unknown kind of file '\.txt'"):
        write(run, table, output=tmp_path / "a.csv", aggregate=tmp_path / "a.txt")
    with pytest.raises(DataError, match="there is no text"):
        write(run, table.head(0), output=tmp_path / "a.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
