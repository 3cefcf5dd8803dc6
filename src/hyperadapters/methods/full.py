"""The backbone itself is trained, in the place of a LoRA beside its layers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from hyperadapters.errors import ConfigError, RunError
from hyperadapters.methods.settings import Settings
from hyperadapters.methods.table import METHODS, Method

FILE = "backbone.safetensors"
"""Beside the PEFT adapter, which holds head and annotators."""


def is_full(method: Method, settings: Settings) -> bool:
    """Whether the backbone itself is trained.

    Raises:
        ConfigError: The method adapts the layers to each annotator.
    """
    if settings.tuning != "full":
        return False
    if method.weights.get("source") != "learned":
        able = [n for n, m in METHODS.items() if m.weights.get("source") == "learned"]
        raise ConfigError(
            f"tuning=full trains the backbone for all annotators alike, and {method.name} adapts "
            f"it to each; methods that can be trained so: {', '.join(able)}"
        )
    return True


def backbone_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Name and parameter of the model inside of PEFT's, but for the head, which PEFT trains."""
    parts = (".modules_to_save.", ".original_module.")
    return ((n, p) for n, p in model.named_parameters() if not any(part in n for part in parts))


def train_backbone(model: nn.Module) -> None:
    """Train all of it."""
    for _, parameter in backbone_parameters(model):
        parameter.requires_grad_(True)


def save_backbone(model: nn.Module, folder: Path) -> None:
    """Write it into a run folder."""
    state = {name: p.detach().cpu().contiguous() for name, p in backbone_parameters(model)}
    save_file(state, folder / FILE, metadata={"format": "pt"})


@torch.no_grad()
def load_backbone_weights(model: nn.Module, folder: Path) -> None:
    """Inverse of `save_backbone`.

    Raises:
        RunError: The file is missing, or is of another backbone.
    """
    path = folder / FILE
    if not path.is_file():
        raise RunError(f"{path} is missing: the backbone of this run was trained")
    state: dict[str, Any] = load_file(path)
    parameters = dict(backbone_parameters(model))
    shapes = {name: tuple(p.shape) for name, p in parameters.items()}
    if shapes != {name: tuple(values.shape) for name, values in state.items()}:
        raise RunError(f"{path} is of another backbone")
    for name, parameter in parameters.items():
        parameter.copy_(state[name])
