import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
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
