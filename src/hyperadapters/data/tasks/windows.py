"""A long context read in windows, and what should be answered in each.

Every window begins with the question and shows a part of the context; neighbours share some tokens,
so that an answer that is cut by the edge of one stands whole in the next. After Ivison & Peters
(2022), where a long question could make a window so narrow that the next one never advanced.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Window:
    """A part of a context.

    Attributes:
        tokens: First token of the context in it, and the one after the last.
        chars: First character of the context in it, and the one after the last. The windows of a
            context begin at its first character and end behind its last.
    """

    tokens: tuple[int, int]
    chars: tuple[int, int]


def context_needed(room: int, stride: int) -> int:
    """How many tokens of context a window should have at least, before its question is cut.

    One and a half times the overlap, so that every window brings something new; half of the room
    where that is less.
    """
    return max(1, min(stride + stride // 2, room // 2))


def overlap_of(size: int, stride: int) -> int:
    """How many tokens two neighbours share: `stride`, but never more than two thirds of a window.

    Less than `size` in every case, so that windows always advance.
    """
    return min(stride, 2 * size // 3)


def windows_of(offsets: Spans, n_chars: int, size: int, stride: int) -> list[Window]:
    """The windows of a context.

    Args:
        offsets: First character of every token and the one after its last, in order.
        n_chars: Length of the context.
        size: Tokens of context a window; at least 1.
        stride: Tokens that two neighbours should share; see `overlap_of`.

    Returns:
        At least one window; the last may be shorter than `size`.
    """
    step = size - overlap_of(size, stride)
    n_tokens = len(offsets)
    windows: list[Window] = []
    for start in range(0, max(n_tokens, 1), step):
        stop = min(start + size, n_tokens)
        first = offsets[start][0] if start else 0
        last = offsets[stop - 1][1] if stop < n_tokens else n_chars
        windows.append(Window((start, stop), (first, last)))
        if stop == n_tokens:
            break
    return windows


def window_target(
    window: Window,
    is_only: bool,
    context: str,
    target: str,
    answers: Sequence[str],
    starts: Sequence[int],
) -> str:
    """What should be answered in a window; ``""`` where the answer is not in it.

    Args:
        window: The window.
        is_only: Whether the whole context is in it: then the example's target is its target.
        context: The whole context.
        target: The example's target.
        answers: Accepted answers.
        starts: Where each stands in the context, -1 where that is not known.

    Returns:
        The first answer that stands wholly in the window at its own place; else the first without
        a place whose text is found there as whole words; else ``""``.
    """
    if is_only:
        return target
    first, last = window.chars
    placed = list(zip(answers, starts, strict=True))
    for answer, start in placed:
        end = min(start + len(answer), len(context))
        if answer and first <= start and end <= last:
            return answer
    shown = context[first:last]
    for answer, start in placed:
        if answer.strip() and start < 0 and _stands_in(answer.strip(), shown):
            return answer
    return ""


def _stands_in(answer: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text) is not None


def split_offsets(offsets: Spans, n_before: int) -> tuple[int, Spans]:
    """Tokens of a text that begins with something else: how many are of that, and the others.

    Args:
        offsets: Characters of every token in the whole text.
        n_before: Characters before the context.

    Returns:
        How many tokens end before the context; the characters of the others, counted in the
        context (a token that begins before it counts as the context's).
    """
    ends = np.array([end for _, end in offsets], np.int64)
    n_tokens = int(np.argmax(ends > n_before)) if (ends > n_before).any() else len(offsets)
    rest = [(max(start - n_before, 0), end - n_before) for start, end in offsets[n_tokens:]]
    return n_tokens, rest
