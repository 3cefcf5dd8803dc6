"""A batch in parts: every row once, never more padding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.data.tasks.parts import OVERHEAD, parts_of_like_length


def padded(lengths):
    return len(lengths) * max(lengths)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=64), st.integers(0, 10))
def test_every_row_once_and_never_dearer(lengths, seed):
    lengths = np.array(lengths)
    rows = np.random.default_rng(seed).permutation(1000)[: len(lengths)]
    parts = parts_of_like_length(rows, lengths)
    assert sorted(np.concatenate(parts)) == sorted(rows)
    assert all(len(part) for part in parts)
    of_row = dict(zip(rows.tolist(), lengths.tolist(), strict=True))
    cost = sum(padded([of_row[row] for row in part.tolist()]) for part in parts)
    assert cost + OVERHEAD * (len(parts) - 1) <= padded(lengths.tolist())


def test_short_and_long_rows_part():
    rows = np.arange(20)
    lengths = np.array([10] * 15 + [120] * 5)
    short, long = parts_of_like_length(rows, lengths)
    assert short.tolist() == rows[:15].tolist() and long.tolist() == rows[15:].tolist()
    assert [part.tolist() for part in parts_of_like_length(rows, lengths * 0 + 30)] == [
        rows.tolist()
    ]
