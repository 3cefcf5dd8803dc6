from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.adapters import Directions


def shares(size: int, gains: bool) -> list[list[int]]:
    directions = Directions.of(size, gains=gains)
    parts = directions.silent_out, directions.silent_in, directions.silent_gain
    return [list(range(size))[part] for part in parts]


@given(size=st.integers(1, 300), gains=st.booleans())
def test_every_direction_is_silenced_by_exactly_one_factor(size, gains):
    out, incoming, gain = shares(size, gains)
    assert [*out, *incoming, *gain] == list(range(size))
    assert out  # where there are too few directions, B comes first
    factors = 3 if gains else 2
    if size >= factors:
        assert all((out, incoming, gain)[:factors])
    if not gains:
        assert gain == []


@given(size=st.integers(1, 300), gains=st.booleans())
def test_the_shares_are_about_equal(size, gains):
    counts = [len(share) for share in shares(size, gains)][: min(size, 3 if gains else 2)]
    assert max(counts) - min(counts) <= 2


def test_by_hand():
    assert shares(1, False) == [[0], [], []]
    assert shares(1, True) == [[0], [], []]
    assert shares(2, True) == [[0], [1], []]
    assert shares(3, True) == [[0], [1], [2]]
    assert shares(4, False) == [[0, 1], [2, 3], []]
    assert shares(8, True) == [[0, 1, 2], [3, 4], [5, 6, 7]]
