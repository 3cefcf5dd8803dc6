import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.data.several_labels import join_labels, joined
from hyperadapters.errors import DataError
from hyperadapters.tables.faults import RowOrigin


def joined_table(rows, columns=("text_id", "annotator", "label")):
    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    return join_labels(frame, RowOrigin.of("t.csv", range(2, len(frame) + 2)))


def test_a_label_for_several():
    assert joined(["neutral", "contradiction", "neutral"]) == "contradiction+neutral"
    assert joined(["neutral"]) == "neutral"


def test_labels_that_look_like_sets():
    assert joined(["left+right"]) == "left+right"
    rows = [("1", "a", "+"), ("1", "a", "-"), ("2", "a", "+"), ("3", "b", "x"), ("3", "b", "y+z")]
    with pytest.raises(DataError, match=r"label '\+' holds '\+'.* \(rows 2, 3\)") as error:
        joined_table(rows)
    assert "label 'y+z' holds" in str(error.value) and "Rename it." in str(error.value)


def test_rows_of_one_answer_become_one():
    rows = [("1", "a", "no"), ("2", "a", "no"), ("1", "a", "maybe"), ("1", "b", "maybe")]
    frame, origin = joined_table(rows)
    wanted = [["1", "a", "maybe+no"], ["2", "a", "no"], ["1", "b", "maybe"]]
    assert frame.values.tolist() == wanted
    assert origin.names == (2, 3, 5)


@pytest.mark.parametrize("second", ["no", None, " "])
def test_mistakes_are_left_for_the_check(second):
    frame, origin = joined_table([("1", "a", "no"), ("1", "a", second)])
    assert frame["label"].tolist() == ["no", second] and origin.names == (2, 3)


def test_other_texts_and_splits_are_other_answers():
    rows = [("1", "a", "no", "train", "x"), ("1", "a", "yes", "test", "x")]
    rows += [("1", "a", "yes", "train", "y")]
    columns = ("text_id", "annotator", "label", "split", "text_pair")
    assert len(joined_table(rows, columns)[0]) == 3


def test_a_table_without_labels_stays():
    frame, _ = joined_table([("1", "x")], ("text_id", "text"))
    assert frame.values.tolist() == [["1", "x"]]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("12"), st.sampled_from("ab"), st.sampled_from("xyz")),
        min_size=1,
        max_size=12,
        unique=True,
    )
)
def test_every_answer_is_kept_once(rows):
    frame, origin = joined_table(rows)
    assert not frame.duplicated(["text_id", "annotator"]).any()
    told = {(t, a): set(label.split("+")) for t, a, label in frame.values.tolist()}
    given_labels = {}
    for text, who, label in rows:
        given_labels.setdefault((text, who), set()).add(label)
    assert told == given_labels
    assert np.all(np.diff(origin.names) > 0) and len(origin.names) == len(frame)
