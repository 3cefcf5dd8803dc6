"""Run folders: fit a method, load it again, predict with it; compare methods."""

from hyperadapters.experiments.compare import MethodComparison, compare
from hyperadapters.experiments.fit import fit
from hyperadapters.experiments.run import Run, load
from hyperadapters.experiments.unseen import UnseenComparison, compare_unseen

__all__ = [
    "MethodComparison",
    "Run",
    "UnseenComparison",
    "compare",
    "compare_unseen",
    "fit",
    "load",
]
