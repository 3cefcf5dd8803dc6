"""Every number that a run depends on, in one flat table that the command line can reach."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from hyperadapters.errors import ConfigError


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Settings:
    """How a method is built and trained. Each field says what it is in its metadata.

    Methods change some defaults (see `hyperadapters.methods.METHODS`); a user's `--set` changes
    either.
    """

    r: int = _setting(4, "LoRA rank")
    lora_alpha: float = _setting(8.0, "the LoRA correction is multiplied by lora_alpha / r")
    lora_dropout: float = _setting(0.0, "dropout on the input of the LoRA correction")
    adapted_layers: int = _setting(2, "number of layers to adapt, counted from the top; 0: all")
    deviating_layers: int = _setting(
        1, "in how many of these an annotator's LoRA deviates (hyperlora); 0: in all of them"
    )
    condition_width: int = _setting(64, "width of an annotator's vector")
    site_width: int = _setting(64, "width of the vector of a site")
    hidden_width: int = _setting(128, "width of the hypernetwork's hidden layer")
    hypernetwork_dropout: float = _setting(0.0, "dropout inside the hypernetwork (hyperlora-paper)")
    generate_a: bool = _setting(False, "whether the deviation concerns A and B, or B alone")
    taste_rank: int = _setting(16, "rank of what an annotator adds to the head (hyperlora)")
    condition_noise: float = _setting(0.3, "noise on annotators' vectors in training (std. dev.)")
    condition_dropout: float = _setting(
        0.0, "probability in training that a row is answered from the population"
    )
    deviation_dropout: float = _setting(
        0.5, "probability in training that a row is answered without the deviation of its LoRA"
    )
    head_dropout: float = _setting(0.2, "dropout inside the classification head")
    shrinkage: float = _setting(
        0.3, "weight of the squared norm of an annotator's vector, once per annotator and epoch"
    )
    epochs: int = _setting(5, "passes over the training rows, at most")
    shared_epochs: int = _setting(
        1, "how many of the epochs, the first ones, train the shared adapter alone (hyperlora)"
    )
    batch_size: int = _setting(64, "rows a batch")
    learning_rate: float = _setting(1e-3, "learning rate of everything that has none of its own")
    deviation_learning_rate: float = _setting(3e-4, "learning rate of what writes the deviations")
    condition_learning_rate: float = _setting(
        2e-2, "learning rate of annotators' vectors and stored biases"
    )
    weight_decay: float = _setting(0.01, "decoupled weight decay, except on vectors and biases")
    warmup_epochs: float = _setting(0.1, "linear warm-up, in epochs")
    schedule: str = _setting("cosine", "learning rate after the warm-up: cosine, linear, constant")
    max_grad_norm: float = _setting(1.0, "gradients are clipped to this norm")
    patience: int = _setting(2, "stop after so many evaluations without a better dev nll")
    evaluations_per_epoch: int = _setting(1, "how often the dev split is scored")
    batches_by_text: bool = _setting(True, "keep the ratings of a text in one batch")
    max_length: int = _setting(128, "longer texts are cut at so many tokens")
    precision: str = _setting(
        "float32", "float32, or bfloat16: faster where the processor has it, and less exact"
    )
    eval_batch_size: int = _setting(256, "rows a batch when predicting")

    def __post_init__(self) -> None:
        problems = [p for p in (self._problem(f.name) for f in fields(self)) if p]
        if problems:
            raise ConfigError("; ".join(problems))

    def _problem(self, name: str) -> str | None:
        value = getattr(self, name)
        if name in _CHOICES:
            known = ", ".join(_CHOICES[name])
            fits = value in _CHOICES[name]
            return None if fits else f"{name} must be one of {known}, got {value!r}"
        low = 1 if name in _AT_LEAST_ONE else 0
        if isinstance(value, bool):
            return None
        if not value >= low or value == float("inf"):
            return f"{name} must be a number of at least {low}, got {value}"
        if name.endswith("dropout") and value >= 1:
            return f"{name} must be below 1, got {value}"
        return None

    def changed(self, changes: Mapping[str, Any]) -> "Settings":
        """A copy with some fields changed; values may be the strings of a command line.

        Raises:
            ConfigError: A field that does not exist, or a value of the wrong type or range. All
                problems are reported together.
        """
        hints = get_type_hints(Settings)
        parsed: dict[str, Any] = {}
        problems = []
        for name, value in changes.items():
            if name not in hints:
                near = difflib.get_close_matches(name, hints, n=1)
                advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(hints)}"
                problems.append(f"unknown setting {name!r}; {advice}")
                continue
            try:
                parsed[name] = _parse(hints[name], value)
            except (TypeError, ValueError):
                problems.append(f"{name} must be {_WANTED[hints[name]]}, got {value!r}")
        if problems:
            raise ConfigError("; ".join(problems))
        return dataclasses.replace(self, **parsed)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, part of ``run.json``."""
        return dataclasses.asdict(self)


_CHOICES = {
    "schedule": ("cosine", "linear", "constant"),
    "precision": ("float32", "bfloat16"),
}
_AT_LEAST_ONE = frozenset(
    {"r", "condition_width", "site_width", "hidden_width", "epochs", "batch_size", "patience"}
    | {"evaluations_per_epoch", "max_length", "eval_batch_size"}
)
_WANTED = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _parse(kind: type, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() not in _TRUTH:
            raise ValueError
        return _TRUTH[str(value).lower()]
    if isinstance(value, bool) or value is None:
        raise ValueError
    if kind is int and isinstance(value, float) and not value.is_integer():
        raise ValueError
    return kind(value)
