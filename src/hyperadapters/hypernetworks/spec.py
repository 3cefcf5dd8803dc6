"""Everything that fixes the shape of a network, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hyperadapters.adapters import Placement
from hyperadapters.conditions import Condition, Instance, Lookup
from hyperadapters.encoders import Start
from hyperadapters.encoders.combine import Combine
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks.heads import HeadKind

Source = Literal["generated", "learned", "per-condition", "none"]
BiasSource = Literal["generated", "per-condition", "none"]
OutputSource = Literal["shared", "per-condition"]
TokenSource = Literal["none", "per-condition"]
HypernetworkKind = Literal["mlp", "basis", "chunked", "two-tower", "hyperdecoder"]

# Hypernetworks to which a vector of zero is not the population.
PUBLISHED = ("two-tower", "hyperdecoder")


@dataclass(frozen=True)
class GroupSpec:
    """Sites whose weights come from one source.

    Attributes:
        placements: Sites and forms, in their fixed order.
        source: ``"generated"`` by a hypernetwork, one ``"learned"`` adapter for all, or one stored
            adapter ``"per-condition"``.
        conditions: Names of the conditions that the group adapts to.
        gains: Whether each condition has a learned factor on each direction.
        deviating_layers: Numbers of the layers whose sites deviate from the shared adapter, of
            generated weights; all by default.
        first_pass: Whether the group works in the first of two passes alone, in which an `Instance`
            reads the input.
    """

    placements: Sequence[Placement]
    source: Source = "generated"
    conditions: tuple[str, ...] = ()
    gains: bool = False
    deviating_layers: Sequence[int] | None = None
    first_pass: bool = False

    @property
    def adapts(self) -> bool:
        """Whether its weights depend on conditions."""
        return self.source != "learned" or self.gains

    @property
    def deviating(self) -> list[bool]:
        """For every site whether it deviates.

        Raises:
            ConfigError: None does.
        """
        layers, sites = self.deviating_layers, [place.site for place in self.placements]
        chosen = [layers is None or site.layer in layers for site in sites]
        if not any(chosen):
            there = sorted({site.layer for site in sites if site.layer is not None})
            raise ConfigError(
                f"no adapted layer is among deviating_layers {layers}; adapted: {there}"
            )
        return chosen


@dataclass(frozen=True)
class NetworkSpec:
    """Everything that fixes the shape of an `AdapterNetwork`.

    Attributes:
        conditions: Keyword → declaration.
        groups: The groups of sites.
        combine: How the vectors of several conditions become one.
        hypernetwork: What generates: one head per weight shape (``"mlp"``), heads of a few basis
            tensors (``"basis"``) or of chunks (``"chunked"``), or the published ``"two-tower"`` and
            ``"hyperdecoder"``.
        start: How it starts, see `CentredHypernetwork`.
        bias_source: Where the logit bias comes from: generated from the vector, one stored bias
            per condition, or none.
        output_source: Whether the head's last layer is ``"shared"``, or each condition stores one
            of its own, see `StoredOutputs`.
        token_source: Whether a token is put into the input, of which each condition stores an
            embedding, see `StoredTokens`.
        shift: Whether a shift of the head's input is generated.
        taste_rank: Rank of the generated low-rank adapter of the head; 0 for none.
        condition_width: Width of condition vectors that declare none.
        site_width: Width of the vector of a site.
        hidden_width: Number of hidden units of the hypernetwork.
        n_basis: Number of basis tensors per weight shape, with ``"basis"``.
        chunk_width: Length of a chunk, with ``"chunked"``.
        hypernetwork_dropout: Dropout inside the published hypernetwork.
        deviation_scale: γ of `CentredHypernetwork`.
        generate_a: Whether the incoming tensors deviate too, in `CentredHypernetwork`.
        condition_dropout: Probability that a condition is replaced by the population in training.
        condition_noise: Standard deviation of Gaussian noise on the vectors in training.
        shift_width: Width of what the head reads (for `shift`); by default `head_width`.
        head_width: Width of what the head's last layer reads (for the taste).
        n_labels: Number of logits (for the bias).
        token_width: Width of the backbone's embeddings of words (for the token).
        instance_width: Width of the backbone's states (for `Instance` conditions).
        share_encoders: Whether all groups read one vector of a condition, or each has an encoder of
            its own.
        recompute_weights: Whether generated weights are written when a site is run and again in the
            backward pass, instead of all at once and kept.
    """

    conditions: Mapping[str, Condition]
    groups: Sequence[GroupSpec] = field(default_factory=tuple)
    combine: Combine = "concat"
    hypernetwork: HypernetworkKind = "mlp"
    start: Start = "zero-change"
    bias_source: BiasSource = "generated"
    output_source: OutputSource = "shared"
    token_source: TokenSource = "none"
    shift: bool = True
    taste_rank: int = 0
    condition_width: int = 64
    site_width: int = 64
    hidden_width: int = 128
    n_basis: int = 16
    chunk_width: int = 256
    hypernetwork_dropout: float = 0.0
    deviation_scale: float = 1.0
    generate_a: bool = True
    condition_dropout: float = 0.0
    condition_noise: float = 0.0
    shift_width: int | None = None
    head_width: int | None = None
    n_labels: int | None = None
    token_width: int | None = None
    instance_width: int | None = None
    share_encoders: bool = True
    recompute_weights: bool = False

    @property
    def head_kind(self) -> HeadKind:
        """Kind of the heads of a centred hypernetwork."""
        if self.hypernetwork in PUBLISHED:
            return "mlp"
        return self.hypernetwork  # pyright: ignore[reportReturnType]

    @property
    def centred(self) -> bool:
        """Whether the vector zero stands for the population."""
        return self.hypernetwork not in PUBLISHED

    @property
    def generates_head(self) -> bool:
        """Whether the head receives anything that is generated from a vector."""
        return self.bias_source == "generated" or self.shift or self.taste_rank > 0

    @property
    def writes_head(self) -> bool:
        """Whether what the head receives depends on the condition."""
        return self.generates_head or "per-condition" in (self.bias_source, self.output_source)

    @property
    def encoded(self) -> list[str]:
        """Names of the conditions from whose vectors anything is generated."""
        used = {n for g in self.groups if g.source == "generated" for n in g.conditions}
        return [name for name in self.conditions if self.generates_head or name in used]

    @property
    def needs_conditions(self) -> bool:
        """Whether the weights depend on the condition at all."""
        stored = self.token_source == "per-condition"
        return stored or self.writes_head or any(group.adapts for group in self.groups)

    def check(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ConfigError: Something depends on conditions and none is declared, a group names one
                that is not, or the head's sizes are needed and not known.
        """
        if self.needs_conditions and not self.conditions:
            raise ConfigError(
                "no conditions: name at least one, as conditions={'annotator_ids': Lookup(819)}, "
                "or ask for a shared adapter with source='learned', bias_source='none', "
                "shift=False"
            )
        if self.bias_source != "none" and not self.n_labels:
            raise ConfigError(f"bias_source={self.bias_source!r} needs a classification head")
        if self.output_source != "shared" and not (self.n_labels and self.head_width):
            raise ConfigError(f"output_source={self.output_source!r} needs a classification head")
        looked_up = any(isinstance(condition, Lookup) for condition in self.conditions.values())
        for name in ("bias_source", "output_source", "token_source"):
            if getattr(self, name) == "per-condition" and not looked_up:
                raise ConfigError(f"{name}='per-condition' needs a Lookup among the conditions")
        self._check_token()
        if self.shift and not self.head_width:
            raise ConfigError("shift=True needs a classification head")
        if self.start == "near-zero" and self.hypernetwork != "hyperdecoder":
            raise ConfigError("start='near-zero' belongs to hypernetwork='hyperdecoder'")
        if self.recompute_weights and not self.centred:
            raise ConfigError(
                f"recompute_weights does not go with hypernetwork={self.hypernetwork!r}; it goes "
                "with 'mlp', 'basis' and 'chunked'"
            )
        for group in self.groups:
            self._check_group(group)

    def _check_token(self) -> None:
        if self.token_source == "none":
            return
        if not self.token_width:
            raise ConfigError(f"token_source={self.token_source!r} needs a classifier of texts")
        if alone := [n for n, c in self.conditions.items() if c.unknown == "base"]:
            raise ConfigError(
                f"token_source={self.token_source!r}: a row with a token cannot be answered by the "
                f"plain backbone; {', '.join(alone)} needs unknown='population' or 'error'"
            )

    def _check_group(self, group: GroupSpec) -> None:
        if unknown := sorted(set(group.conditions) - set(self.conditions)):
            raise ConfigError(
                f"a group adapts to {', '.join(unknown)}; declared: " + ", ".join(self.conditions)
            )
        if group.first_pass:
            self._check_first_pass(group)
        if group.adapts and not group.conditions:
            raise ConfigError("a group adapts to no condition at all")
        if group.source == "per-condition" or group.gains:
            self.lookup_of(group)

    def later(self, group: GroupSpec) -> set[str]:
        """Names of a group's conditions that are known only when a part of the model has run."""
        if not group.adapts:
            return set()
        return {name for name in group.conditions if name in self.stages}

    @property
    def stages(self) -> dict[str, str]:
        """Conditions that are read in the course of a call → whose states they are."""
        found = [(n, c) for n, c in self.conditions.items() if isinstance(c, Instance)]
        return {name: c.source for name, c in found if c.source != "backbone"}

    def _check_first_pass(self, group: GroupSpec) -> None:
        if "first-pass" not in self.stages.values():
            raise ConfigError(
                "a group with first_pass=True needs a condition Instance(source='first-pass')"
            )
        if found := sorted(self.later(group)):
            raise ConfigError(
                f"a group with first_pass=True cannot adapt to {', '.join(found)}, which is read "
                "afterwards"
            )

    def lookup_of(self, group: GroupSpec) -> str:
        """Name of the one `Lookup` among the conditions of a group.

        Raises:
            ConfigError: There is none, or more than one.
        """
        found = [n for n in group.conditions if isinstance(self.conditions[n], Lookup)]
        if len(found) != 1:
            raise ConfigError(
                "what is stored per condition needs exactly one Lookup among the conditions of its "
                f"group, got {len(found)} ({', '.join(found) or 'none'}); name it in the group's "
                "`conditions`"
            )
        return found[0]
