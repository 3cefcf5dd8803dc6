"""Questions that are joined into one pass through the model.

Few annotators for a text are rows of a mixed batch, whoever they are. Many annotators (a jury,
everyone) are asked by `Everyone`, which keeps the weights that were written for them; the sets of
annotators asked last stay in memory (`Kept`).
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from hyperadapters.data.batches import RowBatch, prediction_batches
from hyperadapters.data.tokens import TokenizedTexts, tokenize
from hyperadapters.methods import AnnotatorClassifier, Examples
from hyperadapters.methods.everyone import Everyone
from hyperadapters.serving.lanes import Lanes

FEW = 8
"""So many annotators of a text, and no more, are rows of a mixed batch."""

ROWS = 16
"""Rows of a mixed batch that go through the model together."""

FEW_ROWS = 4
"""So few are not shared out among several copies of the model."""

MAX_KEPT_BYTES = 512 * 2**20
"""Memory for the weights of sets of annotators that were asked before."""

Probabilities = Float[np.ndarray, "texts annotators labels"]


@dataclass(frozen=True)
class Asked:
    """Some texts, and some annotators who are asked about all of them.

    Attributes:
        texts: The texts.
        pairs: The second texts, where texts are pairs.
        annotators: Their indices, -1 for nobody in particular.
    """

    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    annotators: tuple[int, ...]

    @property
    def n_rows(self) -> int:
        """Texts × annotators."""
        return len(self.texts) * len(self.annotators)


class Kept:
    """Sets of annotators with the weights that were written for them, the latest ones.

    Args:
        classifier: The classifier.
        max_bytes: Weights of sets beyond this are written anew; the last set is always kept.
    """

    def __init__(self, classifier: AnnotatorClassifier, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._classifier, self._max_bytes = classifier, max_bytes
        self._sets: OrderedDict[tuple[int, ...], Everyone] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sets)

    def of(self, annotators: tuple[int, ...]) -> Everyone:
        """These annotators, ready to be asked."""
        if annotators not in self._sets:
            self._sets[annotators] = self._classifier.everyone(np.asarray(annotators, np.int64))
        self._sets.move_to_end(annotators)
        while len(self._sets) > 1 and self._n_bytes() > self._max_bytes:
            self._sets.popitem(last=False)
        return self._sets[annotators]

    def _n_bytes(self) -> int:
        return sum(found.n_bytes for found in self._sets.values())


@torch.no_grad()
def answers_to(
    classifier: AnnotatorClassifier,
    kept: Kept,
    questions: Sequence[Asked],
    lanes: Lanes | None = None,
) -> list[Probabilities]:
    """Probabilities of every label for each question; the same as if each were asked alone.

    Args:
        classifier: The classifier.
        kept: What is kept for it.
        questions: The questions.
        lanes: The classifier and copies of it, where there are any.
    """
    lanes = lanes or Lanes([classifier])
    answers: list[Probabilities | None] = [None] * len(questions)
    together: dict[tuple[int, ...], list[int]] = {}
    mixed: list[int] = []
    for place, question in enumerate(questions):
        if len(question.annotators) <= FEW:
            mixed.append(place)
        else:
            together.setdefault(question.annotators, []).append(place)
    for annotators, places in together.items():
        some = [questions[place] for place in places]
        found = kept.of(annotators).probabilities(_tokens(classifier, some))
        ends = np.cumsum([len(question.texts) for question in some])[:-1]
        for place, part in zip(places, np.split(found, ends), strict=True):
            answers[place] = part
    if mixed:
        found = _mixed(classifier, lanes, [questions[place] for place in mixed])
        for place, part in zip(mixed, found, strict=True):
            answers[place] = part
    return [answer for answer in answers if answer is not None]


def _tokens(classifier: AnnotatorClassifier, questions: Sequence[Asked]) -> TokenizedTexts:
    texts = [text for question in questions for text in question.texts]
    pairs = [pair for question in questions for pair in question.pairs or ()]
    tokenizer, length = classifier.backbone.tokenizer, classifier.max_length
    return tokenize(tokenizer, texts, pairs or None, length)


def _mixed(
    classifier: AnnotatorClassifier, lanes: Lanes, questions: Sequence[Asked]
) -> list[Probabilities]:
    """Rows of any texts and annotators; a text that occurs several times is read once."""
    distinct: dict[tuple[str, str | None], int] = {}
    text_of_row: list[int] = []
    annotators: list[int] = []
    for question in questions:
        pairs: Sequence[str | None] = question.pairs or [None] * len(question.texts)
        for text in zip(question.texts, pairs, strict=True):
            place = distinct.setdefault(text, len(distinct))
            text_of_row += [place] * len(question.annotators)
            annotators += question.annotators
    seconds = [pair for _, pair in distinct if pair is not None]
    who = np.asarray(annotators, np.int64)
    tokens = tokenize(
        classifier.backbone.tokenizer,
        [text for text, _ in distinct],
        seconds or None,
        classifier.max_length,
    )
    examples = Examples(
        np.asarray(text_of_row, np.int64),
        who,
        np.full(len(who), -1),
        tokens,
        classifier.attributes_of(who),
    )
    found = _probabilities(lanes, examples, len(classifier.labels))
    shapes = [(len(question.texts), len(question.annotators)) for question in questions]
    ends = np.cumsum([n * m for n, m in shapes])[:-1]
    parts = np.split(found, ends)
    return [part.reshape(*shape, -1) for part, shape in zip(parts, shapes, strict=True)]


def _probabilities(
    lanes: Lanes, examples: Examples, n_labels: int
) -> Float[np.ndarray, "rows labels"]:
    """As the classifier's own, in batches of texts of similar length: less is padding."""
    found = np.empty((len(examples), n_labels))

    def answer(classifier: AnnotatorClassifier, batch: RowBatch) -> None:
        classifier.model.eval()
        logits = classifier.logits(examples, batch)
        found[batch.rows] = logits.double().softmax(dim=-1).cpu().numpy()

    share = max(FEW_ROWS, -(-len(examples) // len(lanes)))
    size = min(ROWS, share)
    batches = [*prediction_batches(examples.text_of_row, examples.tokens.lengths, size)]
    lanes.each(answer, batches)
    return found
