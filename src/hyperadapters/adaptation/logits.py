"""Logits of rows for any vectors of their annotators, with derivatives by these vectors."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.adaptation.vectors import PersonalVectors
from hyperadapters.data.batches import RowBatch
from hyperadapters.methods import AnnotatorClassifier, Examples
from hyperadapters.methods.states import TextStates
from hyperadapters.tuner.conditioning import Active, conditioning_of

ROWS_PER_BATCH = 64
"""Rows that go through layers together, with what their derivatives need."""

ROWS_PER_HEAD = 1024
"""Rows of a batch where nothing but the head differs."""


class VectorLogits:
    """Rows of a classifier as functions of vectors; nothing of the classifier is changed.

    What lies below the first layer in which people differ is computed once per text and kept (see
    `TextStates`); where they differ in the head alone that is everything below it.

    Args:
        classifier: The classifier.
        examples: The rows; who their annotators are is not looked at.
    """

    def __init__(self, classifier: AnnotatorClassifier, examples: Examples) -> None:
        classifier.model.eval()
        self.vectors = PersonalVectors(classifier.network)
        self._classifier, self._examples = classifier, examples
        self._conditioning = conditioning_of(classifier.model)
        self._lengths = examples.tokens.lengths
        lower = classifier.lower
        self._lower = lower if lower is not None and lower.can_be_skipped else None
        self._depth = 0
        if self._lower is not None:
            shares = classifier.shares_texts
            self._depth = len(self._lower) if shares else classifier.first_deviating
        self._states: TextStates | None = None
        if self._lower is not None and self._depth:
            with torch.no_grad(), self._shared():
                self._states = TextStates(self._lower, self._depth, examples.tokens)

    def __call__(
        self, rows: Int[np.ndarray, " n"], vectors: Float[Tensor, "n width"]
    ) -> tuple[Float[Tensor, "n labels"], Float[Tensor, "n free width"]]:
        """See `newton.Evaluate`.

        Args:
            rows: Positions of rows.
            vectors: The joined vector of each row's annotator (see `PersonalVectors`).
        """
        lengths = self._lengths[self._examples.text_of_row[rows]]
        order = np.argsort(lengths, kind="stable")
        size = ROWS_PER_HEAD if self._classifier.shares_texts else ROWS_PER_BATCH
        logits, jacobians = [], []
        for start in range(0, len(order), size):
            some = order[start : start + size]
            found = self._batch(rows[some], vectors[torch.from_numpy(some)])
            logits.append(found[0])
            jacobians.append(found[1])
        back = torch.from_numpy(np.argsort(order))
        return torch.cat(logits)[back], torch.cat(jacobians)[back]

    def _batch(self, rows: np.ndarray, vectors: Tensor) -> tuple[Tensor, Tensor]:
        device = next(self._classifier.model.parameters()).device
        free = vectors.to(device, torch.float32).requires_grad_(True)
        with torch.enable_grad():
            logits = self._logits(rows, free).double()
            relative = (logits[:, 1:] - logits[:, :1]).sum(dim=0).unbind()
            parts = [
                torch.autograd.grad(one, free, retain_graph=number < len(relative) - 1)[0]
                for number, one in enumerate(relative)
            ]
        jacobian = torch.stack(parts, dim=1).double()
        return logits.detach().cpu(), jacobian.cpu()

    def _logits(self, rows: np.ndarray, vectors: Tensor) -> Tensor:
        batch = RowBatch.of(rows, self._examples.text_of_row)
        active = self._active(vectors, self._examples.attributes[rows])
        device, model = vectors.device, self._classifier.model
        text_of_row = torch.from_numpy(batch.text_of_row).to(device)
        tokens = self._examples.tokens.batch(batch.texts)
        inputs = {name: value.to(device) for name, value in tokens.items()}
        states = self._kept(batch.texts, device)
        held = self._conditioning.held(active)
        if self._classifier.shares_texts:
            with held, self._below(states), self._conditioning.sharing_texts(text_of_row):
                return model(**inputs).logits
        inputs = {name: value.index_select(0, text_of_row) for name, value in inputs.items()}
        per_row = None if states is None else states.index_select(0, text_of_row)
        with held, self._below(per_row):
            return model(**inputs).logits

    def _active(self, vectors: Tensor, attributes: np.ndarray) -> Active:
        """The weights of rows, of which each has an annotator of its own."""
        told = self._classifier.told(np.arange(len(vectors)), attributes)
        weights = self.vectors.weights(vectors, told)
        (adapter,) = self._conditioning.tuner.active_adapters
        return Active({adapter: weights}, {adapter: {}}, len(vectors), repeats=True)

    def _shared(self) -> AbstractContextManager[None]:
        """A block in which what all people share is applied."""
        nobody, attributes = np.array([-1]), self._classifier.attributes_of(np.array([-1]))
        given = self._classifier.told(nobody, attributes)
        return self._conditioning.held(self._conditioning.generate(given, None, repeats=True))

    @torch.no_grad()
    def _kept(self, texts: np.ndarray, device: torch.device) -> Tensor | None:
        if self._states is None:
            return None
        with self._shared():
            return self._states.of(texts).to(device)

    def _below(self, states: Tensor | None) -> AbstractContextManager[None]:
        """A block in which the kept layers are not run; `states` are what they would give."""
        if self._lower is None or states is None:
            return nullcontext()
        each = torch.arange(len(states), device=states.device)
        return self._lower.once_per_text(each, 0, states=states, depth=self._depth)
