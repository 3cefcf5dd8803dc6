"""Every number that a run depends on, in one flat table that the command line can reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hyperadapters.backbones.cumulative import HEADS
from hyperadapters.labels import DECISIONS
from hyperadapters.methods.settings_table import SettingsTable, setting


@dataclass(frozen=True)
class Settings(SettingsTable):
    """How a method is built and trained. Each field says what it is in its metadata.

    Methods change some defaults (see `hyperadapters.methods.METHODS`); a user's `--set` changes
    either.
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "schedule": ("cosine", "linear", "constant"),
        "precision": ("float32", "bfloat16"),
        "tuning": ("lora", "full"),
        "deviation": ("lora", "head"),
        "stop_by": ("rows", "annotators"),
        "calibration": ("temperature", "none"),
        "keep_states": ("memory", "disk", "no"),
        "decision": DECISIONS,
        "head": HEADS,
    }
    EARLIER: ClassVar[Mapping[str, Any]] = {"calibration": "none"}
    """What was done before a setting came that is not its default now."""
    AT_LEAST_ONE: ClassVar[frozenset[str]] = frozenset(
        {"r", "condition_width", "site_width", "hidden_width", "epochs", "batch_size", "patience"}
        | {"evaluations_per_epoch", "max_length", "eval_batch_size"}
    )

    r: int = setting(4, "LoRA rank")
    lora_alpha: float = setting(8.0, "the LoRA correction is multiplied by lora_alpha / r")
    lora_dropout: float = setting(0.0, "dropout on the input of the LoRA correction")
    tuning: str = setting(
        "lora", "what all annotators share: lora beside the layers, or full: the whole backbone"
    )
    adapted_layers: int = setting(
        4, "number of layers to adapt, counted from the top (where there are fewer, all); 0: all"
    )
    deviation: str = setting(
        "head",
        "what is written for an annotator: weights of the head alone, so that texts are read once "
        "for all annotators, or lora: for the top layers as well (hyperlora)",
    )
    deviating_layers: int = setting(
        1, "in how many of these an annotator's LoRA deviates (hyperlora); 0: in all of them"
    )
    condition_width: int = setting(64, "width of an annotator's vector")
    site_width: int = setting(64, "width of the vector of a site")
    hidden_width: int = setting(128, "width of the hypernetwork's hidden layer")
    hypernetwork_dropout: float = setting(0.0, "dropout inside the hypernetwork (hyperlora-paper)")
    generate_a: bool = setting(False, "whether the deviation concerns A and B, or B alone")
    taste_rank: int = setting(16, "rank of what an annotator adds to the head (hyperlora)")
    condition_noise: float = setting(0.3, "noise on annotators' vectors in training (std. dev.)")
    condition_dropout: float = setting(
        0.0, "probability in training that a row is answered from the population"
    )
    attributes: str = setting(
        "", "columns that describe annotators, commas between them (methods that are told any)"
    )
    identity_dropout: float = setting(
        0.2,
        "probability in training that a row is answered without knowing who the annotator is "
        "(hyperlora+attributes)",
    )
    deviation_dropout: float = setting(
        0.5, "probability in training that a row is answered without the deviation of its LoRA"
    )
    head_dropout: float = setting(0.2, "dropout inside the classification head")
    shrinkage: float = setting(
        0.3, "weight of the squared norm of an annotator's vector, once per annotator and epoch"
    )
    vector_norm: float = setting(
        0.0, "weight of the mean length of annotators' vectors (annotator-embedding)"
    )
    contrast: float = setting(
        0.0,
        "weight of what pulls vectors of people together who agree on a text, and others apart "
        "(annotator-embedding)",
    )
    epochs: int = setting(5, "passes over the training rows, at most")
    shared_epochs: int = setting(
        1, "how many of the epochs, the first ones, train the shared adapter alone (hyperlora)"
    )
    batch_size: int = setting(64, "rows a batch")
    learning_rate: float = setting(1e-3, "learning rate of everything that has none of its own")
    backbone_learning_rate: float = setting(
        5e-5, "learning rate of the backbone where it is trained (tuning=full)"
    )
    deviation_learning_rate: float = setting(3e-4, "learning rate of what writes the deviations")
    condition_learning_rate: float = setting(
        2e-2, "learning rate of annotators' vectors and stored biases"
    )
    weight_decay: float = setting(0.01, "decoupled weight decay, except on vectors and biases")
    warmup_epochs: float = setting(0.1, "linear warm-up, in epochs")
    schedule: str = setting("cosine", "learning rate after the warm-up: cosine, linear, constant")
    averaging: float = setting(
        0.0, "parameters are averaged over about so many of the last epochs; 0: the last ones count"
    )
    max_grad_norm: float = setting(1.0, "gradients are clipped to this norm")
    label_balance: float = setting(
        0.0,
        "power to which rare labels weigh more in the loss; 0: rows are alike, 1: labels are",
    )
    stop_by: str = setting(
        "rows", "the dev nll that decides when to stop: the mean over rows, or over annotators"
    )
    patience: int = setting(2, "stop after so many evaluations without a better dev nll")
    evaluations_per_epoch: int = setting(1, "how often the dev split is scored")
    calibration: str = setting(
        "temperature",
        "how sure the trained model may be: temperature (all logits are divided by one number, "
        "found on dev), or none (as sure as training made it)",
    )
    batches_by_text: bool = setting(True, "keep the ratings of a text in one batch")
    keep_states: str = setting(
        "memory", "where the output of frozen layers is kept: memory, disk (between runs), no"
    )
    cache_gigabytes: float = setting(10.0, "how much the folder on disk may hold")
    max_length: int = setting(
        128, "longer texts are cut at so many tokens; of a pair, always the longer text of the two"
    )
    precision: str = setting(
        "float32", "float32, or bfloat16: faster where the processor has it, and less exact"
    )
    head: str = setting(
        "softmax",
        "softmax (a logit for each label), or for labels on a scale cumulative (a score and "
        "ordered thresholds) or cumulative-scale (a slope beside the score)",
    )
    decision: str = setting(
        "mode",
        "which label is predicted: mode (the most probable), median (the least expected distance; "
        "for labels on a scale), or marginal (the least expected Hamming loss; for sets of "
        "labels); counting methods stay with the mode",
    )
    amortised: bool = setting(
        False,
        "whether a set encoder is trained at the end, which gives newcomers a vector in one pass "
        "(adapt --amortised)",
    )
    eval_batch_size: int = setting(256, "rows a batch when predicting")

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The columns that `attributes` names."""
        return tuple(name.strip() for name in self.attributes.split(",") if name.strip())
