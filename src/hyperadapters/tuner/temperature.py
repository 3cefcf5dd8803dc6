"""Dividing the logits of a classifier by a number, in the weights that make them."""

import math
from typing import Any

import torch
from torch import nn

from hyperadapters.backbones.cumulative import CumulativeHead
from hyperadapters.errors import ConfigError
from hyperadapters.tuner.conditioning import conditioning_of
from hyperadapters.tuner.head import copy_of, find_head, head_layers


def has_logits(model: nn.Module) -> bool:
    """Whether `divide_logits` can be done: the model has a classification head of a known name.

    Raises:
        ConditionError: The model has no hyperadapter.
    """
    tuner: Any = conditioning_of(model).tuner
    tasks = [tuner.peft_config[adapter].task_type for adapter in tuner.active_adapters]
    return all(find_head(tuner.model, task) is not None for task in tasks)


@torch.no_grad()
def divide_logits(model: nn.Module, divisor: float) -> None:
    """Divide the logits of a classifier for every condition, and for none.

    All that the logits are summed of is linear in the head's last layer, in stored outputs and
    biases, or in what writes bias and taste: these are divided. Of a cumulative head it is score
    and thresholds that are divided, by its gain.

    Args:
        model: A `PeftModel` with a hyperadapter, whose active adapters are changed.
        divisor: The number.

    Raises:
        ConfigError: The number is not above zero, or the model has no head of a known name.
        ConditionError: The model has no hyperadapter.
    """
    if not 0 < divisor < math.inf:
        raise ConfigError(f"logits can be divided by a number above 0, got {divisor}")
    tuner: Any = conditioning_of(model).tuner
    for adapter in tuner.active_adapters:
        name = find_head(tuner.model, tuner.peft_config[adapter].task_type)
        if name is None:
            raise ConfigError("the model has no classification head whose logits could be divided")
        head = copy_of(tuner.model.get_submodule(name), adapter)
        if isinstance(head, CumulativeHead):
            head.links.log_gain.sub_(math.log(divisor))
            continue
        last = head_layers(head)[-1]
        for parameter in (last.weight, last.bias):
            if parameter is not None:
                parameter.div_(divisor)
        tuner.network(adapter).divide_logits(divisor)
