import numpy as np
import pytest

from hyperadapters.labels import LabelSpace
from hyperadapters.tables import predictions_frame, write_predictions
from hyperadapters.tables.submissions import FORMATS, write_submission


@pytest.fixture
def saved(tmp_path):
    values = np.random.default_rng(0).dirichlet([1, 1], size=8)
    texts, people = np.repeat(["test-1", "test-2"], 4), list("wxyz") * 2
    frame = predictions_frame(texts, people, values, LabelSpace((0, 1)), label=[0, 1] * 4)
    write_predictions(frame, tmp_path / "p.parquet")
    return frame


@pytest.mark.parametrize("format", FORMATS)
def test_the_file_is_that_of_the_library(command, saved, tmp_path, format):
    result = command(
        "data", "submit", tmp_path / "p.parquet", "--format", format, "--output", tmp_path / "out"
    )
    assert result.status == 0, result.err
    assert f"2 texts of split test written to {tmp_path / 'out'} ({format})" in result.out
    write_submission(saved, tmp_path / "same", format)
    assert (tmp_path / "out").read_text() == (tmp_path / "same").read_text()


def test_labels_of_the_task_can_be_named(command, saved, tmp_path):
    arguments = ["--format", "lewidi-soft", "--output", tmp_path / "out", "--labels", "0, 1, 2"]
    assert command("data", "submit", tmp_path / "p.parquet", *arguments).status == 0
    assert (tmp_path / "out").read_text().splitlines()[0].endswith(", 0.0]")


def test_mistakes(refused, saved, tmp_path):
    start = ["data", "submit", tmp_path / "p.parquet", "--output", tmp_path / "out"]
    assert "known: lewidi-soft" in refused(*start, "--format", "x")
    wrong = refused(*start, "--format", "perseval", "--split", "new")
    assert "there are ['test']" in wrong
    (tmp_path / "out").write_text("mine")
    assert "is there already" in refused(*start, "--format", "perseval")
