import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.labels import LabelSpace


@pytest.mark.parametrize(
    ("labels", "names", "kind"),
    [
        ([1, 0, 1], (0, 1), "nominal"),
        ([5, 1, 3], (1, 3, 5), "ordinal"),
        (["no", "yes", "maybe"], ("maybe", "no", "yes"), "nominal"),
    ],
)
def test_the_kind_follows_from_the_labels(labels, names, kind):
    space = LabelSpace.of(labels)
    assert (space.names, space.kind, len(space)) == (names, kind, len(names))


def test_the_kind_can_be_forced():
    assert LabelSpace.of([0, 1], kind="ordinal").kind == "ordinal"
    assert LabelSpace.of([0, 1, 2], kind="nominal").kind == "nominal"


@pytest.mark.parametrize(
    ("names", "kind", "message"),
    [
        (("a",), "nominal", r"at least 2 different labels, got \['a'\]"),
        (("a", "b", "a"), "nominal", "a label occurs twice"),
        (("low", "high"), "ordinal", "ordinal labels must be integers"),
        ((1, "1"), "nominal", "read the same as text"),
    ],
)
def test_label_sets_that_cannot_be(names, kind, message):
    with pytest.raises(ConfigError, match=message):
        LabelSpace(names, kind)


def test_unknown_labels_are_told_with_their_rows():
    space = LabelSpace.of(["no", "yes"])
    with pytest.raises(DataError, match=r"t\.csv: labels \['maybe'\].*\(no, yes\) \(rows 2, 4\)"):
        space.encode(pd.Series(["no", "maybe", "yes", "maybe"]), "t.csv")


def test_missing_labels_become_minus_one():
    codes = LabelSpace.of([0, 1]).encode(pd.Series([1, None, 0], dtype="Int64"))
    np.testing.assert_array_equal(codes, [1, -1, 0])
    assert codes.dtype == np.int64


def test_columns_of_the_probabilities():
    assert LabelSpace.of([2, 1, 3]).columns == ("p_1", "p_2", "p_3")


@settings(max_examples=50, deadline=None)
@given(
    st.one_of(
        st.lists(st.integers(-50, 50), min_size=2, max_size=8, unique=True),
        st.lists(st.text("abcÄ ß", min_size=1, max_size=4), min_size=2, max_size=8, unique=True),
    ),
    st.data(),
)
def test_labels_survive_encoding_and_json(labels, data):
    space = LabelSpace.of(labels)
    assert LabelSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    drawn = data.draw(st.lists(st.sampled_from(labels), max_size=10))
    decoded = space.decode(space.encode(pd.Series(drawn, dtype=object)))
    assert decoded.tolist() == drawn
    assert space.is_integer == isinstance(labels[0], int)


ON_A_SCALE = LabelSpace((-2, -1, 0, 3, 9))


@pytest.mark.parametrize(
    ("shares", "mode", "median"),
    [
        ([0.4, 0.1, 0.1, 0.2, 0.2], -2, -1),
        ([0.0, 0.0, 0.0, 0.0, 1.0], 9, 9),
        ([0.0, 0.3, 0.0, 0.3, 0.4], 9, 3),
        # Equally good: the lower one.
        ([0.5, 0.0, 0.0, 0.0, 0.5], -2, -2),
        ([0.1, 0.4, 0.0, 0.4, 0.1], -1, -1),
        ([0.2, 0.1, 0.2, 0.25, 0.25], 3, 0),
    ],
)
def test_the_label_that_is_answered(shares, mode, median):
    space = LabelSpace(ON_A_SCALE.names, "ordinal")
    p = np.array([shares])
    assert space.decode(space.decide(p)).tolist() == [mode]
    assert space.decode(space.decide(p, "median")).tolist() == [median]


def test_sums_that_are_half_but_for_rounding_are_half():
    space = LabelSpace(tuple(range(10)), "ordinal")
    p = np.full((1, 10), 0.1)
    for order in (p, p[:, ::-1], p + np.linspace(-1e-17, 1e-17, 10)):
        assert space.decide(order, "median").tolist() == [4]


