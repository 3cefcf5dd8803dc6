import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.conditions import POPULATION, Vocabulary
from hyperadapters.errors import ConditionError

NAMES = st.lists(st.text(max_size=5), max_size=12)


def test_names_are_sorted_and_counted_once():
    vocabulary = Vocabulary.of(["w9", "w10", "w9", "a"])
    assert vocabulary.names == ("a", "w10", "w9")
    assert len(vocabulary) == 3
    assert "w9" in vocabulary and "w1" not in vocabulary


@settings(max_examples=50, deadline=None)
@given(NAMES, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(names, random):
    shuffled = list(names)
    random.shuffle(shuffled)
    assert Vocabulary.of(names) == Vocabulary.of(shuffled)


@settings(max_examples=50, deadline=None)
@given(NAMES)
def test_names_survive_indices_and_json(names):
    vocabulary = Vocabulary.of(names)
    indices = vocabulary.indices(names, strict=True)
    assert indices.dtype == np.int64 and indices.shape == (len(names),)
    assert [vocabulary.names[index] for index in indices] == names
    assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict()))) == vocabulary


def test_a_stored_vocabulary_keeps_its_order():
    stored = Vocabulary.from_dict({"names": ["b", "a"]})
    np.testing.assert_array_equal(stored.indices(["a", "b"]), [1, 0])


def test_unknown_names_are_the_population():
    indices = Vocabulary.of(["a", "b"]).indices(["b", "new", "a"])
    np.testing.assert_array_equal(indices, [1, POPULATION, 0])


def test_strict_names_what_is_unknown_and_what_is_known():
    known = Vocabulary.of(["a", "b", "c", "d"])
    with pytest.raises(ConditionError, match=r"^unknown: x, y; .* 4 names, such as a, b, c$"):
        known.indices(["y", "a", "x", "y"], strict=True)
    with pytest.raises(ConditionError, match=r"unknown: 0, 1, 2, 3, 4, \.\.\.;"):
        known.indices(map(str, range(9)), strict=True)


def test_a_name_twice_is_refused():
    with pytest.raises(ConditionError, match="a name occurs twice"):
        Vocabulary(("a", "b", "a"))


def test_how_often_a_name_occurs_is_kept():
    known = Vocabulary.of(["b", "a", "b", "c"])
    assert (known.names, known.n_ratings) == (("a", "b", "c"), (1, 2, 1))
    some = known.only(["c", "b"])
    assert (some.names, some.n_ratings) == (("c", "b"), (1, 2))
    assert Vocabulary.from_dict(some.to_dict()).n_ratings == (1, 2)
    old = Vocabulary.from_dict({"names": ["a", "b"]})
    assert old.n_ratings is None and old.only(["b"]).n_ratings is None
    assert "n_ratings" not in old.to_dict()
    with pytest.raises(ConditionError, match="2 names and numbers of ratings of 1"):
        Vocabulary(("a", "b"), (1,))
