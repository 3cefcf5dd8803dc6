import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.conditions import Attributes
from hyperadapters.conditions.spelling import bucket
from hyperadapters.errors import ConditionError, ConfigError

VALUES = {"gender": ("f", "m", "x"), "country": 1024, "age": ("18-29", "30-49")}
PEOPLE = Attributes(VALUES)
STRICT = Attributes(VALUES, unknown="error")


def test_attributes_are_sorted_by_name():
    assert PEOPLE.names == ("age", "country", "gender")
    assert PEOPLE.sizes == (2, 1024, 3)
    assert list(PEOPLE.values) == list(PEOPLE.names)
    turned = Attributes({"age": ["18-29", "30-49"], "country": 1024, "gender": ["f", "m", "x"]})
    assert turned == PEOPLE and hash(turned) == hash(PEOPLE)
    assert Attributes(VALUES, width=3) != PEOPLE


def test_the_order_of_a_closed_vocabulary_counts():
    assert Attributes({"a": ("f", "m")}) != Attributes({"a": ("m", "f")})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "^Attributes needs at least one attribute$"),
        ({"": ("a",)}, "names of attributes must be nonempty strings, got ''"),
        ({3: ("a",)}, "names of attributes must be nonempty strings, got 3"),
        ({"age": ()}, "^attribute 'age' needs at least one value$"),
        ({"age": ("a", "b", "a")}, "^attribute 'age' has the value 'a' twice$"),
        ({"age": ("a", "")}, "^values of attribute 'age' must be nonempty strings, got ''$"),
        ({"age": (18, 30)}, "^values of attribute 'age' must be nonempty strings, got 18$"),
        ({"age": "old"}, "^attribute 'age' needs a list of values or a number of buckets, got old"),
        ({"age": {"a"}}, "^attribute 'age' needs a list of values or a number of buckets"),
        ({"age": 0}, "^attribute 'age' needs a number of buckets of at least 1, got 0$"),
        ({"age": 2.5}, "^attribute 'age''s number of buckets must be a whole number, got 2.5$"),
        ({"age": None}, "must be a whole number, got None"),
    ],
)
def test_attributes_refuse(values, message):
    attributes = Attributes(VALUES)
    object.__setattr__(attributes, "values", values)
    with pytest.raises(ConfigError, match=message):
        attributes.__post_init__()


def test_width_and_policy_are_checked():
    with pytest.raises(ConfigError, match=r"^Attributes needs a width of at least 1, got 0$"):
        Attributes(VALUES, width=0)
    attributes = Attributes(VALUES)
    object.__setattr__(attributes, "unknown", "ask")
    with pytest.raises(ConfigError, match=r"^Attributes's unknown must be .* got 'ask'$"):
        attributes.__post_init__()


def test_indices():
    brasil = bucket("Brasil", 1024)
    rows = [
        {"gender": "x", "age": "30-49", "country": "Brasil"},
        {"gender": "", "age": None},
        {},
        {"country": float("nan"), "gender": "f"},
    ]
    indices = PEOPLE.indices(rows)
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(
        indices, [[1, brasil, 2], [-1, -1, -1], [-1, -1, -1], [-1, -1, 0]]
    )
    np.testing.assert_array_equal(STRICT.indices(rows), indices)
    assert PEOPLE.indices(iter(rows)).shape == (4, 3)
    assert PEOPLE.indices([]).shape == (0, 3)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_every_value_has_its_own_index(data):
    words = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=6, unique=True)
    values = data.draw(st.dictionaries(st.text(min_size=1, max_size=3), words, min_size=1))
    attributes = Attributes(values, unknown="error")
    row = {name: data.draw(st.sampled_from(listed)) for name, listed in values.items()}
    (found,) = attributes.indices([row])
    assert [attributes.values[n][i] for n, i in zip(attributes.names, found, strict=True)] == [
        row[name] for name in attributes.names
    ]


@pytest.mark.parametrize("policy", ["population", "base"])
def test_values_that_nobody_knows_are_missing(policy):
    found = Attributes(VALUES, unknown=policy).indices([{"gender": "q", "age": "18-29"}])
    np.testing.assert_array_equal(found, [[0, -1, -1]])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"gender": "q"}, "^row 1: attribute 'gender' got 'q'; known: f, m, x$"),
        ({"gender": "F"}, r"attribute 'gender' got 'F' \(did you mean 'f'\?\); known: f, m, x$"),
        ({"age": "30-39"}, r"got '30-39' \(did you mean '30-49'\?\); known: 18-29, 30-49$"),
        ({"age": 30}, "^row 1: attribute 'age' got '30'; known: 18-29, 30-49$"),
    ],
)
def test_values_that_nobody_knows_are_refused(row, message):
    with pytest.raises(ConditionError, match=message):
        STRICT.indices([{}, row])


def test_long_vocabularies_are_not_printed_whole():
    many = Attributes({"a": tuple(f"v{n}" for n in range(9))}, unknown="error")
    with pytest.raises(ConditionError, match=r"known: v0, v1, v2, v3, v4, \.\.\.$"):
        many.indices([{"a": "other"}])


@pytest.mark.parametrize("attributes", [PEOPLE, STRICT])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"gendr": "f"}, r"unknown attribute 'gendr' \(did you mean 'gender'\?\); wanted age, "),
        ({"shoe": "42"}, "unknown attribute 'shoe'; wanted age, country, gender$"),
        ({"gender": ["f"]}, r"attribute 'gender' got \['f'\], wanted one string or number"),
        ("gender", "got 'gender', wanted a mapping from attribute to value"),
    ],
)
def test_rows_that_are_wrong_under_every_policy(attributes, row, message):
    with pytest.raises(ConditionError, match="^row 0: " + message):
        attributes.indices([row])


def test_a_column_with_holes_says_the_same():
    grades = Attributes({"grade": ("1", "2"), "place": 50}, unknown="error")
    table = pd.DataFrame({"grade": [2, 1], "place": [7, 9]})
    whole = grades.indices(table.to_dict("records"))
    holes = pd.concat([table, pd.DataFrame({"grade": [None], "place": [None]})]).astype(float)
    assert holes["grade"].dtype == float
    found = grades.indices(holes.to_dict("records"))
    np.testing.assert_array_equal(found[:2], whole)
    np.testing.assert_array_equal(found[2], [-1, -1])
    assert whole[:, 0].tolist() == [1, 0]
    assert whole[:, 1].tolist() == [bucket("7", 50), bucket("9", 50)]


def test_rows_of_a_table_are_mappings_too():
    table = pd.DataFrame({"gender": ["m", "f"], "age": ["18-29", pd.NA]})
    found = PEOPLE.indices(row for _, row in table.iterrows())
    np.testing.assert_array_equal(found, [[0, -1, 1], [-1, -1, 0]])


def test_a_number_may_be_listed_with_its_point():
    scores = Attributes({"score": ("1.0", "2.5")}, unknown="error")
    np.testing.assert_array_equal(scores.indices([{"score": 1.0}, {"score": 2.5}]), [[0], [1]])
