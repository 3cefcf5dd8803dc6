"""The optimiser of a mixture of tasks."""

from collections.abc import Collection, Mapping

import torch
from peft import PeftModel
from torch import nn

from hyperadapters.training.optimizer import named_trainable
from hyperadapters.tuner import adapter_network

Role = str
ADAPTER: Role = "adapter"
GENERATOR: Role = "generator"
NEW: Role = "new"


def build_optimizer(
    model: nn.Module,
    rates: Mapping[Role, float],
    weight_decay: float,
    new_modules: Collection[str] = (),
) -> torch.optim.AdamW:
    """AdamW over everything that is trained; matrices decay, biases and norms do not.

    Args:
        model: The model.
        rates: Learning rate of ``new`` (what is new in the backbone), ``generator`` (what writes
            adapters) and ``adapter`` (everything else).
        weight_decay: Decoupled weight decay.
        new_modules: Names of the modules that are new.
    """
    writes = _generator(model)
    groups: dict[tuple[Role, bool], list[nn.Parameter]] = {}
    for name, parameter in named_trainable(model):
        role = GENERATOR if id(parameter) in writes else ADAPTER
        if any(f".{module}." in f".{name}" for module in new_modules):
            role = NEW
        groups.setdefault((role, parameter.ndim >= 2), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": members, "lr": rates[role], "weight_decay": weight_decay * decays}
            for (role, decays), members in groups.items()
        ],
        # One pass over the memory instead of one for each of its operations.
        fused=True,
    )


def _generator(model: nn.Module) -> set[int]:
    """Identities of the parameters that write adapters, if the model has any."""
    if not isinstance(model, PeftModel):
        return set()
    return {id(parameter) for parameter in adapter_network(model).generator_parameters()}