def test_labels_without_an_order_have_no_median():
    with pytest.raises(ConfigError, match=r"decision median needs labels on a scale .* got a, b"):
        LabelSpace(("a", "b")).decide(np.array([[0.5, 0.5]]), "median")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-50, 50), min_size=3, max_size=8, unique=True),
    st.lists(st.lists(st.integers(0, 9), min_size=8, max_size=8), min_size=1, max_size=5),
)
def test_the_median_has_the_least_expected_distance(names, weights):
    space = LabelSpace(tuple(sorted(names)), "ordinal")
    weights = np.array(weights, float)[:, : len(space)] + 1e-3 * np.arange(1, len(space) + 1)
    p = weights / weights.sum(axis=1, keepdims=True)
    values = np.array(space.names, float)
    expected = p @ np.abs(values[:, None] - values)  # of every answer, shape (rows, labels)
    chosen = space.decide(p, "median")
    best = expected.min(axis=1)
    np.testing.assert_allclose(expected[np.arange(len(p)), chosen], best, atol=1e-6)
    for row, index in enumerate(chosen):  # and no lower one has
        assert (expected[row, :index] > best[row]).all()


SETS = LabelSpace(("c", "c+e", "c+n", "e", "n"))


def test_what_sets_are_made_of():
    assert SETS.parts == ("c", "e", "n")
    assert SETS.members.astype(int).tolist() == [
        [1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 0], [0, 0, 1],
    ]  # fmt: skip
    assert LabelSpace(("+", "a", "a+b")).members.tolist() == [
        [False, False], [True, False], [True, True],
    ]  # fmt: skip


@pytest.mark.parametrize("names", [("a", "b"), ("+", "-"), ("C", "C++"), ("A+", "B"), (1, 2, 3)])
def test_labels_of_which_none_is_a_set(names):
    space = LabelSpace(names)
    assert space.parts == ()
    with pytest.raises(ConfigError, match="marginal needs sets of labels"):
        space.decide(np.full((1, len(names)), 1 / len(names)), "marginal")


def test_the_labels_that_are_more_probable_than_not():
    p = np.array([[0.3, 0.0, 0.25, 0.45, 0.0], [0.0, 0.2, 0.4, 0.3, 0.1]])
    assert SETS.decode(SETS.decide(p)).tolist() == ["e", "c+n"]
    # c: 0.55 and 0.6, n: 0.25 and 0.5, which is no more than half.
    assert SETS.decode(SETS.decide(p, "marginal")).tolist() == ["c", "c"]
    half = np.array([[0.0, 0.5, 0.5], [0.5, 0.5, 0.0]])
    ties = LabelSpace(("a", "a+b", "b"))
    assert ties.decode(ties.decide(half, "marginal")).tolist() == ["b", "a"]


@settings(max_examples=100, deadline=None)
@given(
    st.sets(st.frozensets(st.sampled_from("abcd"), min_size=1), min_size=2, max_size=9),
    st.lists(st.lists(st.integers(0, 9), min_size=9, max_size=9), min_size=1, max_size=5),
)
def test_the_marginal_has_the_least_expected_hamming_loss(sets, weights):
    names = sorted("+".join(sorted(one)) for one in sets)
    assume(any("+" in name for name in names))
    space = LabelSpace(tuple(names))
    weights = np.array(weights, float)[:, : len(space)] + 1e-3 * np.arange(1, len(space) + 1)
    p = weights / weights.sum(axis=1, keepdims=True)
    held = [set(name.split("+")) for name in names]
    wrong = np.array([[len(mine ^ other) for mine in held] for other in held], float)
    expected = p @ wrong
    chosen = expected[np.arange(len(p)), space.decide(p, "marginal")]
    np.testing.assert_allclose(chosen, expected.min(axis=1), atol=1e-6)
