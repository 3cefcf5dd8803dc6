"""From conditions to adapter weights: encoders, hypernetwork and head generator in one module."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hyperadapters.adapters import AdapterWeights, HeadWeights
from hyperadapters.conditions import Lookup
from hyperadapters.encoders import LookupEncoder
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.hypernetworks.base import Hypernetwork
from hyperadapters.hypernetworks.centred import CentredHypernetwork
from hyperadapters.hypernetworks.head import HeadGenerator
from hyperadapters.hypernetworks.learned import LearnedAdapter
from hyperadapters.hypernetworks.two_tower import TwoTowerHypernetwork
from hyperadapters.sites import Site

LoRASource = Literal["centred", "two-tower", "learned"]
BiasSource = Literal["generated", "per-condition", "none"]


@dataclass(frozen=True)
class NetworkSpec:
    """Everything that fixes the shape of an `AdapterNetwork`.

    Attributes:
        conditions: Keyword → declaration.
        r: LoRA rank.
        lora_source: ``"centred"``, ``"two-tower"`` (published) or ``"learned"`` (shared adapter).
        bias_source: Where the logit bias comes from: generated from the vector, one stored bias
            per condition, or none.
        shift: Whether a shift of the head's input is generated.
        taste_rank: Rank of the generated low-rank adapter of the head; 0 for none.
        condition_width: Width of condition vectors that declare none.
        site_width: Width of the vector of a site.
        hidden_width: Width of the hypernetwork's hidden layer.
        hypernetwork_dropout: Dropout inside the published hypernetwork.
        deviation_scale: γ of `CentredHypernetwork`.
        generate_a: Whether A deviates too, or B alone, in `CentredHypernetwork`.
        deviating_layers: Numbers of the layers whose sites deviate, in `CentredHypernetwork`; all
            by default. The others have the shared adapter.
        condition_dropout: Probability that a condition is replaced by the population in training.
        condition_noise: Standard deviation of Gaussian noise on the vectors in training.
        head_width: Width of the head's input (for `shift`).
        n_labels: Number of logits (for the bias).
    """

    conditions: Mapping[str, Lookup]
    r: int
    lora_source: LoRASource = "centred"
    bias_source: BiasSource = "generated"
    shift: bool = True
    taste_rank: int = 0
    condition_width: int = 64
    site_width: int = 64
    hidden_width: int = 128
    hypernetwork_dropout: float = 0.0
    deviation_scale: float = 1.0
    generate_a: bool = True
    deviating_layers: Sequence[int] | None = None
    condition_dropout: float = 0.0
    condition_noise: float = 0.0
    head_width: int | None = None
    n_labels: int | None = None

    @property
    def needs_vectors(self) -> bool:
        """Whether anything is generated from a condition vector."""
        return self.lora_source != "learned" or self.bias_source == "generated" or self.shift

    @property
    def needs_conditions(self) -> bool:
        """Whether the weights depend on the condition at all."""
        return self.needs_vectors or self.bias_source == "per-condition"


class AdapterNetwork(nn.Module):
    """Conditions → `AdapterWeights`, computed once per distinct condition of the batch.

    Args:
        spec: The shape of the network.
        sites: The sites, in their fixed order.
    """

    def __init__(self, spec: NetworkSpec, sites: Sequence[Site]) -> None:
        super().__init__()
        self.spec = spec
        centred = spec.lora_source != "two-tower"
        self.encoders = nn.ModuleDict()
        if spec.needs_vectors:
            for name, lookup in spec.conditions.items():
                self.encoders[name] = LookupEncoder(
                    lookup.size,
                    lookup.width or spec.condition_width,
                    centred=centred,
                    unknown=lookup.unknown,
                    name=name,
                )
        width = sum(encoder.width for encoder in self._lookups.values())
        self.hypernetwork = _build_hypernetwork(spec, sites, width)
        bias_labels = spec.n_labels if spec.bias_source == "generated" else None
        self.head = (
            HeadGenerator(width, spec.head_width, bias_labels, spec.taste_rank, shift=spec.shift)
            if width
            else None
        )
        self.biases = nn.ModuleDict()
        if spec.bias_source == "per-condition":
            for name, lookup in spec.conditions.items():
                self.biases[name] = LookupEncoder(
                    lookup.size, spec.n_labels or 0, unknown=lookup.unknown, name=name
                )

    @property
    def _lookups(self) -> dict[str, LookupEncoder]:
        return {k: v for k, v in self.encoders.items() if isinstance(v, LookupEncoder)}

    def forward(self, conditions: Mapping[str, Int[Tensor, " rows"]]) -> AdapterWeights:
        """Weights for every row.

        Args:
            conditions: Keyword → indices, one per row; -1 is the population. May be empty when
                the weights do not depend on conditions.

        Raises:
            ConditionError: A declared condition is missing, or lengths differ, or an index is out
                of range.
        """
        if not self.spec.needs_conditions:
            return AdapterWeights(lora=self.hypernetwork(_no_vectors(self)))
        distinct, rows = self._distinct(conditions)
        z = self.vectors(distinct)
        head = HeadWeights() if self.head is None else self.head(z)
        for name in self.biases:
            stored = self.biases[name](distinct[name])
            head = head._replace(bias=stored if head.bias is None else head.bias + stored)
        return AdapterWeights(self.hypernetwork(z), head, rows)

    def vectors(self, distinct: Mapping[str, Int[Tensor, " n"]]) -> Float[Tensor, "n width"]:
        """Condition vectors side by side; noisy, and some of them absent, in training."""
        if not self.encoders:
            count = next(iter(distinct.values())).shape[0]
            return next(self.parameters()).new_zeros(count, 0)
        # The order of the specification, not that of the call, fixes what stands where.
        z = torch.cat([encoder(distinct[name]) for name, encoder in self.encoders.items()], dim=1)
        if self.training and self.spec.condition_noise:
            z = z + self.spec.condition_noise * torch.randn_like(z)
        if self.training and self.spec.condition_dropout:
            kept = torch.rand(z.shape[0], 1, device=z.device) >= self.spec.condition_dropout
            nobody = torch.cat([encoder.population() for encoder in self._lookups.values()], dim=1)
            z = torch.where(kept, z, nobody)
        return z

    def _distinct(
        self, conditions: Mapping[str, Int[Tensor, " rows"]]
    ) -> tuple[dict[str, Int[Tensor, " n"]], Int[Tensor, " rows"]]:
        names = list(self.spec.conditions)
        if missing := [name for name in names if conditions.get(name) is None]:
            raise ConditionError(
                f"missing condition {', '.join(missing)}: this model adapts to "
                f"{', '.join(names)}; pass one index per row, or -1 for the population"
            )
        lengths = {name: tuple(conditions[name].shape) for name in names}
        if len(set(lengths.values())) != 1:
            raise ConditionError(f"conditions differ in length: {lengths}")
        stacked = torch.stack([conditions[name] for name in names], dim=1)
        distinct, rows = torch.unique(stacked, dim=0, return_inverse=True)
        return {name: distinct[:, i] for i, name in enumerate(names)}, rows


def build_network(spec: NetworkSpec, sites: Sequence[Site]) -> AdapterNetwork:
    """The network of a specification.

    Raises:
        ConfigError: Something is to be generated but no condition is declared, or the head's sizes
            are needed and not known.
    """
    if spec.needs_conditions and not spec.conditions:
        raise ConfigError(
            "no conditions: name at least one, as conditions={'annotator_ids': Lookup(819)}, "
            "or ask for a shared adapter with lora_source='learned', bias_source='none', "
            "shift=False"
        )
    if spec.bias_source != "none" and not spec.n_labels:
        raise ConfigError(f"bias_source={spec.bias_source!r} needs a classification head")
    if spec.shift and not spec.head_width:
        raise ConfigError("shift=True needs a classification head")
    return AdapterNetwork(spec, sites)


def _build_hypernetwork(spec: NetworkSpec, sites: Sequence[Site], width: int) -> Hypernetwork:
    if spec.lora_source == "learned":
        return LearnedAdapter(sites, spec.r)
    if spec.lora_source == "two-tower":
        return TwoTowerHypernetwork(
            sites,
            spec.r,
            width,
            site_width=spec.site_width,
            hidden_width=spec.hidden_width,
            dropout=spec.hypernetwork_dropout,
        )
    return CentredHypernetwork(
        sites,
        spec.r,
        width,
        site_width=spec.site_width,
        hidden_width=spec.hidden_width,
        deviation_scale=spec.deviation_scale,
        generate_a=spec.generate_a,
        # Shift and bias move the vectors, and vectors that have moved give the heads a gradient.
        zero_heads=spec.shift or spec.bias_source == "generated",
        deviating=_deviating(spec, sites),
    )


def _deviating(spec: NetworkSpec, sites: Sequence[Site]) -> list[bool]:
    layers = spec.deviating_layers
    chosen = [layers is None or site.layer in layers for site in sites]
    if not any(chosen):
        there = sorted({site.layer for site in sites if site.layer is not None})
        raise ConfigError(f"no adapted layer is among deviating_layers {layers}; adapted: {there}")
    return chosen


def _no_vectors(network: nn.Module) -> Float[Tensor, "1 0"]:
    return next(network.parameters()).new_zeros(1, 0)
