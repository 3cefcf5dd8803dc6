"""Every number that a run on a mixture of tasks depends on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hyperadapters.methods.settings_table import SettingsTable, setting

MODES = ("none", "learned", "per-task", "task-generated", "instance-generated", "full")
FORMS = ("bottleneck", "lora")

# What a preset settles; `paper` is Ivison & Peters 2022, https://arxiv.org/abs/2203.08304.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "ours": {},
    "paper": {
        "hypernetwork": "hyperdecoder",
        "start": "near-zero",
        "activation": "relu",
        "hidden_width": 128,
        "site_width": 10,
        "separate_encoders": True,
        "standardised": False,
        "dropout": 0.0,
        "loss": "sum",
        "label_smoothing": 0.1,
        "learning_rate": 3e-4,
        "new_learning_rate": 0.0,
        "generator_learning_rate": 0.0,
        "weight_decay": 0.0,
        "warmup_steps": 500,
        "schedule": "linear",
        "max_grad_norm": 1.0,
        "batch_size": 128,
        "steps": 65_536,
        "evaluate_every": 1000,
        "max_source": 128,
        "max_target": 128,
    },
}


@dataclass(frozen=True)
class TaskSettings(SettingsTable):
    """How a recipe is built and trained. Each field says what it is in its metadata.

    Recipes change some defaults (see `hyperadapters.methods.recipes.RECIPES`), a preset changes
    others, and a user's `--set` changes any.
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "preset": tuple(PRESETS),
        "encoder": MODES,
        "decoder": MODES,
        "encoder_form": FORMS,
        "decoder_form": FORMS,
        "hypernetwork": ("hyperdecoder", "mlp", "basis", "chunked"),
        "start": ("near-zero", "zero-change", "lora", "hyperfan-in"),
        "activation": ("relu", "gelu", "silu", "tanh"),
        "lora_targets": ("attention", "all"),
        "reading": ("plain", "none", "normalised"),
        "conditioning": ("own", "shuffled", "constant"),
        "loss": ("mean", "sum"),
        "schedule": ("linear", "cosine", "constant"),
        "precision": ("float32", "bfloat16"),
    }
    AT_LEAST_ONE: ClassVar[frozenset[str]] = frozenset(
        {"condition_width", "site_width", "hidden_width", "steps", "batch_size", "accumulation"}
        | {"evaluate_every", "max_source", "max_target", "eval_batch_size", "n_basis"}
    )

    preset: str = setting("ours", "ours, or paper: the numbers of Ivison & Peters 2022")
    encoder: str = setting("learned", f"what adapts the encoder: {', '.join(MODES)}")
    decoder: str = setting("learned", f"what adapts the decoder: {', '.join(MODES)}")
    encoder_form: str = setting("bottleneck", "bottleneck or lora")
    decoder_form: str = setting("bottleneck", "bottleneck or lora")
    encoder_width: int = setting(
        64, "width (or rank) of the encoder's adapters; 0: as many parameters as hyperdecoder"
    )
    decoder_width: int = setting(
        64, "width (or rank) of the decoder's adapters; 0: as many parameters as hyperdecoder"
    )
    decoder_beside: int = setting(
        0, "width of a bottleneck beside the decoder's LoRA, with biases that LoRA lacks; 0: none"
    )
    lora_targets: str = setting("all", "linear modules with LoRA: all, or attention (q and v)")
    alpha: float = setting(2.0, "LoRA corrections are multiplied by it")
    activation: str = setting("relu", "of a bottleneck")
    dropout: float = setting(0.0, "dropout on what an adapter reads")
    attention_dropout: bool = setting(
        True, "whether the backbone's own dropout of attention weights is on; slow on a CPU"
    )
    hypernetwork: str = setting("hyperdecoder", "what generates: hyperdecoder, mlp, basis, chunked")
    start: str = setting(
        "near-zero", "near-zero (with hyperdecoder), zero-change, lora, hyperfan-in"
    )
    reading: str = setting(
        "plain", "what reads the pooled input: plain (two layers), none, normalised (with mlp)"
    )
    standardised: bool = setting(
        True, "whether pooled inputs are brought to mean 0 and variance 1 in every dimension"
    )
    condition_width: int = setting(64, "width of condition vectors (with mlp, basis, chunked)")
    hidden_width: int = setting(32, "width of the generator's hidden layer")
    site_width: int = setting(10, "width of the learned vector of a layer")
    n_basis: int = setting(16, "number of basis tensors (with basis)")
    separate_encoders: bool = setting(
        True, "whether encoder and decoder each have task vectors of their own"
    )
    conditioning: str = setting(
        "own", "own, or a control: shuffled (another row's input), constant (the same for all)"
    )
    batch_size: int = setting(32, "rows a batch")
    accumulation: int = setting(1, "batches a step")
    steps: int = setting(2000, "optimiser steps")
    learning_rate: float = setting(1e-3, "peak learning rate")
    new_learning_rate: float = setting(
        0.0, "peak learning rate of modules that are new in the backbone; 0: that of the rest"
    )
    generator_learning_rate: float = setting(
        0.0, "peak learning rate of what writes adapters; 0: that of the rest"
    )
    weight_decay: float = setting(0.0, "decoupled weight decay of matrices")
    warmup_steps: int = setting(100, "steps of linear warm-up")
    schedule: str = setting("linear", "learning rate after the warm-up: linear, cosine, constant")
    loss: str = setting("mean", "mean over target tokens, or their sum")
    label_smoothing: float = setting(0.1, "weight of the uniform distribution in the target")
    max_grad_norm: float = setting(1.0, "gradients are clipped to this norm")
    evaluate_every: int = setting(500, "steps between evaluations on dev")
    dev_limit: int = setting(500, "examples of each task in these evaluations, at most; 0: all")
    max_source: int = setting(128, "longer inputs are cut at so many tokens; questions get windows")
    max_target: int = setting(64, "longer targets are cut at so many tokens")
    stride: int = setting(
        128, "tokens that neighbouring windows share; at most two thirds of a window's"
    )
    keep_nulls: bool = setting(True, "whether windows without an answer are trained on")
    eval_batch_size: int = setting(64, "rows a batch when writing")
    precision: str = setting("float32", "float32, or bfloat16: faster where there is hardware")

    def changed(self, changes: Mapping[str, Any]) -> "TaskSettings":
        """A copy with some fields changed; a preset among them comes first.

        Raises:
            ConfigError: A field that does not exist, or a value of the wrong type or range.
        """
        preset = changes.get("preset", self.preset)
        before: Mapping[str, Any] = PRESETS.get(str(preset), {}) if preset != self.preset else {}
        return super().changed({**before, **changes})
