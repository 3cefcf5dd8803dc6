"""The configuration that users write and `adapter_config.json` stores."""

from dataclasses import asdict, dataclass, field
from typing import Any

from peft import PeftConfig

from hyperadapters.adapters import LoRA
from hyperadapters.conditions import Lookup, condition_from_dict
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks import NetworkSpec
from hyperadapters.hypernetworks.network import BiasSource, LoRASource

METHOD = "hyperadapter"
PEFT_TYPE = METHOD.upper()

# Names that Transformers or PEFT already use, or eat on the way (PEFT's Poly takes `task_ids`).
RESERVED = frozenset(
    {"input_ids", "attention_mask", "labels", "task_ids", "adapter_names", "position_ids"}
)


@dataclass
class HyperAdapterConfig(PeftConfig):
    """Adapter weights that are written by a hypernetwork, for every row of the batch.

    Args:
        r: LoRA rank.
        lora_alpha: The LoRA correction is multiplied by `lora_alpha / r`.
        lora_dropout: Dropout on the input of the correction.
        use_rslora: Multiply by `lora_alpha / √r` instead.
        target_modules: Names (endings or a regular expression) of the linear modules to adapt;
            by default those of the family of the backbone.
        exclude_modules: Names to leave out.
        layers_to_transform: Numbers of the layers to adapt; all by default.
        layers_pattern: Name of the list of layers, where it is not the first number in the path.
        modules_to_save: Further modules that are trained and saved, such as a new head. PEFT adds
            the classification head by itself when `task_type` is ``"SEQ_CLS"``.
        conditions: Keyword of `forward` → what it is, as ``{"annotator_ids": Lookup(819)}``.
        lora_source: ``"centred"``: a shared adapter plus a generated deviation;
            ``"two-tower"``: as published by Ignatev et al. 2025; ``"learned"``: a shared adapter.
        bias_source: ``"generated"`` logit bias, one stored bias ``"per-condition"``, ``"none"``.
            The bias and the shift need `task_type="SEQ_CLS"`; elsewhere they are left out.
        shift: Whether to generate a shift of the classification head's input.
        taste_rank: Rank of a generated low-rank adapter of the classification head; 0 for none.
        condition_width: Width of a condition vector.
        site_width: Width of the learned vector of a site.
        hidden_width: Width of the hypernetwork's hidden layer.
        hypernetwork_dropout: Dropout inside the published hypernetwork.
        deviation_scale: Factor on the generated deviation.
        generate_a: Whether the deviation concerns both LoRA factors, or B alone.
        deviating_layers: Numbers of the layers in which conditions deviate from the shared
            adapter; all adapted layers by default.
        condition_dropout: Probability in training that a row is answered from the population.
        condition_noise: Standard deviation of the noise on condition vectors in training.

    Raises:
        ConfigError: A field is out of range or a condition has a reserved name.
    """

    r: int = 8
    lora_alpha: float | int = 16
    lora_dropout: float = 0.0
    use_rslora: bool = False
    target_modules: list[str] | set[str] | str | None = None
    exclude_modules: list[str] | set[str] | str | None = None
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None
    modules_to_save: list[str] | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
    lora_source: LoRASource = "centred"
    bias_source: BiasSource = "generated"
    shift: bool = True
    taste_rank: int = 16
    condition_width: int = 64
    site_width: int = 64
    hidden_width: int = 128
    hypernetwork_dropout: float = 0.0
    deviation_scale: float = 1.0
    generate_a: bool = True
    deviating_layers: list[int] | None = None
    condition_dropout: float = 0.0
    condition_noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE  # pyright: ignore[reportAttributeAccessIssue]
        # The condition declarations are kept as plain dictionaries, sorted: PEFT writes them as
        # JSON with sorted keys, and their order decides which part of the vector is whose.
        self.conditions = {
            name: value.to_dict() if isinstance(value, Lookup) else dict(value)
            for name, value in sorted(self.conditions.items())
        }
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)
        if isinstance(self.exclude_modules, list):
            self.exclude_modules = set(self.exclude_modules)
        self._check()

    def _check(self) -> None:
        _ = self.form, self.lookups
        for name in self.conditions:
            if name in RESERVED or name.startswith("decoder_") or not name.isidentifier():
                raise ConfigError(
                    f"a condition cannot be called {name!r}: the name is used by Transformers or "
                    "PEFT, or is not a Python identifier"
                )
        self._check_numbers()
        if self.lora_source not in ("centred", "two-tower", "learned"):
            raise ConfigError(
                f"lora_source must be 'centred', 'two-tower' or 'learned', got {self.lora_source!r}"
            )
        if self.bias_source not in ("generated", "per-condition", "none"):
            raise ConfigError(
                "bias_source must be 'generated', 'per-condition' or 'none', "
                f"got {self.bias_source!r}"
            )

    def _check_numbers(self) -> None:
        for name in ("lora_dropout", "condition_dropout", "hypernetwork_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        for name in ("condition_width", "site_width", "hidden_width"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("taste_rank", "condition_noise"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be at least 0, got {getattr(self, name)}")

    @property
    def form(self) -> LoRA:
        """Rank and scale."""
        return LoRA(self.r, float(self.lora_alpha), self.use_rslora)

    @property
    def lookups(self) -> dict[str, Lookup]:
        """The declared conditions as values."""
        return {name: condition_from_dict(data) for name, data in self.conditions.items()}

    def network_spec(self, head_width: int | None, n_labels: int | None) -> NetworkSpec:
        """The shape of the network, given the sizes of the classification head (or `None`)."""
        return NetworkSpec(
            conditions=self.lookups,
            r=self.r,
            lora_source=self.lora_source,
            bias_source=self.bias_source if n_labels else "none",
            shift=self.shift and head_width is not None,
            taste_rank=self.taste_rank if head_width and self.bias_source == "generated" else 0,
            condition_width=self.condition_width,
            site_width=self.site_width,
            hidden_width=self.hidden_width,
            hypernetwork_dropout=self.hypernetwork_dropout,
            deviation_scale=self.deviation_scale,
            generate_a=self.generate_a,
            deviating_layers=self.deviating_layers,
            condition_dropout=self.condition_dropout,
            condition_noise=self.condition_noise,
            head_width=head_width,
            n_labels=n_labels,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; sets become sorted lists so that equal configurations read equal."""
        data = asdict(self)
        for name in ("target_modules", "exclude_modules"):
            if isinstance(data[name], set):
                data[name] = sorted(data[name])
        return data
