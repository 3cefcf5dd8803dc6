"""Which weights are applied at the moment, and for how long."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hyperadapters.adapters import AdapterWeights
from hyperadapters.errors import ConditionError

if TYPE_CHECKING:
    from hyperadapters.tuner.model import HyperAdapterModel

# Instance attribute of the adapted Transformers model that holds its `Conditioning`.
ATTRIBUTE = "_hyperadapters"


class Conditioning:
    """The state of one adapted model between the start and the end of a call.

    Layers and head read it; the model's `forward` and `generate` open and close it. It belongs to
    one model, never to the process, so that several models can live side by side.
    """

    def __init__(self, tuner: "HyperAdapterModel") -> None:
        self.tuner = tuner
        self.enabled = True
        self._active: dict[str, AdapterWeights] | None = None
        self._text_of_row: Tensor | None = None

    @property
    def is_active(self) -> bool:
        """Whether weights are applied at the moment."""
        return self.enabled and self._active is not None

    def weights(self, adapter: str) -> AdapterWeights:
        """The weights applied at the moment.

        Raises:
            ConditionError: The layer is running outside of the model's `forward` or `generate`.
        """
        if self._active is None or adapter not in self._active:
            raise ConditionError(
                "an adapted layer was called without a condition; call the whole model with its "
                "conditions, or wrap the call in `with hyperadapters.conditioned(model, ...)`"
            )
        return self._active[adapter]

    @contextmanager
    def applied(self, conditions: Mapping[str, Any], rows: int | None) -> Iterator[None]:
        """Apply the weights of these conditions until the end of the block.

        Without any condition the weights of an enclosing block stay in force.

        Args:
            conditions: Keyword → index, or indices with one entry per row; `None` is missing.
            rows: Number of rows of the batch, where it is known.

        Raises:
            ConditionError: A condition is missing or does not fit the batch.
        """
        given = {name: value for name, value in conditions.items() if value is not None}
        if not self.enabled or (not given and self._active is not None):
            yield
            return
        previous = self._active
        self._active = self._generate(given, rows)
        try:
            yield
        finally:
            self._active = previous

    @property
    def text_of_row(self) -> Tensor | None:
        """For every row the position of its text in the batch; `None` when they are the same."""
        return self._text_of_row

    @contextmanager
    def sharing_texts(self, text_of_row: Tensor) -> Iterator[None]:
        """In this block the batch holds distinct texts, and the head makes rows of them.

        Exact only while the LoRA weights do not differ from row to row.

        Args:
            text_of_row: For every row the position of its text in the batch, shape ``(rows,)``.
        """
        previous = self._text_of_row
        self._text_of_row = text_of_row
        try:
            yield
        finally:
            self._text_of_row = previous

    def _generate(self, given: Mapping[str, Any], rows: int | None) -> dict[str, AdapterWeights]:
        rows = rows if self._text_of_row is None else int(self._text_of_row.shape[0])
        weights = {}
        for adapter in self.tuner.active_adapters:
            network = self.tuner.hyperadapter_network[adapter]
            device = next(network.parameters()).device
            indices = {name: _as_indices(name, v, rows, device) for name, v in given.items()}
            generated = network(indices)
            # A single condition for the whole batch, however long: no row has one of its own.
            single = indices and all(index.shape[0] == 1 for index in indices.values())
            weights[adapter] = replace(generated, rows=None) if single else generated
        return weights


def conditioning_of(model: nn.Module) -> Conditioning:
    """The conditioning of a `PeftModel` or of the Transformers model inside it.

    Raises:
        ConditionError: The model has no hyperadapter.
    """
    for module in model.modules():
        if ATTRIBUTE in module.__dict__:
            return module.__dict__[ATTRIBUTE]
    raise ConditionError(f"{type(model).__name__} has no hyperadapter")


@contextmanager
def conditioned(model: nn.Module, **conditions: Any) -> Iterator[None]:
    """Apply conditions to every call in the block, for callers that cannot pass keywords.

    Args:
        model: A `PeftModel` with a hyperadapter (or the model inside it).
        **conditions: Keyword → one index for all rows, or indices with one entry per row.

    Raises:
        ConditionError: The model has no hyperadapter, or a condition is missing or out of range.

    Example:
        >>> with conditioned(model, annotator_ids=17):
        ...     pipeline(texts)
    """
    with conditioning_of(model).applied(conditions, rows=None):
        yield


def _as_indices(name: str, value: Any, rows: int | None, device: torch.device) -> Tensor:
    index = torch.as_tensor(value, device=device)
    if index.is_floating_point() or index.dtype == torch.bool or index.is_complex():
        raise ConditionError(f"{name}: got {index.dtype}, wanted integers")
    if index.ndim == 0:
        return index.reshape(1).long()
    if index.ndim != 1:
        raise ConditionError(
            f"{name}: got shape {tuple(index.shape)}, wanted one index per row, shape (rows,)"
        )
    if rows is not None and index.shape[0] != rows:
        raise ConditionError(
            f"{name}: got {index.shape[0]} indices for a batch of {rows} rows, wanted one per row"
        )
    return index.long()
