"""Name → how to build it: ours and every baseline, as rows of one table."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hyperadapters.errors import ConfigError
from hyperadapters.methods.settings import Settings

MethodKind = Literal["network", "counting"]
LabelKind = Literal["own", "majority"]
Told = Literal["annotator", "attributes"]


@dataclass(frozen=True)
class Method:
    """One way to predict what an annotator says.

    Attributes:
        name: What users call it.
        summary: One line for `--help` and tables.
        kind: ``"network"`` trains a PEFT model, ``"counting"`` only counts labels.
        defaults: Settings that differ from the general ones.
        weights: Fields of `HyperAdapterConfig` that make the method what it is.
        labels: What it is trained on: each rating's ``"own"`` label, or that of its text's
            ``"majority"``.
        told: What it is told of who is asked: the ``"annotator"``, or ``"attributes"`` as well or
            alone. Methods that look at neither are told, and do not listen.
    """

    name: str
    summary: str
    kind: MethodKind = "network"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Any] = field(default_factory=dict)
    labels: LabelKind = "own"
    told: tuple[Told, ...] = ("annotator",)

    @property
    def settings(self) -> Settings:
        """The settings this method starts from."""
        return Settings().changed(self.defaults)

    @property
    def has_deviations(self) -> bool:
        """Whether what it writes for an annotator are deviations from what all share."""
        return self.weights.get("source") == "generated" and "hypernetwork" not in self.weights

    def is_staged(self, settings: Settings) -> bool:
        """Whether a shared LoRA is trained first and deviations of it after that."""
        return self.has_deviations and settings.deviation == "lora"

    @property
    def is_adaptable(self) -> bool:
        """Whether all it knows of an annotator is a vector, or a bias, that a few labels can move.

        Not where an annotator stores whole layers, or a token that all layers read.
        """
        sources = [self.weights.get(f"{part}source") for part in ("", "output_", "token_")]
        reads_vector = sources[0] == "generated" or self.weights.get("shift", True)
        is_told = self.kind == "network" and "annotator" in self.told
        listens = reads_vector or self.weights.get("bias_source") == "per-condition"
        return is_told and listens and "per-condition" not in sources


_SHARED = {"source": "learned", "shift": False, "start": "lora"}

_TABLE = (
    Method(
        "hyperlora",
        "shared LoRA + a deviation of LoRA and head written for each annotator",
        weights={"source": "generated", "start": "lora"},
    ),
    Method(
        "hyperlora-paper",
        "LoRA written for each annotator as published (Ignatev et al. 2025)",
        defaults={
            "r": 2,
            "lora_alpha": 32.0,
            "lora_dropout": 0.1,
            "adapted_layers": 0,
            "condition_width": 768,
            "site_width": 768,
            "hidden_width": 768,
            "hypernetwork_dropout": 0.25,
            "head_dropout": 0.1,
            "condition_noise": 0.0,
            "shrinkage": 0.0,
            "epochs": 20,
            "shared_epochs": 0,
            "batch_size": 100,
            "learning_rate": 5e-5,
            "condition_learning_rate": 5e-5,
            "weight_decay": 0.01,
            "warmup_epochs": 1.0,
            "schedule": "linear",
            "patience": 15,
            "evaluations_per_epoch": 2,
            "batches_by_text": False,
            "max_length": 100,
        },
        weights={
            "source": "generated",
            "hypernetwork": "two-tower",
            "bias_source": "none",
            "shift": False,
        },
    ),
    Method(
        "hyperlora+attributes",
        "hyperlora, told attributes of the annotator beside who it is",
        weights={"source": "generated", "start": "lora", "combine": "sum"},
        told=("annotator", "attributes"),
    ),
    Method(
        "attributes-only",
        "hyperlora, told attributes of the annotator and not who it is",
        weights={"source": "generated", "start": "lora", "combine": "sum"},
        told=("attributes",),
    ),
    Method(
        "text-only",
        "one shared LoRA, the annotator is not looked at",
        weights={**_SHARED, "bias_source": "none"},
    ),
    Method(
        "intercept",
        "one shared LoRA + one learned logit bias for each annotator",
        defaults={"shrinkage": 0.1},
        weights={**_SHARED, "bias_source": "per-condition"},
    ),
    Method(
        "annotator-embedding",
        "one shared LoRA + a vector for each annotator, added to what the head reads (AART)",
        defaults={
            "taste_rank": 0,
            "condition_width": 384,
            "condition_noise": 0.0,
            "shrinkage": 0.0,
            "vector_norm": 0.125,
            "contrast": 0.125,
        },
        weights={"source": "learned", "bias_source": "none"},
    ),
    Method(
        "multi-head",
        "one shared LoRA + an output layer of the head for each annotator (Davani et al. 2022)",
        defaults={"shrinkage": 0.0, "condition_learning_rate": 1e-3},
        weights={**_SHARED, "bias_source": "none", "output_source": "per-condition"},
    ),
    Method(
        "user-token",
        "one shared LoRA + an embedding for each annotator, read as a word of the text",
        defaults={"shrinkage": 0.0, "condition_dropout": 0.1, "condition_learning_rate": 5e-3},
        weights={**_SHARED, "bias_source": "none", "token_source": "per-condition"},
    ),
    Method(
        "lora-per-annotator",
        "a LoRA and a logit bias of its own for each annotator, nothing of them shared",
        defaults={"shrinkage": 0.1},
        weights={
            "source": "per-condition",
            "shift": False,
            "start": "lora",
            "bias_source": "per-condition",
        },
    ),
    Method(
        "majority",
        "text-only, trained on the majority label of each text",
        weights={**_SHARED, "bias_source": "none"},
        labels="majority",
    ),
    Method("global-mode", "the most frequent label of all", kind="counting"),
    Method("annotator-mode", "each annotator's most frequent label", kind="counting"),
)

METHODS: Mapping[str, Method] = {method.name: method for method in _TABLE}
DEFAULT_METHOD = "hyperlora"


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        ConfigError: There is none; names the one that comes near and all that exist.
    """
    if name in METHODS:
        return METHODS[name]
    near = difflib.get_close_matches(name, METHODS, n=1)
    advice = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(f"unknown method {name!r}; {advice}known: {', '.join(METHODS)}")
