"""From hidden units to tensors: one head per weight shape, in three kinds.

``"mlp"``: a linear map to all values of a tensor. ``"basis"``: a linear map to a few coefficients
of learned basis tensors. ``"chunked"``: a linear map to one chunk of a tensor, used for all its
chunks (Ha et al. 2017, https://arxiv.org/abs/1609.09106; von Oswald et al. 2020,
https://arxiv.org/abs/1906.00695), so that its size does not grow with the width of the backbone.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.adapters import Placement
from hyperadapters.encoders import Start
from hyperadapters.hypernetworks.trunk import Trunk
from hyperadapters.hypernetworks.twin import TwinColumns

HeadKind = Literal["mlp", "basis", "chunked"]
Generated = list[dict[str, Tensor]]


@dataclass(frozen=True)
class Target:
    """A tensor that is generated.

    Attributes:
        site: Position of its site.
        name: What it is, such as ``"a"``.
        shape: Its shape, without the axis of conditions.
        fan_in: Number of inputs that it sums over.
    """

    site: int
    name: str
    shape: tuple[int, ...]
    fan_in: int

    @property
    def key(self) -> str:
        """Tensors of one name and shape share a head."""
        return f"{self.name}_{'x'.join(str(size) for size in self.shape)}"

    @property
    def std(self) -> float:
        """A factor A of LoRA has entries of about 1/√in_width; so has what is generated."""
        return 1 / math.sqrt(max(self.shape))


def targets_of(placements: Sequence[Placement], names: Sequence[str] | None) -> list[Target]:
    """The tensors to generate; those of the given names, or all."""
    return [
        Target(site, name, shape, place.fan_in[name])
        for site, place in enumerate(placements)
        for name, shape in place.shapes.items()
        if names is None or name in names
    ]


class Heads(nn.Module, ABC):
    """Generates a list of tensors from the hidden units of a trunk.

    Args:
        targets: What to generate.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        super().__init__()
        self.targets = tuple(targets)

    @property
    def _members(self) -> Mapping[str, list[Target]]:
        return self._members_at(None)

    def _members_at(self, only: int | None) -> Mapping[str, list[Target]]:
        """The targets of one site, or of all, by what they share."""
        members: defaultdict[str, list[Target]] = defaultdict(list)
        for target in self.targets:
            if only in (None, target.site):
                members[target.key].append(target)
        return members

    @abstractmethod
    def reset_parameters(self, start: Start, *, zero: bool) -> None:
        """Start again; with ``"lora"`` and `zero` the heads are zero."""

    @abstractmethod
    def generate(
        self, trunk: Trunk, z: Float[Tensor, "n width"], scale: float, only: int | None = None
    ) -> Generated:
        """Per site name → tensor with leading axis n.

        Args:
            trunk: What makes hidden units of the vectors.
            z: Condition vectors.
            scale: Factor on the hidden units.
            only: The one site whose tensors are wanted; those of the others are left out.
        """

    def _collect(self, values: Mapping[tuple[int, str], Tensor]) -> Generated:
        sites: Generated = [{} for _ in range(1 + max(target.site for target in self.targets))]
        for (site, name), value in values.items():
            sites[site][name] = value
        return sites


class LinearHeads(Heads):
    """One linear map per weight shape, without bias."""

    def __init__(self, targets: Sequence[Target], hidden_width: int) -> None:
        super().__init__(targets)
        self.maps = nn.ModuleDict(
            {
                key: TwinColumns(hidden_width, math.prod(members[0].shape))
                for key, members in self._members.items()
            }
        )

    def reset_parameters(self, start: Start, *, zero: bool) -> None:  # noqa: D102
        for key, members in self._members.items():
            linear = self.maps[key]
            assert isinstance(linear, TwinColumns)  # noqa: S101 - for the type checker
            _reset(linear, members[0], start, zero=zero)

    def generate(  # noqa: D102
        self, trunk: Trunk, z: Float[Tensor, "n width"], scale: float, only: int | None = None
    ) -> Generated:
        units = _Units(trunk, z, scale, only)
        values = {}
        for key, members in self._members_at(only).items():
            generated = self.maps[key](units.of(members))
            for target, value in zip(members, generated.unbind(dim=1), strict=True):
                values[target.site, target.name] = value.view(-1, *target.shape)
        return self._collect(values)


