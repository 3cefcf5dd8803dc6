"""The vectors of a run's annotators, and how large its parts are, from the adapter file alone."""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open

from hyperadapters.errors import RunError
from hyperadapters.reports.folders import Finished

FILE = "adapter_model.safetensors"
_VECTORS = re.compile(r"hyperadapter_network\.encoders\..*annotator_ids.*$")
_SHARED_LORA = re.compile(r"\.sites\.\d+\.[ab]$")


def vectors_of(run: Finished) -> tuple[list[str], Float[np.ndarray, "annotators width"]] | None:
    """Names of the annotators and their vectors; `None` where the run has none.

    Raises:
        RunError: A file cannot be read.
    """
    names = [str(name) for name in (run.file("vocabulary.json") or {}).get("names", [])]
    for name, shape in shapes_of(run).items():
        if _VECTORS.search(name) and len(shape) == 2 and shape[0] == len(names) > 0:
            with safe_open(run.path / FILE, framework="numpy") as file:
                return names, file.get_tensor(name).astype(np.float64)
    return None


def shapes_of(run: Finished) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors, by name; empty where the run has no adapter file.

    Raises:
        RunError: The file cannot be read.
    """
    path = run.path / FILE
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def lora_size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Parameters of one LoRA at all adapted layers: that of the shared one; 0 where none is."""
    return sum(math.prod(shape) for name, shape in shapes.items() if _SHARED_LORA.search(name))


def attributes_of(run: Finished) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the attributes that a run was told, and a row for each annotator.

    Raises:
        RunError: The file cannot be read, or is of another content.
    """
    told = run.file("people.json")
    if told is None:
        return [], []
    try:
        names = list(told["attributes"])
        rows = [
            {"annotator": who, **dict(zip(names, values, strict=True))}
            for who, values in told["values"].items()
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{run.path / 'people.json'} is damaged: {error}") from error
    return names, rows
