"""How an adapter can change nothing at its start while all of its tensors get a gradient.

An adapter is a sum over directions: Σ_k u_k g_k d_k(x). A direction contributes nothing as soon as
one of its factors is zero, and that factor gets a gradient if the others are not. So the directions
are shared out: in some the outgoing factor is zero, in some the incoming one, and where directions
have gains, in some the gain. (With the usual start, B = 0 in all of them, A has no gradient at the
first step, and neither has anything that writes A.)
"""

import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Directions:
    """Which factor is zero at the start, by direction.

    Attributes:
        silent_out: Directions whose outgoing factor (B, U) is zero.
        silent_in: Directions whose incoming factor (A, D) is zero.
        silent_gain: Directions whose gain is zero.
    """

    silent_out: slice
    silent_in: slice
    silent_gain: slice

    @classmethod
    def of(cls, size: int, *, gains: bool = False) -> "Directions":
        """Share out `size` directions; with fewer than there are factors, B (U) comes first."""
        parts = min(size, 3 if gains else 2)
        bounds = [round(size * part / parts) for part in range(parts + 1)]
        shares = [slice(start, end) for start, end in itertools.pairwise(bounds)]
        nothing = slice(size, size)
        return cls(*shares, *[nothing] * (3 - parts))
