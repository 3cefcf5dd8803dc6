"""Reading a sample of inputs before training: what the generator reads is brought to one scale."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hyperadapters.encoders import StandardisedEncoder
from hyperadapters.errors import ConfigError
from hyperadapters.tuner.conditioning import conditioning_of


@torch.no_grad()
def read_inputs(model: nn.Module, batches: Iterable[Mapping[str, Any]]) -> dict[str, Tensor]:
    """The pooled states that a model's `Instance` conditions are, for every row of some batches.

    Args:
        model: A `PeftModel` with a hyperadapter; it is run without dropout.
        batches: Arguments of its `forward`.

    Returns:
        Name of the condition → pooled states, shape ``(rows, width)``; nothing for a model
        without such a condition, which is not run.

    Raises:
        ConditionError: The model has no hyperadapter, or conditions are missing.
    """
    conditioning = conditioning_of(model)
    if not conditioning.instances({}):
        return {}
    read: dict[str, list[Tensor]] = {}

    def keep(name: str, pooled: Tensor) -> Tensor:
        read.setdefault(name, []).append(pooled.detach())
        return pooled

    before, was_training = conditioning.control, model.training
    conditioning.control = keep
    model.eval()
    try:
        for batch in batches:
            model(**batch)
    finally:
        conditioning.control = before
        model.train(was_training)
    return {name: torch.cat(vectors) for name, vectors in read.items()}


def calibrate(model: nn.Module, batches: Iterable[Mapping[str, Any]]) -> None:
    """Fit the statistics of all conditions declared ``Instance(standardised=True)``.

    To be called once before training, with some hundred inputs of the kind that will come; the
    statistics are saved with the adapter.

    Args:
        model: A `PeftModel` with a hyperadapter.
        batches: Arguments of its `forward`.

    Raises:
        ConfigError: There are no batches, or no condition that is the input.
        ConditionError: The model has no hyperadapter, or conditions are missing.

    Example:
        >>> calibrate(model, [tokenizer(texts, padding=True, return_tensors="pt")])
    """
    read = read_inputs(model, batches)
    if not any(len(vectors) for vectors in read.values()):
        raise ConfigError("calibrate needs inputs of a model with an Instance condition, got none")
    standardise(model, read)


def standardise(model: nn.Module, read: Mapping[str, Tensor]) -> None:
    """Fit the statistics of conditions declared ``Instance(standardised=True)``.

    Args:
        model: A `PeftModel` with a hyperadapter.
        read: Name of the condition → what `read_inputs` found.

    Raises:
        ConditionError: The model has no hyperadapter.
    """
    tuner = conditioning_of(model).tuner
    networks = [tuner.network(adapter) for adapter in tuner.active_adapters]
    for name, vectors in read.items():
        for encoder in (e for network in networks for e in network.encoders_of(name)):
            if isinstance(encoder, StandardisedEncoder):
                encoder.fit(vectors)
