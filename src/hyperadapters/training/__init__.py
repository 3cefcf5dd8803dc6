"""Fitting a classifier: stages, optimisers, early stopping, checkpoints."""

from hyperadapters.training.checkpoint import Checkpoint
from hyperadapters.training.loop import Trainer
from hyperadapters.training.progress import Progress

__all__ = ["Checkpoint", "Progress", "Trainer"]
