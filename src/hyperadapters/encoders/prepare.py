"""What users pass as a condition → the tensor its encoder reads. Every check of values is here."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hyperadapters.conditions import POPULATION, Attributes, Condition, Lookup, Vector, mixture
from hyperadapters.encoders.build import checked_width
from hyperadapters.encoders.tensors import as_tensor
from hyperadapters.errors import MAX_ROWS_NAMED, ConditionError

_UNKNOWN = {
    "population": ", or -1 for the population",
    "base": ", or -1 for the backbone alone",
    "error": "",
}


def prepare(
    name: str,
    condition: Condition,
    value: Any,
    device: torch.device,
    instance_width: int | None = None,
) -> Tensor:
    """A value that a user gave → a tensor with one line per row, checked.

    While `torch.compile` traces, types and shapes are checked, and the range of indices inside the
    graph, but no other numbers.

    Args:
        name: Keyword of the condition.
        condition: Its declaration.
        value: For `Lookup` an index, one index per row, a mapping from index to weight, or one
            weight per condition for every row; for `Attributes` a mapping, one mapping per row, or
            their indices; for `Vector` and `Instance` a vector, or one per row. Lists, arrays and
            tensors are all welcome.
        device: Where the tensor goes.
        instance_width: Width of the backbone's hidden states, for `Instance`.

    Returns:
        Indices, shape ``(n,)`` for `Lookup`, ``(n, n_attributes)`` for `Attributes`; or floats,
        shape ``(n, size)`` for mixtures, ``(n, width)`` for `Vector` and `Instance`. n is 1 when
        one value was given for all rows.

    Raises:
        ConditionError: The value is missing, out of range, or of the wrong type or shape.
        ConfigError: The width of the backbone's hidden states is needed and not known.
    """
    if value is None:
        raise ConditionError(f"missing condition {name}")
    if isinstance(condition, Lookup):
        prepared = _lookup(name, condition, value)
    elif isinstance(condition, Attributes):
        prepared = _attributes(name, condition, value)
    elif isinstance(condition, Vector):
        prepared = _vectors(name, condition.width, value)
        if _readable(prepared):
            _check_vectors(name, prepared, missing_allowed=condition.unknown != "error")
    else:
        prepared = _vectors(name, checked_width(name, instance_width), value)
        if _readable(prepared):
            _check_vectors(name, prepared, missing_allowed=False)
    return prepared.to(device)


def _lookup(name: str, lookup: Lookup, value: Any) -> Tensor:
    if isinstance(value, Mapping):
        try:
            blend = mixture(value, lookup.size)
        except ConditionError as error:
            raise ConditionError(f"{name}: {error}") from None
        return _as_floats(torch.from_numpy(blend)).unsqueeze(0)
    tensor = as_tensor(name, value)
    mixtures = f"mixtures, shape (rows, {lookup.size})"
    if tensor.is_floating_point() and tensor.ndim == 2:
        if tensor.shape[1] != lookup.size:
            raise ConditionError(f"{name}: got shape {tuple(tensor.shape)}, wanted {mixtures}")
        tensor = _as_floats(tensor)
        if _readable(tensor):
            _check_vectors(name, tensor, missing_allowed=False)
        return tensor
    if not _is_integer(tensor):
        raise ConditionError(f"{name}: got {tensor.dtype}, wanted integers (or {mixtures})")
    if tensor.ndim > 1:
        raise ConditionError(
            f"{name}: got shape {tuple(tensor.shape)}, wanted one index per row, shape (rows,)"
        )
    index = tensor.reshape(-1).long()
    if _readable(index):
        _check_indices(name, lookup, index)
    else:
        lowest = 0 if lookup.unknown == "error" else POPULATION
        _assert_in_graph((index >= lowest) & (index < lookup.size), name)
    return index


def _check_indices(name: str, lookup: Lookup, index: Int[Tensor, " n"]) -> None:
    if index.numel() == 0:
        return
    low, high = torch.stack(torch.aminmax(index)).tolist()
    if high >= lookup.size or low < POPULATION:
        raise ConditionError(
            f"{name}: got index {high if high >= lookup.size else low}; "
            f"wanted 0 to {lookup.size - 1}{_UNKNOWN[lookup.unknown]}"
        )
    if low == POPULATION and lookup.unknown == "error":
        raise ConditionError(
            f"{name}: got -1 (unknown), which this model refuses; wanted 0 to {lookup.size - 1}"
        )


def _attributes(name: str, attributes: Attributes, value: Any) -> Tensor:
    rows = _rows_of_values(value)
    if rows is not None:
        try:
            tensor = torch.from_numpy(attributes.indices(rows))
        except ConditionError as error:
            raise ConditionError(f"{name}: {error}") from None
    else:
        tensor = as_tensor(name, value)
    if not _is_integer(tensor):
        raise ConditionError(
            f"{name}: got {tensor.dtype}, wanted integers, or a mapping of {_names(attributes)}"
        )
    tensor = _one_line_per_row(name, tensor, len(attributes.names), f"for {_names(attributes)}")
    index = tensor.long()
    if _readable(index):
        _check_attributes(name, attributes, index)
    else:
        sizes = index.new_tensor(attributes.sizes)
        _assert_in_graph((index >= POPULATION) & (index < sizes), name)
    return index


def _rows_of_values(value: Any) -> Sequence[Any] | None:
    """The rows, where they are given by name and not as indices."""
    if hasattr(value, "columns"):  # a pandas table
        return value.to_dict("records")
    if hasattr(value, "keys"):
        return [value]
    if isinstance(value, list | tuple) and value and hasattr(value[0], "keys"):
        return value
    return None


def _check_attributes(
    name: str, attributes: Attributes, index: Int[Tensor, "n n_attributes"]
) -> None:
    if index.shape[0] == 0:
        return
    lows, highs = torch.stack(torch.aminmax(index, dim=0)).tolist()
    for attribute, size, low, high in zip(
        attributes.names, attributes.sizes, lows, highs, strict=True
    ):
        if high >= size or low < POPULATION:
            raise ConditionError(
                f"{name}: attribute {attribute!r} got index {high if high >= size else low}; "
                f"wanted 0 to {size - 1}, or -1 for a missing value"
            )
    if attributes.unknown == "error" and (nothing := (index < 0).all(dim=1)).any():
        raise ConditionError(
            f"{name}: {_named(nothing)}: no value of {_names(attributes)}, which this model refuses"
        )


def _vectors(name: str, width: int, value: Any) -> Float[Tensor, "n width"]:
    tensor = as_tensor(name, value)
    if not tensor.is_floating_point():
        raise ConditionError(f"{name}: got {tensor.dtype}, wanted floats")
    return _as_floats(_one_line_per_row(name, tensor, width, "as a vector"))


def _check_vectors(name: str, rows: Float[Tensor, "n width"], *, missing_allowed: bool) -> None:
    finite = rows.isfinite().all(dim=1)
    if finite.all():
        return
    missing = rows.isnan().all(dim=1)
    if (spoilt := ~finite & ~missing).any():
        raise ConditionError(f"{name}: {_named(spoilt)}: NaN or infinite; wanted finite numbers")
    if not missing_allowed:
        raise ConditionError(
            f"{name}: {_named(missing)}: all NaN (missing), which this model refuses"
        )


def _one_line_per_row(name: str, tensor: Tensor, width: int, what: str) -> Tensor:
    if tensor.ndim not in (1, 2) or tensor.shape[-1] != width:
        raise ConditionError(
            f"{name}: got shape {tuple(tensor.shape)}, wanted ({width},) or (rows, {width}) {what}"
        )
    return tensor.reshape(-1, width)


def _as_floats(tensor: Tensor) -> Tensor:
    return tensor.to(torch.get_default_dtype())


def _is_integer(tensor: Tensor) -> bool:
    other = tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool
    return not other


def _readable(tensor: Tensor) -> bool:
    """Whether numbers can be looked at: not while tracing, and not on the meta device."""
    return not (torch.compiler.is_compiling() or tensor.is_meta)


def _assert_in_graph(fits: Bool[Tensor, "..."], name: str) -> None:
    """While tracing, a check of indices that becomes a part of the graph."""
    if not fits.is_meta:
        torch.ops.aten._assert_async.msg(fits.all(), f"{name}: an index is out of range")


def _names(attributes: Attributes) -> str:
    return ", ".join(attributes.names)


def _named(rows: Bool[Tensor, " n"]) -> str:
    numbers = rows.nonzero().flatten().tolist()
    shown = ", ".join(str(number) for number in numbers[:MAX_ROWS_NAMED])
    more = len(numbers) - MAX_ROWS_NAMED
    plural = "rows" if len(numbers) > 1 else "row"
    return f"{plural} {shown}" + (f" and {more} more" if more > 0 else "")
