"""The vectors of people whom a classifier has never seen, from rows with their labels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hyperadapters.adaptation.amortised import SetEncoder, Told
from hyperadapters.adaptation.logits import VectorLogits
from hyperadapters.adaptation.newton import MAX_STEPS, Evaluate, Objectives, kept_directions
from hyperadapters.adaptation.posterior import Posterior
from hyperadapters.adaptation.prior import Prior
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.tables.frames import column_of

MAX_NUMBERS = 2**25
"""Derivatives that are kept at a time, in double precision; more people are taken in blocks."""

Tick = Callable[[int, int], None]
"""Is told how many people are done, and of how many."""


@dataclass(frozen=True)
class Found:
    """What was found out about some people.

    Attributes:
        posterior: Their names, and how sure it is.
        vectors: Their joined vectors (see `PersonalVectors`), the most probable ones.
        n_labels: Of how many labels they were found.
        converged: Whether the last steps were small enough.
    """

    posterior: Posterior
    vectors: Float[Tensor, "people width"]
    n_labels: Int[np.ndarray, " people"]
    converged: Bool[np.ndarray, " people"]

    @property
    def names(self) -> tuple[str, ...]:
        """Who they are."""
        return self.posterior.names

    def places(self, names: np.ndarray) -> Int[np.ndarray, " n"]:
        """Position of everybody who is named; all of them must be here."""
        place = {name: number for number, name in enumerate(self.names)}
        return np.array([place[str(name)] for name in names], np.int64)


def find_people(
    classifier: AnnotatorClassifier,
    ratings: pd.DataFrame,
    prior: Prior,
    tick: Tick | None = None,
    *,
    encoder: SetEncoder | None = None,
    max_steps: int = MAX_STEPS,
) -> Found:
    """The most probable vector of every annotator of some ratings, each of their own rows alone.

    Args:
        classifier: The classifier; only what it makes of the vectors is used, nothing is trained.
        ratings: Columns `text, annotator, label`, perhaps `text_pair` and attributes.
        prior: What is expected of people.
        tick: Is told of people who are done.
        encoder: Gives vectors in one pass, where the steps begin; by default they begin at the
            population.
        max_steps: Steps at most.

    Raises:
        DataError: A label is not among those of the classifier.
    """
    examples = classifier.examples(ratings)
    rows = LabelledRows(
        VectorLogits(classifier, examples),
        examples.labels,
        column_of(ratings, "annotator").astype(str).to_numpy(),
        len(classifier.labels),
    )
    return find_among(rows, prior, tick, encoder=encoder, max_steps=max_steps)


@dataclass(frozen=True)
class LabelledRows:
    """Rows that people gave a label.

    Attributes:
        evaluate: Their logits and derivatives.
        labels: Index of the label of every row.
        annotators: Name of whoever gave it.
        n_labels: Number of labels there are.
    """

    evaluate: Evaluate
    labels: Int[np.ndarray, " rows"]
    annotators: np.ndarray
    n_labels: int

    def only(self, rows: Int[np.ndarray, " n"]) -> "LabelledRows":
        """Some of them, by their positions."""
        evaluate = self.evaluate
        return LabelledRows(
            lambda some, z: evaluate(rows[some], z),
            self.labels[rows],
            self.annotators[rows],
            self.n_labels,
        )


def find_among(
    given: LabelledRows,
    prior: Prior,
    tick: Tick | None = None,
    *,
    encoder: SetEncoder | None = None,
    max_steps: int = MAX_STEPS,
) -> Found:
    """As `find_people`, from rows that a model has read already."""
    person_of_row, names = pd.factorize(given.annotators, sort=True)
    counts = np.bincount(person_of_row, minlength=len(names))
    per_row = (given.n_labels - 1) * len(prior.mean)
    order, parts, converged = [], [], []
    for people in _blocks(counts, max(1, MAX_NUMBERS // per_row)):
        place = np.full(len(names), -1)
        place[people] = np.arange(len(people))
        rows = np.flatnonzero(place[person_of_row] >= 0)
        own = given.only(rows)
        objectives = Objectives(
            *(own.evaluate, own.labels, place[person_of_row[rows]], len(people), prior)
        )
        start = None
        if encoder is not None:
            start = _encoded(encoder, objectives, prior)
        minima = objectives.minimise(start=start, max_steps=max_steps)
        kept = kept_directions(minima.curvature, minima.directions)
        block = Posterior(
            tuple(str(names[person]) for person in people),
            prior.scale.expand(len(people), -1),
            *kept,
            prior.basis,
        )
        parts.append((block, prior.vectors(minima.u)))
        converged.append(minima.converged.numpy())
        order.append(people)
        if tick is not None:
            tick(sum(map(len, order)), len(names))
    posterior = parts[0][0]
    for block, _ in parts[1:]:
        posterior = posterior.joined(block)
    back = np.argsort(np.concatenate(order))
    return Found(
        posterior.only([str(name) for name in names]),
        torch.cat([vectors for _, vectors in parts])[torch.from_numpy(back)],
        counts,
        np.concatenate(converged)[back],
    )


@torch.no_grad()
def _encoded(
    encoder: SetEncoder, objectives: Objectives, prior: Prior
) -> Float[Tensor, "people width"]:
    """What the encoder makes of everybody's labels."""
    logits, jacobian, labels, rows = objectives.at(prior.mean)
    given = torch.from_numpy(rows >= 0)
    some = torch.from_numpy(np.maximum(rows, 0))
    told = Told.of(
        logits[some].float(), prior.through(jacobian)[some].float(), labels[some], given.float()
    )
    # Rows that are not there are the first one's again, and count nothing.
    return encoder(told).double()


def _blocks(counts: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """People with similar numbers of rows together, no more than so many rows."""
    order = np.argsort(counts, kind="stable")
    start = 0
    while start < len(order):
        # As if each had as many as the last one: so much room do their directions take.
        end = start + 1
        while end < len(order) and (end + 1 - start) * counts[order[end]] <= most:
            end += 1
        yield order[start:end]
        start = end
