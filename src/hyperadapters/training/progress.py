"""What training tells whoever is watching."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One optimiser step.

    Attributes:
        stage: Name of the stage.
        epoch: Epoch within the stage, from 1.
        step: Step within the stage, from 1.
        n_steps: Steps of the stage, at most.
        loss: Training loss of the step, without penalties.
    """

    stage: str
    epoch: int
    step: int
    n_steps: int
    loss: float


class Progress:
    """Listens to training; this one ignores everything."""

    def message(self, text: str) -> None:
        """Something worth a line."""

    def step(self, step: Step) -> None:
        """An optimiser step was made."""

    def evaluation(self, record: dict[str, Any]) -> None:
        """The dev split was scored; `record` is a line of ``log.jsonl``."""

    def stage_end(self, stage: str) -> None:
        """A stage is over."""
