"""What training tells whoever is watching."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One optimiser step.

    Attributes:
        epoch: The epoch, from 1.
        step: The step, from 1.
        n_steps: Steps of the whole training, at most.
        loss: Training loss of the step, without penalties.
    """

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

    def part(self, name: str, done: int, total: int) -> None:
        """Of a long piece of work other than training, `done` of `total` rows are done."""
