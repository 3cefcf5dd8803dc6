"""Run folders: fit a method, load it again, predict with it."""

from hyperadapters.experiments.fit import fit
from hyperadapters.experiments.run import Run, load

__all__ = ["Run", "fit", "load"]
