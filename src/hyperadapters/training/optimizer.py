"""Parameter groups, and the learning rate over time."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from hyperadapters.encoders import LookupEncoder
from hyperadapters.methods import Settings
from hyperadapters.tuner import adapter_network

Role = str
CONDITION: Role = "condition"
ADAPTER: Role = "adapter"
HEAD: Role = "head"


def parameters_by_role(model: nn.Module) -> dict[Role, dict[str, nn.Parameter]]:
    """Trainable parameters by what they are.

    ``condition``: vectors and stored biases, which move only when their annotator is in the batch
    and so need a much higher rate. ``adapter``: LoRA and hypernetwork. ``head``: everything else
    that is trained, i.e. `modules_to_save`.
    """
    network = adapter_network(model)
    lookups = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, LookupEncoder)
        for parameter in module.parameters()
    }
    inside = {id(parameter) for parameter in network.parameters()}
    roles: dict[Role, dict[str, nn.Parameter]] = {CONDITION: {}, ADAPTER: {}, HEAD: {}}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            role = CONDITION if id(parameter) in lookups else ADAPTER
            roles[role if id(parameter) in inside else HEAD][name] = parameter
    return roles


def build_optimizer(
    model: nn.Module, rates: Mapping[Role, float], weight_decay: float
) -> torch.optim.AdamW:
    """AdamW with one learning rate per role; matrices of adapter and head decay.

    Vectors do not decay here: their shrinkage depends on the number of ratings, see
    `hyperadapters.training.shrinkage`.
    """
    groups: list[dict[str, Any]] = []
    for role, parameters in parameters_by_role(model).items():
        for decays in (True, False):
            members = [
                p for p in parameters.values() if (role != CONDITION and p.ndim >= 2) == decays
            ]
            if members:
                decay = weight_decay if decays else 0.0
                groups.append({"params": members, "lr": rates[role], "weight_decay": decay})
    return torch.optim.AdamW(groups)


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


def stage_rates(settings: Settings, *, deviates: bool) -> dict[Role, float]:
    """Learning rates of a stage."""
    rate = settings.deviation_learning_rate if deviates else settings.learning_rate
    return {
        CONDITION: settings.condition_learning_rate,
        ADAPTER: rate,
        HEAD: rate,
    }


def named_trainable(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Name and parameter of everything that is trained."""
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)
