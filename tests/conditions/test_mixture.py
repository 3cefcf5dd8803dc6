import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.conditions import mixture
from hyperadapters.errors import ConditionError

WEIGHTS = st.dictionaries(
    st.integers(0, 6), st.floats(-9, 9, width=32, allow_subnormal=False), min_size=1
)


@settings(max_examples=50, deadline=None)
@given(WEIGHTS)
def test_the_weights_stand_at_their_indices(weights):
    row = mixture(weights, 7)
    assert row.dtype == np.float32 and row.shape == (7,)
    assert [float(row[i]) for i in range(7)] == [weights.get(i, 0.0) for i in range(7)]


def test_numbers_of_any_kind():
    np.testing.assert_array_equal(mixture({np.int64(1): np.float64(0.5), 0: 1}, 3), [1, 0.5, 0])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "needs at least one weight"),
        ({3: 1.0}, "got index 3; wanted 0 to 2$"),
        ({-1: 1.0}, "got index -1; wanted 0 to 2$"),
        ({"w1": 1.0}, "got index 'w1', wanted an integer"),
        ({1.0: 1.0}, "got index 1.0, wanted an integer"),
        ({0: float("nan")}, "got weight nan for index 0"),
        ({0: float("-inf")}, "got weight -inf for index 0"),
        ({0: 1e39}, r"got weight 1e\+39 for index 0"),
        ({0: "much"}, "got weight 'much' for index 0"),
        ({0: None}, "got weight None for index 0"),
    ],
)
def test_mixtures_that_make_no_sense(weights, message):
    with pytest.raises(ConditionError, match=message):
        mixture(weights, 3)
