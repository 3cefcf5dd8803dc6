"""What everyone would say of every text: all pairs, each thing computed as rarely as can be.

- The weights of an annotator are written once for the whole job (once per call where those of all
  annotators together would need more than `MAX_WEIGHT_BYTES`).
- What lies below the first layer in which annotators deviate runs once per text, and in that layer
  what is the same for all annotators does too (`CrossedLayer`).
- Above it a row is a pair. Rows of one text stand together, so that there is next to no padding,
  and batches are small enough for the processor's cache.
- Where a classifier reads the first position alone, the last layer computes no other.

The result is that of one row each, to the accuracy of float32.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.adapters import AdapterWeights, GroupWeights
from hyperadapters.backbones import LowerLayers
from hyperadapters.data.tokens import TokenizedTexts
from hyperadapters.methods.crossed_layer import CrossedLayer, can_be_crossed
from hyperadapters.tuner.active import Active
from hyperadapters.tuner.conditioning import conditioning_of

if TYPE_CHECKING:
    from hyperadapters.methods.classifier import AnnotatorClassifier

MAX_WEIGHT_BYTES = 256 * 2**20
"""Memory for the weights of annotators; more annotators are taken in several blocks."""

TOKENS_PER_BATCH = {"cpu": 4096}
TOKENS_PER_BATCH_ELSEWHERE = 65536

ROWS_PER_HEAD = 8192
"""Rows of a batch when only the head differs."""

READING_FIRST = tuple(
    f"{name}ForSequenceClassification"
    for name in ("Bert", "Camembert", "Electra", "Roberta", "XLMRoberta")
)
"""Classifiers of Transformers that read the first position alone."""

Tick = Callable[[int], None]
"""Is told how many more rows are done."""


class Everyone:
    """Some annotators, ready to be asked about any texts.

    Args:
        classifier: The classifier; its weights must not change meanwhile.
        annotators: Indices of the annotators, -1 for the population.

    Attributes:
        n_bytes: Memory for the weights that are kept from one call to the next.
    """

    def __init__(
        self, classifier: "AnnotatorClassifier", annotators: Int[np.ndarray, " annotators"]
    ) -> None:
        self._classifier = classifier
        self._conditioning = conditioning_of(classifier.model)
        self._annotators = torch.from_numpy(annotators)
        self._model: Any = classifier.backbone.model
        self._device = next(self._model.parameters()).device
        self._kept: Active | None = None
        self._block = self._annotators_per_block()
        self._lower: LowerLayers | None = None
        self._start = 0
        self._layers: list[CrossedLayer] | None = None
        lower = classifier.lower
        if lower is not None and lower.can_be_skipped:
            self._start = len(lower) if classifier.shares_texts else classifier.first_deviating
            self._lower = lower
            above = lower.layers[self._start :]
            if all(can_be_crossed(layer) for layer in above):
                self._layers = [CrossedLayer(layer) for layer in above]
        self._n_read = 1 if type(self._model).__name__ in READING_FIRST else None

    @torch.no_grad()
    def probabilities(
        self, tokens: TokenizedTexts, part: slice = slice(None), tick: Tick | None = None
    ) -> Float[np.ndarray, "texts annotators labels"]:
        """Probabilities of every label, float64, sum 1.

        Args:
            tokens: The texts.
            part: Which of the annotators.
            tick: Is told of every batch.
        """
        self._classifier.model.eval()
        annotators = self._annotators[part]
        out = np.empty((len(tokens), len(annotators), len(self._classifier.labels)))
        with self._classifier.in_precision():
            for start in range(0, len(annotators), self._block):
                block = annotators[start : start + self._block]
                active = self._written(block)
                for texts in self._groups(tokens.lengths, len(block)):
                    batch = tokens.batch(texts)
                    for done, logits in self._logits(batch, active, len(block)):
                        p = logits.double().softmax(dim=-1).cpu().numpy()
                        places = slice(start + done, start + done + len(p))
                        out[texts, places] = p.swapaxes(0, 1)
                        if tick is not None:
                            tick(p.shape[0] * p.shape[1])
        return out

    @property
    def _tokens_per_batch(self) -> int:
        return TOKENS_PER_BATCH.get(self._device.type, TOKENS_PER_BATCH_ELSEWHERE)

    def _groups(self, lengths: np.ndarray, n_annotators: int) -> Iterator[np.ndarray]:
        """Texts that are read together; only short ones where annotators alone fill a batch."""
        if self._classifier.shares_texts:
            most = max(1, ROWS_PER_HEAD // n_annotators)
            return _groups(lengths, self._tokens_per_batch, most)
        return _groups(lengths, self._tokens_per_batch // n_annotators, len(lengths))

    def _logits(
        self, inputs: dict[str, Tensor], active: Active, n_annotators: int
    ) -> Iterator[tuple[int, Float[Tensor, "annotators texts labels"]]]:
        """Logits of some texts by a block of annotators, a few annotators at a time.

        Yields:
            How many annotators came before, and the logits of the next ones.
        """
        inputs = {name: value.to(self._device) for name, value in inputs.items()}
        mask = inputs["attention_mask"]
        n_texts = len(mask)
        states = None
        if self._lower is not None:
            with self._conditioning.held(active):
                states = self._lower.states(inputs, self._start)
        size = ROWS_PER_HEAD // n_texts
        if not self._classifier.shares_texts:
            size = self._tokens_per_batch // mask.numel()
        size = max(1, size)
        for start in range(0, n_annotators, size):
            n = min(size, n_annotators - start)
            some = _some(active, start, n)
            with self._conditioning.held(some):
                logits = self._rows(inputs, states, some, n).float()
            yield start, logits.reshape(n, n_texts, -1)

    def _rows(
        self, inputs: dict[str, Tensor], states: Tensor | None, active: Active, n: int
    ) -> Tensor:
        """Logits of shape ``(n · texts, labels)``, all texts of an annotator together."""
        mask, model = inputs["attention_mask"], self._classifier.model
        if self._classifier.shares_texts:
            text_of_row = torch.arange(len(mask), device=self._device).repeat(n)
            with self._below(states, self._start), self._conditioning.sharing_texts(text_of_row):
                return model(**inputs).logits
        if self._layers is None or states is None:
            rows = {name: value.repeat(n, 1) for name, value in inputs.items()}
            repeated = None if states is None else states.repeat(n, 1, 1)
            with self._below(repeated, self._start):
                return model(**rows).logits
        states, (weights,) = states.unsqueeze(0), active.weights.values()
        kept = None if bool(mask.all()) else mask.bool()
        for layer in self._layers[:-1]:
            states = layer(states, kept, weights)
        states = self._layers[-1](states, kept, weights, self._n_read)
        rows = {name: value[:, : states.shape[2]].repeat(n, 1) for name, value in inputs.items()}
        with self._below(states.flatten(0, 1), self._start + len(self._layers)):
            return model(**rows).logits

    def _below(self, states: Tensor | None, depth: int) -> AbstractContextManager[None]:
        """A block in which the first layers are not run; `states` are what they would give."""
        if self._lower is None or states is None or not depth:
            return nullcontext()
        each = torch.arange(len(states), device=states.device)
        return self._lower.once_per_text(each, 0, states=states, depth=depth)

    def _written(self, annotators: Tensor) -> Active:
        """The weights of a block of annotators, one set each."""
        whole = len(annotators) == len(self._annotators)
        if whole and self._kept is not None:
            return self._kept
        indices = annotators.cpu().numpy()
        given = self._classifier.told(indices, self._classifier.attributes_of(indices))
        active = self._conditioning.generate(given, None, repeats=True)
        weights = {name: _aligned(of_adapter) for name, of_adapter in active.weights.items()}
        active = replace(active, weights=weights)
        if whole:
            self._kept = active
        return active

    @torch.no_grad()
    def _annotators_per_block(self) -> int:
        some = self._written(self._annotators[:2])
        self._kept = None
        n_bytes = max(1, sum(_bytes_per_annotator(w) for w in some.weights.values()))
        n = len(self._annotators)
        block = max(1, min(n, MAX_WEIGHT_BYTES // n_bytes))
        self.n_bytes = n_bytes * n if block == n else 0
        return block


def _groups(lengths: np.ndarray, tokens: int, most: int) -> Iterator[np.ndarray]:
    """Texts of similar length together, no more than so many tokens (padded) and texts."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + 1
        last = min(len(order), start + most)
        while end < last and (end + 1 - start) * lengths[order[end]] <= tokens:
            end += 1
        yield order[start:end]
        start = end


