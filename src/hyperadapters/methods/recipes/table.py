"""Name → recipe: what adapts the encoder and what the decoder, as rows of one table."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hyperadapters.errors import ConfigError
from hyperadapters.methods.recipes.settings import TaskSettings

_OURS = {
    "hypernetwork": "mlp",
    "start": "zero-change",
    "reading": "normalised",
    "hidden_width": 64,
    "site_width": 32,
    "encoder_width": 192,
}


@dataclass(frozen=True)
class Recipe:
    """One way to adapt an encoder–decoder to a mixture of tasks.

    Attributes:
        name: What users call it.
        summary: One line for `--help` and tables.
        defaults: Settings that differ from the general ones. A width of 0 stands for the one with
            which the recipe has as many parameters as `hyperdecoder`.
    """

    name: str
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> TaskSettings:
        """The settings this recipe starts from."""
        return TaskSettings().changed(self.defaults)


_MATCHED = {"encoder_width": 0, "decoder_width": 0}

_TABLE = (
    Recipe(
        "hyperdecoder",
        "learned adapters in the encoder; in the decoder adapters written for each input from what "
        "the encoder makes of it (Ivison & Peters 2022)",
        {"decoder": "instance-generated"},
    ),
    Recipe(
        "hyperdecoder-lora",
        "the same with LoRA and a narrow bottleneck in the decoder, as deviations from learned "
        "ones (ours)",
        {
            **_OURS,
            "decoder": "instance-generated",
            "decoder_form": "lora",
            "decoder_width": 0,
            "decoder_beside": 8,
        },
    ),
    Recipe(
        "hyperencoder",
        "the encoder reads twice: adapters for the second pass are written from the first",
        {**_MATCHED, "encoder": "instance-generated"},
    ),
    Recipe(
        "hyperformer",
        "adapters written for each task from its vector (Karimi Mahabadi et al. 2021)",
        {**_MATCHED, "encoder": "task-generated", "decoder": "task-generated"},
    ),
    Recipe("single-adapter", "one learned adapter for all tasks", _MATCHED),
    Recipe(
        "adapter-per-task",
        "one learned adapter for each task",
        {**_MATCHED, "encoder": "per-task", "decoder": "per-task"},
    ),
    Recipe(
        "full-finetuning",
        "no adapters: all parameters of the backbone are trained",
        {"encoder": "full", "decoder": "full", "learning_rate": 1e-4},
    ),
)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _TABLE}
DEFAULT_RECIPE = "hyperdecoder"


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: There is none; names the one that comes near, or all.
    """
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=1)
    advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(RECIPES)}"
    raise ConfigError(f"unknown recipe {name!r}; {advice}")
