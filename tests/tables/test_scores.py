import json

import numpy as np
import pandas as pd
import pytest

from hyperadapters.errors import DataError, RunError
from hyperadapters.tables.scores import SCORES_COLUMNS, read_scores, write_scores


@pytest.fixture
def scores():
    rows = [
        ("m", 0, "test", "all", "accuracy", 0.1 + 0.2, 0.25, 0.35, 10),
        ("m", 0, "test", "all", "minority_accuracy", np.nan, np.nan, np.nan, 0),
    ]
    return pd.DataFrame(rows, columns=list(SCORES_COLUMNS))


def test_there_and_back(scores, tmp_path):
    path = tmp_path / "run" / "scores.json"
    write_scores(scores, path)
    found = read_scores(path)
    pd.testing.assert_frame_equal(found, scores, check_exact=True)
    assert [file.name for file in path.parent.iterdir()] == ["scores.json"]


def test_the_file_is_a_list_of_records_with_null_for_nan(scores, tmp_path):
    write_scores(scores, tmp_path / "s.json")
    records = json.loads((tmp_path / "s.json").read_text())
    assert [list(record) for record in records] == [list(SCORES_COLUMNS)] * 2
    assert records[0]["n"] == 10
    assert records[1]["value"] is None


def test_no_scores(scores, tmp_path):
    write_scores(scores.iloc[:0], tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text()) == []
    assert list(read_scores(tmp_path / "s.json").columns) == list(SCORES_COLUMNS)


def test_writing_does_not_replace_unless_told_to(scores, tmp_path):
    path = tmp_path / "s.json"
    write_scores(scores, path)
    with pytest.raises(RunError, match=r"s\.json: is there already; name another file"):
        write_scores(scores, path)
    write_scores(scores.iloc[:1], path, overwrite=True)
    assert len(read_scores(path)) == 1


def test_columns_and_numbers_are_checked(scores, tmp_path):
    with pytest.raises(DataError, match="column 'low' is missing; column 'n' is missing"):
        write_scores(scores.drop(columns=["low", "n"]), tmp_path / "s.json")
    bad = scores.assign(value=[np.inf, 1], n=[1.5, 2])
    what = r"column 'value' is not a finite number \(row 1\); column 'n' is not a whole number"
    with pytest.raises(DataError, match=what):
        write_scores(bad, tmp_path / "s.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "there is no such file"),
        ("{", "cannot be read as JSON"),
        ('{"a": 1}', "does not hold a list of records"),
        ("[1]", "does not hold a list of records"),
        ('[{"method": "m"}]', "column 'seed' is missing"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, content, what):
    path = tmp_path / "s.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=what):
        read_scores(path)
