import numpy as np
import pandas as pd
import pytest

from hyperadapters.data.tasks import EXAMPLE_COLUMNS, check_examples
from hyperadapters.errors import DataError


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "text_id": ["a", "b", "a"],
            "task": ["t", "t", "q"],
            "source": ["t x", "t y", "question: Q context: the cat"],
            "target": ["1", None, "cat"],
            "references": [["1"], [], np.array(["cat"], object)],
            "split": ["train", "dev", "test"],
            "question": [None, None, "Q"],
            "context": [None, None, "the cat"],
            "starts": [None, None, np.array([4])],
        }
    )


def test_columns_types_and_missing_cells(frame):
    checked = check_examples(frame)
    assert tuple(checked.columns) == EXAMPLE_COLUMNS
    assert checked["target"].tolist() == ["1", None, "cat"]
    assert checked["references"].tolist() == [["1"], [], ["cat"]]
    assert checked["starts"].tolist() == [None, None, [4]]
    assert checked["context"].tolist() == [None, None, "the cat"]
    assert checked["source"].tolist()[:2] == ["t x", "t y"]


def test_columns_of_questions_may_be_absent(frame):
    checked = check_examples(frame.drop(columns=["question", "context", "starts"]))
    assert checked["context"].tolist() == [None, None, None]


def test_it_comes_back_from_parquet(frame, tmp_path):
    checked = check_examples(frame)
    checked.to_parquet(tmp_path / "examples.parquet")
    again = check_examples(pd.read_parquet(tmp_path / "examples.parquet"))
    pd.testing.assert_frame_equal(again, checked)


def test_attributes_stay(frame):
    frame.attrs["splits"] = {"t": 1}
    assert check_examples(frame).attrs == {"splits": {"t": 1}}


def test_an_empty_table(frame):
    assert len(check_examples(frame.iloc[:0])) == 0


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("source", ["t", 3, "question: Q context: the cat"], "'source' must hold text (row 2)"),
        ("target", ["t", 3, None], "'target' must hold text or nothing (row 2)"),
        ("split", ["train", "val", "test"], "'split' must hold train, dev or test (row 2)"),
        ("text_id", ["a", "a", "a"], "'text_id' is the same in two rows of a task (rows 1, 2)"),
        ("references", [["1"], "x", ["cat"]], "'references' must hold a list of texts (row 2)"),
        ("references", [["1"], None, ["cat"]], "'references' must hold a list of texts (row 2)"),
        ("references", [[1], [], ["cat"]], "'references' must hold a list of texts (row 1)"),
        ("starts", [None, None, [1, 2]], "one whole number for every reference (row 3)"),
        ("starts", [None, None, None], "one whole number for every reference (row 3)"),
        ("starts", [None, None, [0.5]], "one whole number for every reference (row 3)"),
        ("context", [None, None, "the"], "'source' must end with the context of the question (row"),
        ("question", [None, None, None], "'question' is empty, but there is a context (row 3)"),
    ],
)
def test_what_is_wrong_is_said(frame, column, cells, message):
    frame[column] = pd.Series(cells, dtype=object)
    with pytest.raises(DataError) as caught:
        check_examples(frame, source="mine")
    assert str(caught.value).startswith("mine: column ")
    assert message in str(caught.value)


def test_a_missing_column(frame):
    with pytest.raises(DataError, match=r"table: column 'split' is missing; did you mean 'splits'"):
        check_examples(frame.rename(columns={"split": "splits"}))
