"""Values and vectors of the conditions of one call."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.encoders import ConditionEncoder

if TYPE_CHECKING:
    from hyperadapters.hypernetworks.network import AdapterNetwork


class Encoded:
    """Values and vectors of one call, computed once for each set of conditions.

    Args:
        network: Whose encoders they are.
        conditions: Name → values, one per row.
        distinct: Whether the rows are taken to differ, and are left as they are.
    """

    def __init__(
        self,
        network: "AdapterNetwork",
        conditions: Mapping[str, Tensor],
        *,
        distinct: bool = False,
    ) -> None:
        self._network = network
        self._conditions = conditions
        self._are_distinct = distinct
        self._distinct: dict[tuple[str, ...], tuple[dict[str, Tensor], Tensor | None]] = {}
        self._combined: dict[tuple[tuple[str, ...], str], Tensor] = {}

    def distinct(
        self, names: Sequence[str]
    ) -> tuple[dict[str, Tensor], Int[Tensor, " rows"] | None]:
        """The different combinations of these conditions, and for each row which one it has."""
        key = tuple(names)
        if key not in self._distinct:
            values = {name: self._conditions[name] for name in names}
            self._distinct[key] = (values, None) if self._are_distinct else _distinct(values)
        return self._distinct[key]

    def combined(self, names: Sequence[str], owner: str = "") -> Float[Tensor, "n width"]:
        """Vectors of these combinations; noisy, and some of them absent, in training.

        Args:
            names: Names of the conditions.
            owner: Whose encoders, see `NetworkSpec.share_encoders`.
        """
        key = tuple(names), owner
        if key not in self._combined:
            self._combined[key] = self._combine(*key)
        return self._combined[key]

    def _combine(self, names: tuple[str, ...], owner: str) -> Tensor:
        network, spec = self._network, self._network.spec
        if not names:
            return next(network.parameters()).new_zeros(1, 0)
        # The order of the specification, not that of the call, fixes what stands where.
        values, _ = self.distinct(names)
        encoders = [_encoder(network, name + owner) for name in names]
        vectors = [e(values[name]) for e, name in zip(encoders, names, strict=True)]
        known = [e.known(values[name]) for e, name in zip(encoders, names, strict=True)]
        somebody = torch.stack(known).any(dim=0).unsqueeze(1)
        if network.training and spec.condition_dropout:
            kept = torch.rand(vectors[0].shape[0], 1, device=vectors[0].device)
            kept = kept >= spec.condition_dropout
            somebody = somebody & kept
            vectors = [
                torch.where(kept, vector, encoder.population())
                for vector, encoder in zip(vectors, encoders, strict=True)
            ]
        z = network._combiner(names, owner)(vectors)
        if network.training and spec.condition_noise:
            # Nobody in particular has no vector that could be noisy.
            z = z + spec.condition_noise * torch.randn_like(z) * somebody
        return z


def _distinct(values: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
    # Under torch.compile the number of distinct values is not known, so every row is its own.
    discrete = values and not any(value.is_floating_point() for value in values.values())
    if not discrete or torch.compiler.is_compiling():
        return values, None
    columns = [value.reshape(value.shape[0], -1) for value in values.values()]
    if columns[0].shape[0] == 1:
        return values, None
    found, rows = torch.unique(torch.cat(columns, dim=1), dim=0, return_inverse=True)
    parts = found.split([column.shape[1] for column in columns], dim=1)
    split = zip(values.items(), parts, strict=True)
    return {name: part.reshape(-1, *value.shape[1:]) for (name, value), part in split}, rows


def _encoder(network: "AdapterNetwork", name: str) -> ConditionEncoder:
    encoder = network.encoders[name]
    assert isinstance(encoder, ConditionEncoder)  # noqa: S101 - for the type checker
    return encoder
