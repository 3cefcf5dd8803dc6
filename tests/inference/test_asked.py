import pandas as pd
import pytest

from hyperadapters.errors import DataError
from hyperadapters.inference import as_table


def test_texts_become_a_table():
    assert as_table(["x", "y"], pairs=False).to_dict("list") == {"text": ["x", "y"]}
    assert as_table("x", pairs=False).to_dict("list") == {"text": ["x"]}
    # A tuple of texts is a sequence of texts, as a list is.
    assert as_table(("x", "y"), pairs=False).to_dict("list") == {"text": ["x", "y"]}


def test_pairs_become_a_table():
    wanted = {"text": ["x", "x"], "text_pair": ["y", "z"]}
    assert as_table([("x", "y"), ("x", "z")], pairs=True).to_dict("list") == wanted
    assert as_table([["x", "y"], ["x", "z"]], pairs=True).to_dict("list") == wanted
    frame = pd.DataFrame(wanted)
    assert as_table(frame, pairs=True) is frame


@pytest.mark.parametrize(
    ("texts", "pairs", "what"),
    [
        (["x"], True, "trained on pairs of texts, and these are single texts"),
        (["x"], True, r"\(--text A --text B\)"),
        (pd.DataFrame({"text": ["x"]}), True, "these are single texts"),
        ([("x", "y")], False, "trained on single texts, and these are pairs"),
        (pd.DataFrame({"text": ["x"], "text_pair": ["y"]}), False, "these are pairs"),
        ([("x", "y"), "z"], True, r"text 2 is no pair \(first, second\)"),
        ([("x", "y"), ("x", "y", "z")], True, "text 2 is no pair"),
        ([("x", "y"), ("x", " ")], True, "second text 2 is empty or not a string"),
        (pd.DataFrame({"text": ["x", None], "text_pair": "y"}), True, "text 2 is empty"),
        (["x", ""], False, "text 2 is empty"),
        (pd.DataFrame({"text": [3]}), False, "text 1 is empty or not a string"),
        ([], True, "there is no text"),
        (pd.DataFrame({"label": [1]}), False, "there is no column 'text'"),
    ],
)
def test_texts_that_cannot_be_asked_about(texts, pairs, what):
    with pytest.raises(DataError, match=what):
        as_table(texts, pairs=pairs)
