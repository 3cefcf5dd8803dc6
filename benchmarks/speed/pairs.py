"""Two pieces of work, measured side by side."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Pairs:
    """What two sides took, pair by pair.

    Attributes:
        first: Seconds (or MiB) of the side above the line.
        second: Those of the side below it.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]]) -> "Pairs":
        """From a list of pairs."""
        first, second = zip(*pairs, strict=True)
        return cls(first, second)

    @property
    def ratios(self) -> list[float]:
        """First / second of every pair."""
        return [a / b for a, b in zip(self.first, self.second, strict=True)]

    @property
    def median(self) -> float:
        """The middle ratio."""
        return statistics.median(self.ratios)

    @property
    def minimum(self) -> float:
        """The smallest ratio."""
        return min(self.ratios)

    @property
    def maximum(self) -> float:
        """The largest ratio."""
        return max(self.ratios)


def seconds(work: Callable[[], object], device: str) -> float:
    """Seconds that a piece of work takes on a device, until all of it is done there."""
    if device != "cuda":
        started = time.perf_counter()
        work()
        return time.perf_counter() - started
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    begin.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1000


def in_pairs(
    first: Callable[[], object],
    second: Callable[[], object],
    device: str,
    n_pairs: int,
    n_warm: int = 2,
) -> Pairs:
    """Seconds of both, one after the other, `n_pairs` times.

    Args:
        first: The side above the line.
        second: The side below it.
        device: ``"cpu"`` or ``"cuda"``.
        n_pairs: Number of pairs.
        n_warm: How often each is run before, unmeasured.
    """
    for _ in range(n_warm):
        first()
        second()
    return Pairs.of((seconds(first, device), seconds(second, device)) for _ in range(n_pairs))
