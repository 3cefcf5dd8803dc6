"""Parameter groups, and the learning rate over time."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from hyperadapters.encoders import AttributesEncoder, LookupEncoder
from hyperadapters.hypernetworks import CentredHypernetwork
from hyperadapters.methods import Settings
from hyperadapters.methods.full import backbone_parameters
from hyperadapters.training.large_tables import LargeTables
from hyperadapters.tuner import adapter_network
from hyperadapters.tuner.conditioning import conditioning_of

Role = str
CONDITION: Role = "condition"
DEVIATION: Role = "deviation"
SHARED: Role = "shared"
BACKBONE: Role = "backbone"


def parameters_by_role(model: nn.Module) -> dict[Role, list[nn.Parameter]]:
    """Trainable parameters by what they are, in the order of the model.

    ``condition``: vectors and stored biases, which move only when their annotator is in the batch
    and so need a much higher rate. ``deviation``: what a centred hypernetwork adds to the shared
    adapter. ``backbone``: the backbone, where it is trained. ``shared``: everything else (shared
    LoRA, head, maps of shift and bias).
    """
    inner = conditioning_of(model).tuner.model
    role_of: dict[int, Role] = {id(p): BACKBONE for _, p in backbone_parameters(inner)}
    for module in adapter_network(model).modules():
        if isinstance(module, CentredHypernetwork):
            role_of |= {id(p): DEVIATION for p in module.parameters()}
            role_of |= {id(p): SHARED for p in module.shared.parameters()}
        elif isinstance(module, LookupEncoder | AttributesEncoder):
            role_of |= {id(p): CONDITION for p in module.parameters()}
    roles: dict[Role, list[nn.Parameter]] = {
        role: [] for role in (CONDITION, DEVIATION, SHARED, BACKBONE)
    }
    for _, parameter in named_trainable(model):
        roles[role_of.get(id(parameter), SHARED)].append(parameter)
    return roles


class RowAdamW(torch.optim.AdamW):
    """AdamW that moves, in large tables, only the rows that have a gradient.

    Args:
        groups: Groups of parameters, as of any optimiser; the large tables stand in them too.
        tables: The large tables among them, which keep what is to be kept of them themselves.
    """

    def __init__(self, groups: list[dict[str, Any]], tables: LargeTables | None = None) -> None:
        super().__init__(groups)
        self._tables = {id(table.parameter): table for table in tables or ()}

    def step(self, closure: None = None) -> None:  # pyright: ignore
        """One step; the gradients of large tables are gone afterwards."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if id(parameter) in self._tables:
                    self._tables[id(parameter)].step(group)
        super().step(closure)


def clippable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """What `clip_grad_norm_` can be given in the place of parameters with sparse gradients.

    A table is replaced by the rows that have a gradient, which share it in memory.
    """
    found = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            values = parameter.grad._values()
            parameter = nn.Parameter(values)
            parameter.grad = values
        found.append(parameter)
    return found


def build_optimizer(
    model: nn.Module,
    rates: Mapping[Role, float],
    weight_decay: float,
    tables: LargeTables | None = None,
) -> RowAdamW:
    """AdamW with one learning rate per role; matrices decay.

    Vectors do not decay here: their shrinkage depends on the number of ratings, see
    `hyperadapters.training.shrinkage`.

    Args:
        model: The model.
        rates: Learning rate of each role.
        weight_decay: Decoupled weight decay.
        tables: Tables of the model that are updated row by row; their gradients may be sparse.
    """
    groups: list[dict[str, Any]] = []
    for role, parameters in parameters_by_role(model).items():
        for decays in (True, False):
            members = [p for p in parameters if (role != CONDITION and p.ndim >= 2) == decays]
            if members:
                decay = weight_decay if decays else 0.0
                groups.append({"params": members, "lr": rates[role], "weight_decay": decay})
    return RowAdamW(groups, tables)


def rate_factor(step: int, n_steps: int, warmup: int, schedule: str) -> float:
    """Factor on every learning rate at a step counted from 0.

    Args:
        step: The step about to be made.
        n_steps: Number of steps in all.
        warmup: Steps of linear warm-up.
        schedule: ``"cosine"`` or ``"linear"`` to zero, or ``"constant"``.
    """
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, n_steps - warmup)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return max(0.0, 1.0 - progress) if schedule == "linear" else 1.0


def learning_rates(settings: Settings) -> dict[Role, float]:
    """Peak learning rate of every role."""
    return {
        CONDITION: settings.condition_learning_rate,
        DEVIATION: settings.deviation_learning_rate,
        SHARED: settings.learning_rate,
        BACKBONE: settings.backbone_learning_rate,
    }


def named_trainable(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Name and parameter of everything that is trained."""
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)
