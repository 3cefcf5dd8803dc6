"""Fitting a classifier: stages, optimisers, early stopping, checkpoints."""

from hyperadapters.training.checkpoint import Checkpoint
from hyperadapters.training.loop import Trainer
from hyperadapters.training.progress import Progress
from hyperadapters.training.temperature import set_temperature

__all__ = ["Checkpoint", "Progress", "Trainer", "set_temperature"]
