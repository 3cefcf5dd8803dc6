"""Everything that a stopped training needs to go on exactly where it was, in one file.

Tensors and a JSON header in safetensors (nothing is pickled), replaced as a whole, so that a crash
while writing leaves the previous state.
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hyperadapters.errors import RunError
from hyperadapters.training.optimizer import named_trainable

NAME = "checkpoint.safetensors"
PARTS = ("current", "best", "optimizer", "extra")


@dataclass
class Standing:
    """Where a training stands, whatever is trained.

    Attributes:
        epoch: Number of the epoch, from 0.
        batch: Batches of that epoch that are done.
        step: Optimiser steps that are done.
        evaluations: Evaluations that are done.
        loss_sum: Sum of training losses since the last evaluation.
        loss_steps: Steps since the last evaluation.
        best: The best evaluation so far, as a line of the log.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    evaluations: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    best: dict[str, Any] = field(default_factory=dict)


@dataclass
class Position(Standing):
    """Where the training of a classifier stands.

    Attributes:
        best_nll: Lowest dev nll so far.
        waited: Evaluations since then.
    """

    best_nll: float = float("inf")
    waited: int = 0


P = TypeVar("P", bound=Standing)


@dataclass
class Checkpoint(Generic[P]):
    """State of a training.

    Attributes:
        position: Where it stands.
        current: Trainable parameters now.
        best: Trainable parameters at the best evaluation; empty before the first.
        optimizer: State tensors of the optimiser, keyed ``<parameter number>.<name>``.
        random: State of torch's global generator (dropout, noise).
        extra: Whatever else a training depends on.
    """

    position: P
    current: dict[str, Tensor]
    best: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    random: Tensor
    extra: dict[str, Tensor] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write into the folder, replacing what was there in one step."""
        tensors = {"random": self.random}
        for prefix in PARTS:
            tensors.update({f"{prefix}/{k}": v for k, v in getattr(self, prefix).items()})
        header = {"position": json.dumps(asdict(self.position))}
        part = folder / (NAME + ".tmp")
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, part, header)
        part.replace(folder / NAME)

    @overload
    @classmethod
    def read(cls, folder: Path) -> "Checkpoint[Position] | None": ...

    @overload
    @classmethod
    def read(cls, folder: Path, kind: type[P]) -> "Checkpoint[P] | None": ...

    @classmethod
    def read(cls, folder: Path, kind: Any = Position) -> "Checkpoint[Any] | None":
        """The checkpoint of a folder; `None` when training never came as far as one.

        Args:
            folder: The run folder.
            kind: The class of its position.

        Raises:
            RunError: There is one, but it cannot be read.
        """
        path = folder / NAME
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata()
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            position = kind(**json.loads(header["position"]))
            random = tensors.pop("random")
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path} cannot be read ({error}); train anew") from error
        parts: dict[str, dict[str, Tensor]] = {prefix: {} for prefix in PARTS}
        for key, tensor in tensors.items():
            prefix, _, name = key.partition("/")
            parts[prefix][name] = tensor
        return Checkpoint(position, random=random, **parts)


def trainable_state(model: nn.Module, without: Collection[str] = ()) -> dict[str, Tensor]:
    """A copy of everything that is trained, but for some parameters that are kept elsewhere."""
    return {n: p.detach().clone() for n, p in named_trainable(model) if n not in without}


@torch.no_grad()
def load_trainable(
    model: nn.Module, state: dict[str, Tensor], without: Collection[str] = ()
) -> None:
    """Put a copy back.

    Raises:
        RunError: The copy is of another model.
    """
    parameters = {n: p for n, p in named_trainable(model) if n not in without}
    if parameters.keys() != state.keys():
        raise RunError("the checkpoint belongs to a model of another shape; train anew")
    for name, parameter in parameters.items():
        parameter.copy_(state[name])


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state tensors of an optimiser, by number of the parameter and name."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value).clone()
        for number, values in state.items()
        for name, value in values.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Inverse of `optimizer_state`."""
    whole = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    whole["state"] = state
    optimizer.load_state_dict(whole)
