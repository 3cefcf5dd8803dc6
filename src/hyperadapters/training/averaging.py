"""Averages of the parameters along the way, which are evaluated and kept in their place.

Polyak & Juditsky 1992: the mean of the iterates of a noisy descent lies nearer to where it is going
than the last of them. The mean is exponential; at the beginning it forgets faster, so that the
start weighs little:

    θ̄ ← d θ̄ + (1 - d) θ,   d = min(1 - 1 / horizon, (1 + t) / (10 + t)) at step t
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hyperadapters.training.checkpoint import load_trainable, trainable_state


class Averages:
    """The running means of what is trained.

    Args:
        model: The model.
        horizon: Over how many of the last steps, about; up to 1: there are no means, the model is
            evaluated as it is.
        without: Names of parameters that are left as they are.
    """

    def __init__(self, model: nn.Module, horizon: float, without: Sequence[str] = ()) -> None:
        self._model = model
        self._decay = 1 - 1 / max(1.0, horizon)
        self._without = without
        self._means: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the parameters after a step, which are counted from 1."""
        if not self._decay:
            return
        now = trainable_state(self._model, self._without)
        if not self._means:
            self._means = now
            return
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, mean in self._means.items():
            mean.lerp_(now[name], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """In this block the model has the means."""
        if not self._means:
            yield
            return
        now = trainable_state(self._model, self._without)
        load_trainable(self._model, self._means, self._without)
        try:
            yield
        finally:
            load_trainable(self._model, now, self._without)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint has to hold."""
        return {f"averages/{name}": mean for name, mean in self._means.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of `state`; whatever else is in the mapping is left alone."""
        prefix = "averages/"
        found = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        self._means = {name: mean.clone() for name, mean in found.items()}
