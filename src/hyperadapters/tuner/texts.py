"""A batch that asks several people about the same text reads it once, as far up as it can."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hyperadapters.backbones.lower import LowerLayers
from hyperadapters.errors import ConditionError
from hyperadapters.hypernetworks import CentredHypernetwork
from hyperadapters.tuner.conditioning import Conditioning, conditioning_of


@contextmanager
def shared_texts(model: nn.Module, text_of_row: Tensor) -> Iterator[None]:
    """In this block the layers below all that differs between rows are run once per text.

    The model is called as always, with one line of input for every row; the result is the same.
    Layers that are adapted by what all conditions share count as equal, those in which conditions
    deviate do not, nor anything above them; `layers_to_transform` and `deviating_layers` of the
    configuration say which these are. Where dropout is on it falls alike on the rows of a text, and
    nowhere below the first adapted layer.

    Args:
        model: A `PeftModel` with a hyperadapter.
        text_of_row: For every row of the batches inside the number of its text, shape ``(rows,)``,
            from 0 on without gaps; rows of one text have equal inputs, with equal padding.

    Raises:
        ConditionError: The model has no hyperadapter, or the numbers are not those of texts.

    Example:
        >>> texts, text_of_row = input_ids.unique(dim=0, return_inverse=True)
        >>> with shared_texts(model, text_of_row):
        ...     model(input_ids=input_ids, attention_mask=mask, annotator_ids=ids)
    """
    conditioning = conditioning_of(model)
    _check(text_of_row)
    lower = LowerLayers.of(conditioning.tuner.model)
    end = shared_depth(conditioning, len(lower)) if lower is not None else 0
    # Checkpointed layers are run again when this block is over.
    checkpointing = getattr(conditioning.tuner.model, "is_gradient_checkpointing", False)
    if lower is None or not end or (checkpointing and torch.is_grad_enabled()):
        yield
        return
    frozen = frozen_depth(conditioning, len(lower))
    with lower.evaluating(frozen), lower.once_per_text(text_of_row, end):
        yield


def shared_depth(conditioning: Conditioning, n_layers: int) -> int:
    """Number of the first layer in which rows differ; `n_layers` if none is."""
    return min([n_layers, *_layers(conditioning, deviating=True)])


def frozen_depth(conditioning: Conditioning, n_layers: int) -> int:
    """Number of the first adapted layer; `n_layers` if none is."""
    return min([n_layers, *_layers(conditioning, deviating=False)])


def _layers(conditioning: Conditioning, *, deviating: bool) -> Iterator[int]:
    """Numbers of adapted layers in the part that reads; 0 stands for what is in no layer."""
    tuner = conditioning.tuner
    for network in (tuner.network(adapter) for adapter in tuner.active_adapters):
        if deviating and network.token is not None:
            yield 0
        for group, source in zip(network.spec.groups, network.sources, strict=True):
            chosen = range(len(group.placements))
            if deviating:
                if not source.adapts:  # pyright: ignore[reportAttributeAccessIssue]
                    continue
                inner = source.source  # pyright: ignore[reportAttributeAccessIssue]
                if isinstance(inner, CentredHypernetwork) and not group.gains:
                    chosen = inner.deviating_sites
            for site in (group.placements[number].site for number in chosen):
                if not _writes(tuner.model, site.name):
                    yield site.layer or 0


def _writes(model: nn.Module, site: str) -> bool:
    """Whether a module belongs to the decoder of an encoder–decoder, which reads no texts."""
    config = getattr(model, "config", None)
    parts = site.split(".")
    return bool(getattr(config, "is_encoder_decoder", False)) and "decoder" in parts


def _check(text_of_row: Tensor) -> None:
    whole = text_of_row.ndim == 1 and not text_of_row.is_floating_point() and len(text_of_row)
    if not whole or len(text_of_row.unique()) != int(text_of_row.max()) + 1:
        raise ConditionError(
            "text_of_row: wanted the number of each row's text, from 0 on without gaps, got "
            f"{text_of_row.dtype} of shape {tuple(text_of_row.shape)}"
        )
