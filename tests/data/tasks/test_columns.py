import numpy as np
import pandas as pd
import pytest

from hyperadapters.data.tasks.columns import cells_at

SQUAD = [
    {"text": np.array(["a", "b"], object), "answer_start": np.array([1, 2])},
    {"text": np.array([], object), "answer_start": np.array([], int)},
]
MRQA = {
    "text": ["a", "b"],
    "char_spans": [{"start": [3, 9], "end": [4, 10]}, {"start": [7], "end": [8]}],
}
FRAME = pd.DataFrame(
    {
        "answers": SQUAD,
        "endings": [["x", "y"], ["z", "u"]],
        "detected": [MRQA, MRQA],
        "listed": [[{"t": 1}, {"t": 2}], []],
        "a.b": ["1", "2"],
        "a": [{"b": "no"}, {"b": "no"}],
        "empty": [None, "text"],
    }
)


@pytest.mark.parametrize(
    ("path", "cells"),
    [
        ("answers.text", [["a", "b"], []]),
        ("answers.answer_start", [[1, 2], []]),
        ("answers.text.0", ["a", None]),
        ("endings.1", ["y", "u"]),
        ("endings.7", [None, None]),
        ("detected.char_spans.*.start.0", [[3, 7], [3, 7]]),
        ("listed.t", [[1, 2], []]),
        ("listed.*.t", [[1, 2], []]),
        ("a.b", ["1", "2"]),
        ("answers.nothing", [None, None]),
        ("empty.x.0", [None, None]),
    ],
)
def test_cells_at_a_path(path, cells):
    assert cells_at(FRAME, path) == cells


@pytest.mark.parametrize("path", ["nothing", "nothing.text", ""])
def test_no_such_column(path):
    assert cells_at(FRAME, path) is None


def test_a_column_comes_as_it_is():
    assert cells_at(FRAME, "endings") == [["x", "y"], ["z", "u"]]
