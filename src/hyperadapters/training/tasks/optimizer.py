"""The optimiser of a mixture of tasks."""

from collections.abc import Collection

import torch
from torch import nn

from hyperadapters.training.optimizer import named_trainable


def build_optimizer(
    model: nn.Module,
    rates: tuple[float, float],
    weight_decay: float,
    new_modules: Collection[str] = (),
) -> torch.optim.AdamW:
    """AdamW over everything that is trained; matrices decay, biases and norms do not.

    Args:
        model: The model.
        rates: Learning rate of what is adapted, and of what is new in the backbone.
        weight_decay: Decoupled weight decay.
        new_modules: Names of the modules that are new.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in named_trainable(model):
        is_new = any(f".{module}." in f".{name}" for module in new_modules)
        groups.setdefault((is_new, parameter.ndim >= 2), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": members, "lr": rates[is_new], "weight_decay": weight_decay * decays}
            for (is_new, decays), members in groups.items()
        ],
        # One pass over the memory instead of one for each of its operations.
        fused=True,
    )
