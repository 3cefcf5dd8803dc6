"""An encoder–decoder adapted to a mixture of tasks."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from peft import PeftModel, get_peft_model
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from torch import Tensor, nn

from hyperadapters.backbones import Seq2SeqBackbone, load_seq2seq, stop_attention_dropout
from hyperadapters.conditions import Lookup
from hyperadapters.errors import RunError
from hyperadapters.methods.recipes.build import (
    TASKS,
    build_config,
    check_control,
    is_full,
    matched_to,
)
from hyperadapters.methods.recipes.controls import Control
from hyperadapters.methods.recipes.settings import TaskSettings
from hyperadapters.tuner import adapter_network, read_inputs, register, standardise
from hyperadapters.tuner.conditioning import conditioning_of
from hyperadapters.tuner.upstream import upstream_warnings_ignored

ADAPTER = SAFETENSORS_WEIGHTS_NAME


class TaskModel:
    """Texts of several tasks in, answers out.

    Args:
        recipe: Name of the recipe.
        settings: What adapts what.
        backbone: The encoder–decoder.
        task_names: The tasks, in the order of their indices.
        model: The PEFT model around the backbone, or the backbone itself where that is trained.
    """

    def __init__(
        self,
        recipe: str,
        settings: TaskSettings,
        backbone: Seq2SeqBackbone,
        task_names: Sequence[str],
        model: nn.Module,
    ) -> None:
        self.recipe = recipe
        self.settings = settings
        self.backbone = backbone.name
        self.new_modules = backbone.new_modules
        self.task_names = tuple(task_names)
        self.model = model
        self.tokenizer = backbone.tokenizer
        self.is_adapted = isinstance(model, PeftModel)
        self.control = Control(settings.conditioning, model)
        if self.is_adapted:
            conditioning_of(model).control = self.control

    @classmethod
    def build(
        cls,
        recipe: str,
        settings: TaskSettings,
        backbone: str,
        task_names: Sequence[str],
        seed: int,
    ) -> "TaskModel":
        """A new, untrained model; the same seed gives the same start.

        Raises:
            ConfigError: The backbone cannot be loaded, or the settings do not go together.
        """
        register()
        full = is_full(settings)
        check_control(settings)
        torch.manual_seed(seed)
        loaded = _backbone(backbone, settings)
        model: Any = loaded.model
        if not full:
            like = matched_to(recipe, settings)
            config = build_config(settings, loaded, len(task_names), like)
            # The same start whatever it took to find the width.
            torch.manual_seed(seed)
            with upstream_warnings_ignored():
                model = get_peft_model(loaded.model, config)
        return cls(recipe, settings, loaded, task_names, model)

    @classmethod
    def load(
        cls,
        folder: Path,
        recipe: str,
        settings: TaskSettings,
        backbone: str,
        task_names: Sequence[str],
    ) -> "TaskModel":
        """A trained model, from its folder.

        Raises:
            RunError: The adapter is missing, or is of another number of tasks.
            ConfigError: The backbone cannot be loaded.
        """
        register()
        loaded = _backbone(backbone, settings)
        if is_full(settings):
            model: Any = type(loaded.model).from_pretrained(folder)
        else:
            if not (folder / ADAPTER).exists():  # PEFT would look for it on the hub
                raise RunError(f"{folder} is damaged: it has no {ADAPTER}")
            with upstream_warnings_ignored():
                model = PeftModel.from_pretrained(loaded.model, folder)
            known = adapter_network(model).spec.conditions.get(TASKS)
            if isinstance(known, Lookup) and known.size != len(task_names):
                raise RunError(
                    f"{folder}: the adapter knows {known.size} tasks, not {len(task_names)}"
                )
        made = cls(recipe, settings, loaded, task_names, model.eval())
        made.control.load(folder)
        return made

    def conditions(self, task_index: Int[Tensor, " rows"]) -> dict[str, Tensor]:
        """Keywords for the model's `forward` and `generate`."""
        if not self.is_adapted or TASKS not in adapter_network(self.model).spec.conditions:
            return {}
        return {TASKS: task_index}

    def read_before_training(self, batches: Iterable[dict[str, Any]]) -> None:
        """Read training rows once: what pooled inputs are standardised by, and control vectors.

        Args:
            batches: Arguments of the model, with rows of all tasks; only of a model that is adapted
                by its input they are looked at.
        """
        if self.is_adapted:
            read = read_inputs(self.model, batches)
            standardise(self.model, read)
            self.control.fill(read)

    def renew_control(self, batches: Iterable[dict[str, Any]]) -> None:
        """Let the shuffled control read training rows, from which others will be given vectors.

        Args:
            batches: Arguments of the model, with rows of all tasks; not read by other models.
        """
        if self.is_adapted and self.control.kind == "shuffled":
            self.control.fill(read_inputs(self.model, batches))

    def parameter_counts(self) -> dict[str, int]:
        """How many parameters are trained, and how many of them are the adapters'."""
        trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        adapters = 0
        if self.is_adapted:
            adapters = sum(p.numel() for p in adapter_network(self.model).parameters())
        total = sum(p.numel() for p in self.model.parameters())
        return {
            "trainable_parameters": trained,
            "adapter_parameters": adapters,
            "backbone_parameters": total - adapters - self._copied(),
        }

    def save(self, folder: Path) -> None:
        """Write the PEFT adapter, or the whole backbone where that was trained."""
        if self.is_adapted:
            # Embeddings are frozen; left to itself PEFT would ask the hub about their size.
            self.model.save_pretrained(folder, save_embedding_layers=False)  # pyright: ignore
        else:
            self.model.save_pretrained(folder)  # pyright: ignore[reportCallIssue]
        if self.control.kind != "own":
            self.control.save(folder)

    def _copied(self) -> int:
        """Parameters that are there twice: PEFT keeps the original of what it trains."""
        named = self.model.named_parameters()
        return sum(p.numel() for name, p in named if ".modules_to_save." in name)


def _backbone(name: str, settings: TaskSettings) -> Seq2SeqBackbone:
    loaded = load_seq2seq(name)
    if not settings.attention_dropout:
        stop_attention_dropout(loaded.model)
    return loaded
