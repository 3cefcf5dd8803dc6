"""Copies of a classifier that share its parameters, so that batches run at the same time.

A model is asked by one thread alone, and threads within a product wait for each other at its end:
where a core is shared with somebody else, all wait for that one. Where the model has one thread and
a core is left, a second copy takes the second batch instead, and neither waits for the other.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

from hyperadapters.experiments import load
from hyperadapters.methods import AnnotatorClassifier

Part = TypeVar("Part")

MOST_PARAMETERS = 200_000_000
"""A larger model is not loaded a second time; its products keep several cores busy."""


class Lanes:
    """Some copies of a classifier, each of which is used by one thread at a time.

    Args:
        classifiers: The copies; the first is used by the thread that asks.
    """

    def __init__(self, classifiers: Sequence[AnnotatorClassifier]) -> None:
        self._classifiers = list(classifiers)
        self._pool: ThreadPoolExecutor | None = None
        if len(self._classifiers) > 1:
            self._pool = ThreadPoolExecutor(
                len(self._classifiers) - 1,
                "lane",
                initializer=torch.set_num_threads,
                initargs=(torch.get_num_threads(),),
            )

    @classmethod
    def of(cls, classifier: AnnotatorClassifier, folder: Path, n: int) -> "Lanes":
        """A classifier and copies of it.

        Args:
            classifier: The classifier.
            folder: The run folder that it was read from.
            n: How many there are to be; where it is on an accelerator or large, one is enough.
        """
        parameters = list(classifier.model.parameters())
        small = sum(p.numel() for p in parameters) <= MOST_PARAMETERS
        if n < 2 or not small or any(p.device.type != "cpu" for p in parameters):
            return cls([classifier])
        return cls([classifier, *(_twin(classifier, folder) for _ in range(n - 1))])

    def __len__(self) -> int:
        return len(self._classifiers)

    def each(
        self, work: Callable[[AnnotatorClassifier, Part], None], parts: Sequence[Part]
    ) -> None:
        """Do something with every part, several at a time where there are several copies.

        Args:
            work: Is given a copy that nobody else uses meanwhile, and a part.
            parts: The parts.
        """
        left = deque(parts)

        @torch.no_grad()  # which every thread decides for itself
        def go_on(classifier: AnnotatorClassifier) -> None:
            while left:
                try:
                    part = left.popleft()
                except IndexError:
                    return
                work(classifier, part)

        others = self._classifiers[1 : len(parts)]
        started = [self._pool.submit(go_on, one) for one in others] if self._pool else []
        try:
            go_on(self._classifiers[0])
        finally:
            for other in started:
                other.exception()  # nobody works on when this is over
        for other in started:
            other.result()


def _twin(classifier: AnnotatorClassifier, folder: Path) -> AnnotatorClassifier:
    """The same classifier once more, with the same tensors."""
    twin = load(folder).fitted
    assert isinstance(twin, AnnotatorClassifier)  # noqa: S101 - the same folder
    for mine, theirs in (
        (classifier.model.named_parameters(), twin.model.named_parameters()),
        (classifier.model.named_buffers(), twin.model.named_buffers()),
    ):
        for (name, one), (other_name, other) in zip(mine, theirs, strict=True):
            assert name == other_name and one.shape == other.shape  # noqa: S101
            other.data = one.data
    return twin
