import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.conditions import Attributes, Instance, Lookup, Vector, condition_from_dict
from hyperadapters.errors import ConfigError

POLICY = st.sampled_from(["population", "error", "base"])
COUNT = st.integers(1, 999)
OPTIONAL = st.none() | COUNT
WORDS = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=4, unique=True)
NAME = st.text(min_size=1, max_size=4)
VALUES = st.dictionaries(NAME, WORDS | COUNT, min_size=1, max_size=4)
POOL = st.sampled_from(["mean", "first", "last", "max"])
# Classes and arguments: beartype draws random numbers, which hypothesis forbids while it draws.
DECLARED = st.one_of(
    st.tuples(st.just(Lookup), st.tuples(COUNT, OPTIONAL, POLICY)),
    st.tuples(st.just(Attributes), st.tuples(VALUES, OPTIONAL, POLICY)),
    st.tuples(st.just(Vector), st.tuples(COUNT, OPTIONAL, OPTIONAL, POLICY)),
    st.tuples(st.just(Instance), st.tuples(POOL, st.integers(-30, 30), OPTIONAL, OPTIONAL)),
)


@settings(max_examples=100, deadline=None)
@given(DECLARED)
def test_conditions_survive_json(declared):
    kind, arguments = declared
    condition = kind(*arguments)
    written = json.dumps(condition.to_dict(), sort_keys=True)
    read = condition_from_dict(json.loads(written))
    assert type(read) is type(condition) and read == condition and hash(read) == hash(condition)
    assert json.dumps(read.to_dict(), sort_keys=True) == written
    assert json.loads(written) == condition.to_dict()


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        (Lookup(1), "lookup"),
        (Attributes({"a": 2}), "attributes"),
        (Vector(4), "vector"),
        (Instance(), "instance"),
    ],
)
def test_kinds(condition, kind):
    assert condition.to_dict()["kind"] == kind


def test_fields_may_be_left_out():
    assert condition_from_dict({"kind": "instance"}) == Instance()
    assert condition_from_dict({"kind": "vector", "width": 3}) == Vector(3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"kind": "prose", "size": 3},
            "unknown kind of condition 'prose'; known: 'lookup', 'attributes', 'vector', 'inst",
        ),
        ({"size": 3}, "unknown kind of condition None"),
        ({"kind": ["lookup"], "size": 3}, r"unknown kind of condition \['lookup'\]"),
        ({"kind": "lookup"}, "size"),
        ({"kind": "lookup", "size": 3, "depth": 2}, "depth"),
        ({"kind": "lookup", "size": "three"}, "three"),
        ({"kind": "lookup", "size": 3, "unknown": "mean"}, "mean"),
        ({"kind": "attributes"}, "values"),
        ({"kind": "attributes", "values": {"a": "b"}}, "attribute 'a' needs a list of values"),
        ({"kind": "vector", "width": 0}, "width of at least 1"),
        ({"kind": "instance", "unknown": "error"}, "unknown"),
        ({"kind": "instance", "pool": "sum"}, "sum"),
    ],
)
def test_declarations_that_are_not_ours(data, message):
    with pytest.raises(ConfigError, match=message):
        condition_from_dict(data)
