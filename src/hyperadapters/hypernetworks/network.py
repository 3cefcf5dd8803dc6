"""From conditions to adapter weights: encoders, sources and head generator in one module."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from hyperadapters.adapters import (
    OFF,
    PENDING,
    Absent,
    AdapterWeights,
    GroupWeights,
    HeadWeights,
    SiteWeights,
    Unwritten,
    silenced,
)
from hyperadapters.conditions import Attributes, Lookup
from hyperadapters.encoders import (
    ConditionEncoder,
    LookupEncoder,
    build_encoder,
    prepare,
)
from hyperadapters.encoders.combine import Combiner, zero_parts
from hyperadapters.errors import ConditionError
from hyperadapters.hypernetworks.cache import Values, WeightCache
from hyperadapters.hypernetworks.centred import CentredHypernetwork
from hyperadapters.hypernetworks.encoded import Encoded
from hyperadapters.hypernetworks.head import HeadGenerator
from hyperadapters.hypernetworks.learned import LearnedAdapter
from hyperadapters.hypernetworks.outputs import StoredOutputs
from hyperadapters.hypernetworks.sources import GroupSource
from hyperadapters.hypernetworks.spec import GroupSpec, NetworkSpec
from hyperadapters.hypernetworks.stored import StoredAdapters
from hyperadapters.hypernetworks.tokens import StoredTokens


class AdapterNetwork(nn.Module):
    """Conditions → `AdapterWeights`, computed once per distinct condition of the batch.

    Args:
        spec: The shape of the network.

    Attributes:
        cache: Keeps what was written for recent conditions, for serving; `None` keeps nothing.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.cache: WeightCache | None = None
        self.encoders = nn.ModuleDict()
        self.combiners = nn.ModuleDict()
        self._add_encoders()
        self.sources = nn.ModuleList()
        for number, group in enumerate(spec.groups):
            combiner = self._combiner(_read_by(group), self._owner(number))
            self.sources.append(GroupSource(spec, group, combiner.width, combiner.live))
        self.head: HeadGenerator | None = None
        if spec.generates_head:
            combiner = self._combiner(tuple(spec.conditions), self._owner("head"))
            self.head = HeadGenerator(
                combiner.width,
                spec.head_width,
                spec.n_labels if spec.bias_source == "generated" else None,
                spec.taste_rank,
                shift=spec.shift,
                shift_width=spec.shift_width,
                start=spec.start if spec.centred else "zero-change",
                # Where vectors are not centred no part of them is zero, so all maps have to be.
                live=combiner.live & spec.centred,
            )
        self.biases = nn.ModuleDict()
        lookups = {n: c for n, c in spec.conditions.items() if isinstance(c, Lookup)}
        sizes = {name: lookup.size for name, lookup in lookups.items()}
        if spec.bias_source == "per-condition":
            for name, lookup in lookups.items():
                self.biases[name] = LookupEncoder(
                    *(lookup.size, spec.n_labels or 0),
                    start="lora",
                    own_population=lookup.own_population,
                    name=name,
                )
        self.outputs = nn.ModuleDict()
        if spec.output_source == "per-condition":
            for name, size in sizes.items():
                widths = spec.head_width or 0, spec.n_labels or 0
                self.outputs[name] = StoredOutputs(size, *widths)
        self.token: StoredTokens | None = None
        if spec.token_source == "per-condition":
            self.token = StoredTokens(sizes, spec.token_width or 0, spec.condition_dropout)

    @property
    def device(self) -> torch.device:
        """Where its parameters are; with none it has nothing to be anywhere."""
        found = next(self.parameters(), None)
        return torch.device("cpu") if found is None else found.device

    def prepare(
        self,
        conditions: Mapping[str, Any],
        device: torch.device,
        later: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """What users pass → tensors with a leading axis of rows, all of one length.

        Args:
            conditions: Keyword → value; the declared ones are taken, of which all must be there.
            device: Where to put them.
            later: Names of conditions that may be missing still.

        Raises:
            ConditionError: A condition is missing, does not fit its declaration, or differs from
                another in length.
        """
        names = list(self.spec.conditions) if self.spec.needs_conditions else []
        names = [name for name in names if name not in later]
        if missing := [name for name in names if conditions.get(name) is None]:
            raise ConditionError(
                f"missing condition {', '.join(missing)}: this model adapts to "
                f"{', '.join(names)}; pass one value per row, or one for all rows"
            )
        width = self.spec.instance_width
        values = {
            name: prepare(name, self.spec.conditions[name], conditions[name], device, width)
            for name in names
        }
        lengths = {name: value.shape[0] for name, value in values.items()}
        longest = max([1, *lengths.values()])
        if any(length not in (1, longest) for length in lengths.values()):
            raise ConditionError(f"conditions differ in length: {lengths}")
        return {name: v.expand(longest, *v.shape[1:]) for name, v in values.items()}

    def forward(
        self,
        conditions: Mapping[str, Tensor],
        *,
        pending: Collection[str] = (),
        first_pass: bool = False,
        before: AdapterWeights | None = None,
    ) -> AdapterWeights:
        """Weights for every row.

        Args:
            conditions: What `prepare` returned.
            pending: Names of conditions that are known only later: what depends on them is
                `PENDING`.
            first_pass: Whether these are the weights of a first pass, in which groups of the first
                pass work and what is pending does not.
            before: What was generated when less was known; it is kept as it is.

        Raises:
            ConditionError: A declared condition is missing, or lengths differ.
        """
        if self.spec.needs_conditions:
            self._check(conditions, pending)
        n_rows = next((v.shape[0] for v in conditions.values()), 1)
        encoded = Encoded(self, conditions)
        known = self._known(conditions)
        groups: list[GroupWeights | Absent] = []
        for number, group in enumerate(self.spec.groups):
            if group.first_pass and not first_pass:
                groups.append(OFF)
            elif self.spec.later(group) & set(pending):
                groups.append(OFF if first_pass else PENDING)
            elif before is not None and isinstance(before.groups[number], GroupWeights):
                groups.append(before.groups[number])
            else:
                groups.append(self._group(number, encoded, known))
        head, head_rows = HeadWeights(), None
        if not set(pending) & self.spec.stages.keys():
            head, head_rows = self._head(encoded, known)
        token = None
        if self.token is not None:
            values, head_rows = encoded.distinct(tuple(self.spec.conditions))
            token = self.token(values)
        # A single condition for the whole batch, however long: no row has one of its own.
        return AdapterWeights(groups, head, head_rows, n_rows if n_rows > 1 else None, token)

    def _group(
        self, number: int, encoded: Encoded, known: Bool[Tensor, " rows"] | None
    ) -> GroupWeights:
        group = self.spec.groups[number]
        values, rows = encoded.distinct(group.conditions if group.adapts else ())
        if self.cache is not None and self._is_kept(number, values):
            weights = self.cache.weights(
                self,
                number,
                values,
                # Without gradients all are written at once.
                lambda some: self._write(number, Encoded(self, some, distinct=True)),  # pyright: ignore
            )
        else:
            weights = self._write(number, encoded)
        if known is None:
            return GroupWeights(weights, rows)
        per_row = GroupWeights(weights, rows)
        return GroupWeights([_silenced(per_row, site, known) for site in range(len(weights))])

    def _write(self, number: int, encoded: Encoded) -> list[SiteWeights | Unwritten]:
        group = self.spec.groups[number]
        values, _ = encoded.distinct(group.conditions if group.adapts else ())
        z = encoded.combined(_read_by(group), self._owner(number))
        return self.sources[number](z, values)

    def _is_kept(self, number: int, values: Values) -> bool:
        """Whether the weights of these conditions may be taken from the cache, and put there."""
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return False
        discrete = values and not any(value.is_floating_point() for value in values.values())
        return bool(discrete and self.sources[number].adapts)

    def _owner(self, owner: int | str) -> str:
        """What the names of an owner's encoders end in; nothing where they are shared."""
        return "" if self.spec.share_encoders else f"_{owner}"

    def _add_encoders(self) -> None:
        spec = self.spec
        used = {self._owner(n): _read_by(group) for n, group in enumerate(spec.groups)}
        if spec.share_encoders:
            used = {"": tuple(spec.encoded)}
        elif spec.generates_head:
            used[self._owner("head")] = tuple(spec.conditions)
        for owner, names in used.items():
            for name in names:
                self.encoders[name + owner] = build_encoder(
                    name,
                    spec.conditions[name],
                    default_width=spec.condition_width,
                    start=spec.start,
                    parts=zero_parts(spec.combine),
                    centred=spec.centred,
                    instance_width=spec.instance_width,
                )

    def encoders_of(self, name: str) -> list[ConditionEncoder]:
        """The encoders of a condition: one, or one for each that reads it where none is shared."""
        owners = {self._owner(owner) for owner in (*range(len(self.spec.groups)), "head")}
        keys = [name + owner for owner in sorted(owners)]
        found = [self.encoders[key] for key in keys if key in self.encoders]
        return [encoder for encoder in found if isinstance(encoder, ConditionEncoder)]

    def generator_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that write adapters, without those that are one (learned or stored)."""
        yield from self.encoders.parameters()
        yield from self.combiners.parameters()
        for module in self.sources:
            source = module.source
            if isinstance(source, CentredHypernetwork):
                held = {id(parameter) for parameter in source.shared.parameters()}
                yield from (p for p in source.parameters() if id(p) not in held)
            elif not isinstance(source, LearnedAdapter | StoredAdapters):
                yield from source.parameters()  # pyright: ignore

    @torch.no_grad()
    def divide_logits(self, divisor: float) -> None:
        """Divide what conditions add to the logits: bias, taste and output layers."""
        parts = [*self.biases.parameters(), *self.outputs.parameters()]
        if self.head is not None:
            parts += [] if self.head.bias is None else [self.head.bias.weight]
            parts += [] if self.head.taste_out is None else [self.head.taste_out]
        for parameter in parts:
            parameter.div_(divisor)

    def _combiner(self, names: Sequence[str], owner: str = "") -> Combiner:
        key = "+".join(names) + owner
        if not names:
            return Combiner({}, "concat", self.spec.start)
        if key not in self.combiners:
            widths = {name: int(self.encoders[name + owner].width) for name in names}  # pyright: ignore
            self.combiners[key] = Combiner(widths, self.spec.combine, self.spec.start)
        found = self.combiners[key]
        assert isinstance(found, Combiner)  # noqa: S101 - for the type checker
        return found

    def _head(
        self, encoded: Encoded, known: Bool[Tensor, " rows"] | None
    ) -> tuple[HeadWeights, Int[Tensor, " rows"] | None]:
        if not self.spec.writes_head:
            return HeadWeights(), None
        names = tuple(self.spec.conditions)
        values, rows = encoded.distinct(names)
        head = HeadWeights()
        if self.head is not None:
            head = self.head(encoded.combined(names, self._owner("head")))
        for name in self.biases:
            stored = self.biases[name](values[name])
            head = head._replace(bias=_sum(head.bias, stored))
        for name in self.outputs:
            matrix, bias = self.outputs[name](values[name])
            head = head._replace(bias=_sum(head.bias, bias), matrix=_sum(head.matrix, matrix))
        if known is None:
            return head, rows
        per_row = AdapterWeights((), head, rows).head_per_row()
        return per_row.silenced(known), None

    def _known(self, conditions: Mapping[str, Tensor]) -> Bool[Tensor, " rows"] | None:
        """Rows that are adapted at all; `None` when no condition has the policy ``"base"``."""
        known = None
        for name, condition in self.spec.conditions.items():
            if condition.unknown == "base" and name in conditions:
                of_condition = _known_values(self, name, conditions[name])
                known = of_condition if known is None else known & of_condition
        return known

    def _check(self, conditions: Mapping[str, Tensor], pending: Collection[str]) -> None:
        names = [name for name in self.spec.conditions if name not in pending]
        if missing := [name for name in names if name not in conditions]:
            raise ConditionError(f"missing condition {', '.join(missing)}")
        lengths = {name: conditions[name].shape[0] for name in names}
        if len(set(lengths.values())) > 1:
            raise ConditionError(f"conditions differ in length: {lengths}")


def _sum(before: Tensor | None, added: Tensor) -> Tensor:
    return added if before is None else before + added


def _silenced(weights: GroupWeights, site: int, known: Tensor) -> SiteWeights | Unwritten:
    """The weights of a site, one set per row, with no effect on rows that are not known."""
    if isinstance(weights.sites[site], Unwritten):
        return Unwritten(lambda: silenced(weights.at(site), known))
    return silenced(weights.at(site), known)


def _known_values(network: AdapterNetwork, name: str, value: Tensor) -> Tensor:
    if isinstance(network.spec.conditions[name], Attributes):
        return (value >= 0).any(dim=1)
    if value.is_floating_point():
        return ~value.isnan().all(dim=1)
    return value >= 0


def _read_by(group: GroupSpec) -> tuple[str, ...]:
    """Names of the conditions whose vectors a group is generated from."""
    return group.conditions if group.source == "generated" else ()


def build_network(spec: NetworkSpec) -> AdapterNetwork:
    """The network of a specification.

    Raises:
        ConfigError: See `NetworkSpec.check`.
    """
    spec.check()
    return AdapterNetwork(spec)
