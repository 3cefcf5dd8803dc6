"""Fitting one model to a mixture of tasks."""

from hyperadapters.training.tasks.loss import smoothed_loss
from hyperadapters.training.tasks.trainer import DevScores, TaskPosition, TaskTrainer

__all__ = ["DevScores", "TaskPosition", "TaskTrainer", "smoothed_loss"]
