"""Run folders: fit a method, load it again, predict with it; compare methods."""

from hyperadapters.experiments.compare import MethodComparison, compare
from hyperadapters.experiments.fit import fit
from hyperadapters.experiments.run import Run, load

__all__ = ["MethodComparison", "Run", "compare", "fit", "load"]
