import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.data.tasks.windows import (
    Window,
    context_needed,
    overlap_of,
    split_offsets,
    window_target,
    windows_of,
)


@st.composite
def contexts(draw):
    """Offsets of tokens with gaps between them, and the length of the context."""
    lengths = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=120))
    offsets, end = [], 0
    for gap, length in lengths:
        offsets.append((end + gap, end + gap + length))
        end += gap + length
    return offsets, end + draw(st.integers(0, 3))


@given(contexts(), st.integers(1, 40), st.integers(0, 60))
def test_windows_cover_the_context_exactly(context, size, stride):
    offsets, n_chars = context
    windows = windows_of(offsets, n_chars, size, stride)
    seen = [token for window in windows for token in range(*window.tokens)]
    assert set(seen) == set(range(len(offsets)))
    assert windows[0].chars[0] == 0
    assert windows[-1].chars[1] == n_chars
    in_some = {char for window in windows for char in range(*window.chars)}
    assert all(char in in_some for start, end in offsets for char in range(start, end))


@given(contexts(), st.integers(1, 40), st.integers(0, 60))
def test_neighbours_share_the_overlap_and_advance(context, size, stride):
    offsets, n_chars = context
    windows = windows_of(offsets, n_chars, size, stride)
    for left, right in itertools.pairwise(windows):
        assert left.tokens[1] - left.tokens[0] == size
        assert left.tokens[1] - right.tokens[0] == overlap_of(size, stride)
        assert right.tokens[0] > left.tokens[0]
        assert right.tokens[1] > left.tokens[1]
    assert windows[-1].tokens[1] - windows[-1].tokens[0] <= size


@given(st.integers(1, 10_000), st.integers(0, 10_000))
def test_the_overlap_is_smaller_than_the_window(size, stride):
    assert 0 <= overlap_of(size, stride) < size


@given(st.integers(1, 4096), st.integers(0, 1024))
def test_the_least_context_leaves_room_for_half_a_question(room, stride):
    needed = context_needed(room, stride)
    assert 1 <= needed <= max(1, room // 2)


def test_the_papers_windows():
    """512 tokens, 15 of the question, one end: windows of 496 that share 128."""
    offsets = [(token, token + 1) for token in range(1000)]
    windows = windows_of(offsets, 1000, 496, 128)
    assert [window.tokens for window in windows] == [(0, 496), (368, 864), (736, 1000)]
    # Windows of 192 and more share what was asked for.
    assert overlap_of(192, 128) == 128


def test_an_empty_context_is_one_window():
    assert windows_of([], 0, 10, 3) == [Window((0, 0), (0, 0))]


def test_a_context_that_just_fits_is_one_window():
    assert len(windows_of([(i, i + 1) for i in range(10)], 10, 10, 3)) == 1


CONTEXT = "the cat sat on the mat and the cat ate"


def target(first, last, answers, starts, *, is_only=False, own="cat"):
    return window_target(Window((0, 0), (first, last)), is_only, CONTEXT, own, answers, starts)


def test_an_answer_counts_at_its_own_place():
    """`the cat` stands at 0 and 27: the window of the second is not that of the first."""
    assert target(0, 10, ["cat"], [4]) == "cat"
    assert target(20, 38, ["cat"], [4]) == ""
    assert target(20, 38, ["mat", "cat"], [19, 31]) == "cat"


def test_the_first_answer_that_is_wholly_inside():
    assert target(0, 38, ["mat", "cat"], [19, 4]) == "mat"
    assert target(0, 21, ["mat", "cat"], [19, 4]) == "cat"  # the mat is cut


def test_the_only_window_has_the_examples_own_target():
    assert target(0, 38, ["a feline"], [-1], is_only=True, own="a feline") == "a feline"


def test_an_answer_without_a_place_is_looked_for():
    assert target(0, 20, ["sat on"], [-1]) == "sat on"
    assert target(20, 38, ["sat on"], [-1]) == ""
    assert target(0, 20, ["a"], [-1]) == ""  # a letter of a word is not the word
    assert target(0, 38, ["ate.*"], [-1]) == ""


def test_a_place_goes_before_a_text_that_is_found():
    assert target(0, 38, ["sat", "cat"], [-1, 4]) == "cat"


def test_the_null_answer_stands_nowhere():
    assert target(0, 38, [""], [-1]) == ""
    assert target(0, 38, [], []) == ""


def test_an_answer_at_the_very_end_may_have_one_letter_more():
    """People end an answer with a full stop that the context does not have."""
    assert target(20, 38, ["ate."], [35]) == "ate."


def test_tokens_before_the_context():
    offsets = [(0, 3), (3, 8), (8, 12), (12, 15)]
    assert split_offsets(offsets, 9) == (2, [(0, 3), (3, 6)])
    assert split_offsets(offsets, 15) == (4, [])
    assert split_offsets([], 0) == (0, [])


@pytest.mark.parametrize("stride", [0, 128])
def test_narrow_windows_still_advance(stride):
    """The released code loops for ever where the window is no wider than the overlap."""
    offsets = [(token, token + 1) for token in range(500)]
    assert len(windows_of(offsets, 500, 100, stride)) <= 500 // 33 + 1