class BasisHeads(Heads):
    """Coefficients of learned basis tensors, per weight shape.

    Args:
        targets: What to generate.
        hidden_width: Number of hidden units.
        n_basis: Number of basis tensors per weight shape.
    """

    def __init__(self, targets: Sequence[Target], hidden_width: int, n_basis: int) -> None:
        super().__init__(targets)
        self.n_basis = n_basis
        keys = self._members
        self.coefficients = nn.ModuleDict({k: TwinColumns(hidden_width, n_basis) for k in keys})
        self.basis = nn.ParameterDict(
            {k: torch.empty(n_basis, *members[0].shape) for k, members in keys.items()}
        )

    def reset_parameters(self, start: Start, *, zero: bool) -> None:  # noqa: D102
        for key, members in self._members.items():
            linear, basis = self.coefficients[key], self.basis[key]
            assert isinstance(linear, TwinColumns)  # noqa: S101 - for the type checker
            nn.init.normal_(linear.weight, std=1 / math.sqrt(linear.in_features))
            std = members[0].std / math.sqrt(self.n_basis)
            if start == "hyperfan-in":
                std = 1 / math.sqrt(members[0].fan_in * self.n_basis)
            nn.init.normal_(basis, std=0.0 if zero and start == "lora" else std)
            if start == "zero-change":
                # Half of the coefficients are not zero, but their tensors are; half are zero, but
                # their tensors are not.
                basis.data[: self.n_basis // 2] = 0.0
                linear.oppose(slice(self.n_basis // 2, None))

    def generate(  # noqa: D102
        self, trunk: Trunk, z: Float[Tensor, "n width"], scale: float, only: int | None = None
    ) -> Generated:
        units = _Units(trunk, z, scale, only)
        values = {}
        for key, members in self._members_at(only).items():
            coefficients = self.coefficients[key](units.of(members))
            # Autocast does not know this product.
            basis = self.basis[key].to(coefficients.dtype)
            generated = torch.tensordot(coefficients, basis, dims=1)
            for target, value in zip(members, generated.unbind(dim=1), strict=True):
                values[target.site, target.name] = value
        return self._collect(values)


class ChunkedHeads(Heads):
    """One linear map per chunk shape; a chunk says by its vector which one it is.

    A tensor is cut along its longer axis into chunks of `chunk_width`; the last one may be cut off.

    Args:
        targets: What to generate.
        hidden_width: Number of hidden units.
        chunk_width: Length of a chunk.
    """

    def __init__(self, targets: Sequence[Target], hidden_width: int, chunk_width: int) -> None:
        super().__init__(targets)
        self.chunk_width = chunk_width
        # Chunks are numbered over all tensors of one name: (name, position) → number.
        self._numbers: dict[tuple[str, int], int] = {}
        maps: dict[str, TwinColumns] = {}
        for target in self.targets:
            for position in range(self._count(target.shape)):
                self._numbers.setdefault((target.name, position), len(self._numbers))
            shape = self._chunk_shape(target.shape)
            maps.setdefault(self._key(target), TwinColumns(hidden_width, math.prod(shape)))
        self.maps = nn.ModuleDict(maps)

    @property
    def n_chunks(self) -> int:
        """Number of different chunks."""
        return len(self._numbers)

    def reset_parameters(self, start: Start, *, zero: bool) -> None:  # noqa: D102
        first = {self._key(target): target for target in reversed(self.targets)}
        for key, target in first.items():
            linear = self.maps[key]
            assert isinstance(linear, TwinColumns)  # noqa: S101 - for the type checker
            _reset(linear, target, start, zero=zero)

    def generate(  # noqa: D102
        self, trunk: Trunk, z: Float[Tensor, "n width"], scale: float, only: int | None = None
    ) -> Generated:
        values: dict[tuple[int, str], Tensor] = {}
        members: defaultdict[str, list[Target]] = defaultdict(list)
        for target in self.targets:
            if only in (None, target.site):
                members[self._key(target)].append(target)
        for key, targets in members.items():
            units = [(t, p) for t in targets for p in range(self._count(t.shape))]
            hidden = trunk(
                z,
                [target.site for target, _ in units],
                [self._numbers[target.name, position] for target, position in units],
            )
            generated, done = self.maps[key](hidden * scale), 0
            for target in targets:
                count = self._count(target.shape)
                chunks = generated[:, done : done + count]
                values[target.site, target.name] = self._joined(chunks, target.shape)
                done += count
        return self._collect(values)

    def _joined(self, chunks: Tensor, shape: tuple[int, ...]) -> Tensor:
        n, count = chunks.shape[:2]
        axis = _long_axis(shape)
        pieces = chunks.view(n, count, *self._chunk_shape(shape)).unbind(dim=1)
        return torch.cat(pieces, dim=1 + axis).narrow(1 + axis, 0, shape[axis])

    def _count(self, shape: tuple[int, ...]) -> int:
        return math.ceil(shape[_long_axis(shape)] / self._length(shape))

    def _length(self, shape: tuple[int, ...]) -> int:
        return min(self.chunk_width, shape[_long_axis(shape)])

    def _chunk_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        axis = _long_axis(shape)
        return (*shape[:axis], self._length(shape), *shape[axis + 1 :])

    def _key(self, target: Target) -> str:
        sizes = "x".join(str(size) for size in self._chunk_shape(target.shape))
        return f"{target.name}_{sizes}"


class _Units:
    """Hidden units of one site, or of all.

    Args:
        trunk: What makes them.
        z: Condition vectors, shape ``(n, width)``.
        scale: Factor on them.
        only: The one site; `None` for all.
    """

    def __init__(self, trunk: Trunk, z: Tensor, scale: float, only: int | None) -> None:
        self._hidden = trunk(z, None if only is None else [only]) * scale
        self._is_alone = only is not None

    def of(self, members: Sequence[Target]) -> Float[Tensor, "n members hidden"]:
        """Those of the sites of these targets."""
        return self._hidden[:, [0 if self._is_alone else target.site for target in members]]


def build_heads(
    kind: HeadKind,
    targets: Sequence[Target],
    hidden_width: int,
    *,
    n_basis: int = 16,
    chunk_width: int = 256,
) -> Heads:
    """Heads of a kind."""
    if kind == "basis":
        return BasisHeads(targets, hidden_width, n_basis)
    if kind == "chunked":
        return ChunkedHeads(targets, hidden_width, chunk_width)
    return LinearHeads(targets, hidden_width)


def _reset(linear: TwinColumns, target: Target, start: Start, *, zero: bool) -> None:
    std = target.std / math.sqrt(linear.in_features)
    if start == "hyperfan-in":
        # Chang, Flaks & Lipson 2020, https://openreview.net/forum?id=H1lma24tPB, without the
        # factor 2 of ReLU: what is generated has variance E[u²] / fan-in.
        std = 1 / math.sqrt(target.fan_in * linear.in_features)
    nn.init.normal_(linear.weight, std=0.0 if zero and start == "lora" else std)
    if start == "zero-change":
        linear.oppose()


def _long_axis(shape: tuple[int, ...]) -> int:
    return max(range(len(shape)), key=lambda axis: shape[axis])
