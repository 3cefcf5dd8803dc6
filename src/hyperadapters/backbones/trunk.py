"""The frozen part of an encoder below the first adapted layer, run once per text.

Nothing below the first adapted layer depends on who is asked, so its output can be computed once
per text and kept for as long as training lasts. The rest of the model then starts from it. The
result is that of the whole model (the frozen part runs without dropout in both cases).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


def layer_count(model: Any) -> int | None:
    """Number of layers of a BERT-type encoder; `None` for models that are built otherwise."""
    base = model.base_model
    layers = getattr(getattr(base, "encoder", None), "layer", None)
    known = isinstance(layers, nn.ModuleList) and hasattr(base, "embeddings")
    return len(layers) if known and isinstance(layers, nn.ModuleList) else None


class Trunk:
    """Embeddings and the first `depth` layers of a BERT-type encoder.

    Args:
        model: A sequence classifier of Transformers with `layer_count(model)` layers.
        depth: Number of layers below the first adapted one, at least 1.
    """

    def __init__(self, model: Any, depth: int) -> None:
        self._base = model.base_model
        self._embeddings = self._base.embeddings
        self._layers = self._base.encoder.layer
        self.depth = depth

    @torch.no_grad()
    def states(self, inputs: dict[str, Tensor]) -> Float[Tensor, "texts positions width"]:
        """Hidden states below the first adapted layer, without dropout.

        Args:
            inputs: What the tokenizer made: `input_ids`, `attention_mask`, perhaps
                `token_type_ids`, each of shape ``(texts, positions)``.
        """
        self._embeddings.eval()
        lower = self._layers[: self.depth].eval()
        moved = {name: value.to(self._base.device) for name, value in inputs.items()}
        with self._replaced(self._embeddings, lower):
            return self._base(**moved).last_hidden_state

    def onward(self, inputs: dict[str, Tensor], end: int) -> Float[Tensor, "texts positions width"]:
        """The same states some layers further up, with gradients.

        Args:
            inputs: `inputs_embeds`, the output of `states`, and `attention_mask`.
            end: Number of the first layer that is not run.
        """
        with self._replaced(_PassThrough(), self._layers[self.depth : end]):
            return self._base(**inputs).last_hidden_state

    @contextmanager
    def skipped(self, start: int | None = None) -> Iterator[None]:
        """In this block the model starts from states given as `inputs_embeds`.

        Args:
            start: Number of the first layer that is run; by default the first one that is adapted.
        """
        first = self.depth if start is None else start
        with self._replaced(_PassThrough(), self._layers[first:]):
            yield

    @contextmanager
    def _replaced(self, embeddings: nn.Module, layers: nn.ModuleList) -> Iterator[None]:
        before = self._base.embeddings, self._base.encoder.layer
        self._base.embeddings, self._base.encoder.layer = embeddings, layers
        try:
            yield
        finally:
            self._base.embeddings, self._base.encoder.layer = before


class _PassThrough(nn.Module):
    """Stands in for the embeddings: the states have been computed already."""

    def forward(self, inputs_embeds: Tensor | None = None, **kwargs: Any) -> Tensor | None:
        return inputs_embeds
