"""The configuration that users write and `adapter_config.json` stores."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from peft import PeftConfig

from hyperadapters.adapters import Activation
from hyperadapters.conditions import (
    Attributes,
    Condition,
    Instance,
    Lookup,
    Vector,
    condition_from_dict,
)
from hyperadapters.encoders import Start
from hyperadapters.encoders.combine import Combine
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks import (
    BiasSource,
    GroupSpec,
    HypernetworkKind,
    NetworkSpec,
    OutputSource,
    Source,
    TokenSource,
)
from hyperadapters.tuner.card import write_usage
from hyperadapters.tuner.groups import FormName, Group
from hyperadapters.tuner.names import check_condition_name
from hyperadapters.tuner.peft_type import PEFT_TYPE
from hyperadapters.tuner.recorded import compare_sites

# What the flat fields say of the one group, and `groups` of each.
_OF_GROUPS = (
    *("target_modules", "exclude_modules", "layers_to_transform", "form", "source", "gains", "r"),
    *("lora_alpha", "lora_dropout", "use_rslora", "rank_pattern", "alpha_pattern", "width"),
    *("activation", "deviating_layers"),
)
_CHOICES = {
    "combine": Combine,
    "hypernetwork": HypernetworkKind,
    "start": Start,
    "bias_source": BiasSource,
    "output_source": OutputSource,
    "token_source": TokenSource,
}


@dataclass
class HyperAdapterConfig(PeftConfig):
    """Adapter weights that are written by a hypernetwork, for every row of the batch.

    Args:
        r: LoRA rank.
        lora_alpha: The LoRA correction is multiplied by `lora_alpha / r`.
        lora_dropout: Dropout on the input of the correction.
        use_rslora: Multiply by `lora_alpha / √r` instead.
        rank_pattern: Module name (ending or regular expression) → rank where it differs.
        alpha_pattern: Module name → alpha where it differs.
        target_modules: Names (endings or a regular expression) of the modules to adapt, or
            ``"all-linear"``; by default those of the family of the backbone.
        exclude_modules: Names to leave out.
        layers_to_transform: Numbers of the layers to adapt; all by default.
        modules_to_save: Further modules that are trained and saved, such as a new head. PEFT adds
            the classification head by itself when `task_type` is ``"SEQ_CLS"``.
        form: ``"lora"``, or the parallel ``"bottleneck"`` beside the feed-forward sub-layers.
        source: Where the weights come from: ``"generated"`` (a shared adapter plus what the
            hypernetwork writes for each condition), ``"learned"`` (a shared adapter alone), one
            stored adapter ``"per-condition"``, or ``"none"``: no layer is adapted, and conditions
            are for head or token alone.
        width: Number of units of a bottleneck.
        activation: Of a bottleneck.
        gains: Whether each condition has a learned factor on each direction (rank or unit).
        groups: Several groups, each with sites, form and source of its own (`Group`), instead of
            the one that the fields above describe.
        conditions: Keyword of `forward` → what it is, as ``{"annotator_ids": Lookup(819)}``:
            `Lookup`, `Attributes`, `Vector` or `Instance`.
        combine: How the vectors of several conditions become one: ``"concat"``, ``"sum"`` or
            ``"gate"``.
        hypernetwork: ``"mlp"`` (one head per weight shape), ``"basis"`` (coefficients of `n_basis`
            learned tensors), ``"chunked"`` (one head for all chunks of `chunk_width`, for wide
            backbones), ``"two-tower"`` (as published by Ignatev et al. 2025) or ``"hyperdecoder"``
            (as published by Ivison & Peters 2022).
        n_basis: Number of basis tensors per weight shape.
        chunk_width: Length of a chunk.
        start: ``"zero-change"``: nothing is changed at first, and every tensor gets a gradient at
            the first step. ``"lora"``: nothing is changed; B, vectors and heads are zero.
            ``"hyperfan-in"``: as Chang et al. 2020; the deviations are not zero. ``"near-zero"``:
            as Ivison & Peters 2022, with ``hypernetwork="hyperdecoder"``.
        bias_source: ``"generated"`` logit bias, one stored bias ``"per-condition"``, ``"none"``.
            Bias, shift and taste need a classification head; elsewhere they are left out.
        output_source: ``"shared"``: the output layer of the classification head is the same for
            all; or ``"per-condition"``: each has one of its own, stored as a difference from it.
            The mean of them is the population's.
        token_source: ``"none"``, or ``"per-condition"``: an embedding of each condition is put into
            the input, as a word behind the first one. For classifiers of texts that are encoders;
            then all layers differ between conditions.
        shift: Whether to generate a shift of the classification head's input.
        taste_rank: Rank of a generated low-rank adapter of the classification head; 0 for none.
        condition_width: Width of a condition vector.
        site_width: Width of the learned vector of a site.
        hidden_width: Number of hidden units of the hypernetwork, even.
        hypernetwork_dropout: Dropout inside the published hypernetwork.
        deviation_scale: Factor on the generated deviation.
        generate_a: Whether the deviation concerns both LoRA factors, or B alone.
        deviating_layers: Numbers of the layers in which conditions deviate from the shared
            adapter; all adapted layers by default.
        condition_dropout: Probability in training that a row is answered from the population.
        condition_noise: Standard deviation of the noise on condition vectors in training.
        share_encoders: Whether all groups read one vector of a condition, or each group has an
            encoder of its own.
        recompute_weights: Whether in training the weights of a site are written when it is run, and
            again in the backward pass, instead of those of all sites at once and kept: memory of
            one site's, at the price of writing them twice. For large backbones and batches.
        sites: What was adapted, per group; filled in by `get_peft_model`, checked on loading.

    Raises:
        ConfigError: A field is out of range or a condition has a reserved name.
    """

    r: int = 8
    lora_alpha: float | int = 16
    lora_dropout: float = 0.0
    use_rslora: bool = False
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, float | int] | None = None
    target_modules: list[str] | set[str] | str | None = None
    exclude_modules: list[str] | set[str] | str | None = None
    layers_to_transform: list[int] | int | None = None
    modules_to_save: list[str] | None = None
    form: FormName = "lora"
    source: Source = "generated"
    width: int = 64
    activation: Activation = "gelu"
    gains: bool = False
    groups: list[Any] | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
    combine: Combine = "concat"
    hypernetwork: HypernetworkKind = "mlp"
    n_basis: int = 16
    chunk_width: int = 256
    start: Start = "zero-change"
    bias_source: BiasSource = "generated"
    output_source: OutputSource = "shared"
    token_source: TokenSource = "none"
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
    share_encoders: bool = True
    recompute_weights: bool = False
    sites: list[list[str]] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        # Whether `sites` was read from a folder and so has to be met.
        self._sites_are_given = False
        # The condition declarations are kept as plain dictionaries, sorted: PEFT writes them as
        # JSON with sorted keys, and their order decides which part of the vector is whose.
        if not isinstance(self.conditions, Mapping):
            raise ConfigError(
                f"conditions must name what the model adapts to, as {{'annotator_ids': "
                f"Lookup(819)}}, got {self.conditions!r}"
            )
        for name in self.conditions:
            check_condition_name(name)
        self.conditions = {
            name: _declaration(name, value) for name, value in sorted(self.conditions.items())
        }
        if self.groups is not None:
            if not isinstance(self.groups, list | tuple):
                raise ConfigError(f"groups must be a list of Group, got {self.groups!r}")
            self.groups = [g.to_dict() if isinstance(g, Group) else dict(g) for g in self.groups]
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)
        if isinstance(self.exclude_modules, list):
            self.exclude_modules = set(self.exclude_modules)
        self._check()

    def _check(self) -> None:
        _ = self.resolved_groups, self.declared
        self._check_numbers()
        for name, allowed in _CHOICES.items():
            value, choices = getattr(self, name), get_args(allowed)
            if value not in choices:
                shown = ", ".join(repr(choice) for choice in choices)
                raise ConfigError(f"{name} must be one of {shown}, got {value!r}")

    def _check_numbers(self) -> None:
        for name in ("lora_dropout", "condition_dropout", "hypernetwork_dropout"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < 1:
                raise ConfigError(f"{name} must be in [0, 1), got {value!r}")
        for name in ("condition_width", "site_width", "hidden_width", "chunk_width", "n_basis"):
            _whole(name, getattr(self, name), 1)
        _whole("taste_rank", self.taste_rank, 0)
        for name in ("condition_noise", "deviation_scale"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} must be at least 0, got {value!r}")
        if self.hidden_width % 2:
            raise ConfigError(f"hidden_width must be even, got {self.hidden_width}")
        if self.hypernetwork == "basis" and self.n_basis < 2:
            raise ConfigError(f"n_basis must be at least 2, got {self.n_basis}")

    @property
    def declared(self) -> dict[str, Condition]:
        """The declared conditions as values."""
        return {name: condition_from_dict(data) for name, data in self.conditions.items()}

    @property
    def resolved_groups(self) -> list[Group]:
        """The groups as values: those of `groups`, or the one that the fields describe.

        Raises:
            ConfigError: Both are given.
        """
        if self.groups is None and self.source == "none":
            return []
        if self.groups is None:
            return [
                Group(
                    form=self.form,
                    source=self.source,
                    target_modules=self.target_modules,  # pyright: ignore[reportArgumentType]
                    exclude_modules=self.exclude_modules,  # pyright: ignore[reportArgumentType]
                    layers_to_transform=self.layers_to_transform,
                    r=self.r,
                    lora_alpha=self.lora_alpha,
                    use_rslora=self.use_rslora,
                    rank_pattern=self.rank_pattern,
                    alpha_pattern=self.alpha_pattern,
                    width=self.width,
                    activation=self.activation,
                    dropout=self.lora_dropout,
                    gains=self.gains,
                    deviating_layers=self.deviating_layers,
                )
            ]
        defaults = {f.name: f.default for f in fields(self)}
        if moved := [name for name in _OF_GROUPS if getattr(self, name) != defaults[name]]:
            raise ConfigError(f"with `groups`, {', '.join(moved)} belong into each group")
        if not self.groups:
            raise ConfigError("groups is empty; name at least one group")
        return [Group.from_dict(data) for data in self.groups]

    def network_spec(
        self,
        groups: list[GroupSpec],
        *,
        shift_width: int | None = None,
        head_width: int | None = None,
        n_labels: int | None = None,
        token_width: int | None = None,
        instance_width: int | None = None,
    ) -> NetworkSpec:
        """The shape of the network.

        Args:
            groups: The groups with their sites.
            shift_width: Width of what the classification head reads, where there is one.
            head_width: Width of what its last layer reads.
            n_labels: Number of its logits.
            token_width: Width of its embeddings of words, where a token can be put among them.
            instance_width: Width of the backbone's states.
        """
        has_head = bool(head_width and n_labels)
        return NetworkSpec(
            conditions=self.declared,
            groups=groups,
            combine=self.combine,
            hypernetwork=self.hypernetwork,
            start=self.start,
            bias_source=self.bias_source if has_head else "none",
            output_source=self.output_source if has_head else "shared",
            token_source=self.token_source,
            shift=self.shift and has_head,
            taste_rank=self.taste_rank if has_head and self.bias_source == "generated" else 0,
            condition_width=self.condition_width,
            site_width=self.site_width,
            hidden_width=self.hidden_width,
            n_basis=self.n_basis,
            chunk_width=self.chunk_width,
            hypernetwork_dropout=self.hypernetwork_dropout,
            deviation_scale=self.deviation_scale,
            generate_a=self.generate_a,
            condition_dropout=self.condition_dropout,
            condition_noise=self.condition_noise,
            shift_width=(shift_width or head_width) if has_head else None,
            head_width=head_width if has_head else None,
            n_labels=n_labels if has_head else None,
            token_width=token_width,
            instance_width=instance_width,
            share_encoders=self.share_encoders,
            recompute_weights=self.recompute_weights,
        )

    def record_sites(self, groups: list[GroupSpec]) -> None:
        """Note which sites there are, or compare them with those that were noted before.

        Raises:
            SiteError: The adapter was made for other sites.
        """
        found = [
            [f"{p.site.name} {p.site.in_width}→{p.site.out_width}" for p in group.placements]
            for group in groups
        ]
        if self._sites_are_given and self.sites is not None:
            compare_sites(self.sites, found)
        self.sites = found

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> Any:
        """As PEFT's; the sites that the folder names have to be met by the model."""
        config = super().from_pretrained(str(pretrained_model_name_or_path), **kwargs)
        if isinstance(config, HyperAdapterConfig):
            config._sites_are_given = config.sites is not None
        return config

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """As PEFT's; the model card, where there is one, is told how to use the adapter."""
        super().save_pretrained(str(save_directory), **kwargs)
        write_usage(
            Path(save_directory), self.declared, self.task_type, self.base_model_name_or_path
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; sets become sorted lists so that equal configurations read equal."""
        data = asdict(self)
        for name in ("target_modules", "exclude_modules"):
            if isinstance(data[name], set):
                data[name] = sorted(data[name])
        if self.modules_to_save is not None:
            # PEFT names the heads again whenever it loads.
            data["modules_to_save"] = list(dict.fromkeys(self.modules_to_save))
        return data


def _whole(name: str, value: Any, least: int) -> None:
    if type(value) is not int or value < least:
        raise ConfigError(f"{name} must be at least {least}, got {value!r}")


def _declaration(name: Any, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, Lookup | Attributes | Vector | Instance):
        raise ConfigError(
            f"condition {name!r}: got {value!r}, wanted Lookup(n), Attributes({{...}}), "
            "Vector(width) or Instance()"
        )
    return value.to_dict()
