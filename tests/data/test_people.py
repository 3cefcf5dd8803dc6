import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.data import People, read_annotations
from hyperadapters.errors import DataError


def ratings(**columns):
    frame = pd.DataFrame(columns)
    n = len(frame)
    return frame.assign(
        text_id=[str(i) for i in range(n)], text=[f"text {i}" for i in range(n)], label=0
    )


def test_values_of_everybody():
    frame = ratings(
        annotator=["b", "a", "b", "c"], age=[30, 41, 30, None], town=["X", "Y", None, None]
    )
    people = People.of(frame, ["town", "age"])
    assert people.names == ("age", "town")
    assert people.attributes.values == {"age": ("30", "41"), "town": ("X", "Y")}
    assert people.values == {"a": ("41", "Y"), "b": ("30", "X"), "c": ("", "")}
    np.testing.assert_array_equal(
        people.of_annotators(["c", "a", "?"]), [[-1, -1], [1, 1], [-1, -1]]
    )


def test_rows_come_first_and_people_fill_in():
    people = People.of(
        ratings(annotator=["a", "b"], age=[30, 41], town=["X", "Y"]), ["age", "town"]
    )
    rows = pd.DataFrame(
        {
            "annotator": ["a", "a", "new", "new", "b"],
            "age": [41.0, None, "30", "", 99],
            "other": ["ignored"] * 5,
        }
    )
    wanted = [[1, 0], [0, 0], [0, -1], [-1, -1], [-1, 1]]
    np.testing.assert_array_equal(people.indices(rows), wanted)
    np.testing.assert_array_equal(
        people.indices(rows[["annotator"]])[[0, 2, 4]], [[0, 0], [-1, -1], [1, 1]]
    )


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["", "x", "y"])), min_size=1, max_size=8
    )
)
def test_any_rows_give_what_each_gives_alone(rows):
    people = People.of(ratings(annotator=["a", "b"], kind=["x", "y"]), ["kind"])
    frame = pd.DataFrame(rows, columns=["annotator", "kind"])
    alone = [people.indices(frame.iloc[[i]])[0] for i in range(len(frame))]
    np.testing.assert_array_equal(people.indices(frame), alone)


def test_json_and_back():
    people = People.of(ratings(annotator=["a", "b"], age=[1, 2]), ["age"])
    again = People.from_dict(json.loads(json.dumps(people.to_dict())))
    assert again == people
    assert again.without("a").values == {"b": ("2",)} and "a" in again.values


def test_all_faults_together():
    frame = ratings(
        annotator=["a", "a", "b"], age=[1, 2, 3], none=[None] * 3, lists=[[1], [2], [3]]
    )
    with pytest.raises(DataError) as error:
        People.of(frame, ["agee", "age", "none", "label", "lists"], source="mine.csv")
    told = str(error.value)
    assert "no column 'agee' of an attribute; did you mean 'age'" in told
    assert "'age' differs from an earlier row of the same annotator" in told and "2" in told
    assert "'none' is not given in any row" in told
    assert "no column 'label' of an attribute" in told
    assert "'lists' got [1], wanted one string or number" in told


def test_a_table_of_people_beside_the_ratings(tmp_path):
    ratings(annotator=["a", "b"]).assign(label=[0, 1]).to_csv(tmp_path / "ratings.csv", index=False)
    told = pd.DataFrame({"annotator": ["b", "a", "z"], "age": [41, 30, 1]})
    told.to_csv(tmp_path / "people.csv", index=False)
    found = read_annotations(tmp_path / "people.csv", tmp_path / "ratings.csv")
    assert dict(zip(found["annotator"], found["age"], strict=True)) == {"a": 30, "b": 41}

    pd.concat([told, told.head(1)]).to_csv(tmp_path / "people.csv", index=False)
    with pytest.raises(DataError, match="described in another row too"):
        read_annotations(tmp_path / "people.csv", tmp_path / "ratings.csv")
    with pytest.raises(DataError, match="'text'"):
        read_annotations(tmp_path / "people.csv")