def _aligned(weights: AdapterWeights) -> AdapterWeights:
    """The weights with a set for each annotator in its place, rather than one looked up."""
    groups = [
        GroupWeights([group.at(site) for site in range(len(group.sites))])
        if isinstance(group, GroupWeights)
        else group
        for group in weights.groups
    ]
    parts = {"head": weights.head_per_row(), "token": weights.token_per_row()}
    return replace(weights, groups=groups, head_rows=None, **parts)


def _some(active: Active, start: int, n: int) -> Active:
    """The weights of some of the annotators."""

    def cut(tensor: Tensor) -> Tensor:
        return tensor if len(tensor) == 1 else tensor[start : start + n]

    def cut_site(site: Any) -> Any:
        return type(site)(*(None if tensor is None else cut(tensor) for tensor in site))

    weights = {}
    for name, old in active.weights.items():
        groups = [
            GroupWeights([cut_site(site) for site in group.sites])
            if isinstance(group, GroupWeights)
            else group
            for group in old.groups
        ]
        head = old.head.mapped(cut)
        token = None if old.token is None else cut(old.token)
        weights[name] = replace(old, groups=groups, head=head, token=token, n_rows=n)
    return replace(active, weights=weights, n_rows=n)


def _bytes_per_annotator(weights: AdapterWeights) -> int:
    groups = [group for group in weights.groups if isinstance(group, GroupWeights)]
    # Without gradients all are written.
    tensors = [t for group in groups for site in group.sites for t in site]  # pyright: ignore
    parts = (*tensors, *weights.head.of_conditions, weights.token)
    found = [t for t in parts if t is not None and len(t) > 1]
    return sum(t.numel() // len(t) * t.element_size() for t in found)
