r"""The prior that explains the labels of training people best: empirical Bayes.

Trained vectors are drawn towards the population by training's own shrinkage, the more so the
fewer labels somebody has, so their spread is smaller than that of people. The covariance Σ of

    z_a ~ N(μ, Σ),     labels of a ~ p(label | text, z_a)

is found from the labels instead, by expectation maximisation (Dempster, Laird & Rubin 1977; for
mixed models McCulloch 1997) with Laplace's approximation: each person's most probable vector m_a
and covariance C_a under the present Σ, then

    μ' = (Σ_a m_a + 10 μ_0) / (n + 10),
    Σ' = (Σ_a [(m_a - μ')(m_a - μ')^T + C_a] + 10 c I) / (n + 10)

for n people, with μ_0 where the search begins and c the mean variance. Logits are taken to be
linear in z around the trained vectors, so that the model is asked once for each row.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.adaptation.linear import LinearRows
from hyperadapters.adaptation.logits import VectorLogits
from hyperadapters.adaptation.newton import Minima, Objectives
from hyperadapters.adaptation.prior import MIN_ANNOTATORS, PSEUDO_COUNT, Prior
from hyperadapters.adaptation.spread import spread_on_new_texts
from hyperadapters.methods import AnnotatorClassifier, Examples

MAX_PEOPLE = 400
"""So many people of training are looked at, at most; evenly taken from all."""

MAX_NUMBERS = 2**25
"""Derivatives that are kept, in double precision; of more people fewer are looked at."""

ITERATIONS = 25
STEPS = 8
"""Newton steps at most in each iteration, from where the one before ended."""

ENOUGH = 3e-4
"""The search is over when the evidence grows by less, in nats a label."""


def fit_prior(
    classifier: AnnotatorClassifier, train: Examples, dev: Examples, start: Prior, seed: int = 0
) -> Prior:
    """The prior under which what training people said is most probable.

    Args:
        classifier: A trained classifier.
        train: Rows of its people; those without a label, or by nobody it knows, are left out.
        dev: Further ones of texts that it was not trained on: how wide the prior is, is checked
            there.
        start: Where to begin.
        seed: Of the choice of people, where there are too many, and of labels.

    Returns:
        The prior; the `start` itself where fewer than five people have labels.
    """
    width, free, parts = len(start.mean), len(classifier.labels) - 1, [train, dev]
    chosen = chosen_rows(parts, MAX_NUMBERS // max(1, width * free), seed)
    if chosen is None:
        return start
    found, labels, annotators = [], [], []
    vectors: Tensor | None = None
    for part, rows in zip(parts, chosen, strict=True):
        if not len(rows):
            continue
        logits = VectorLogits(classifier, part)
        vectors = logits.vectors.of_annotators().cpu().double()
        around = vectors[torch.from_numpy(part.annotators[rows])]
        found.append((*logits(rows, around), around))
        labels.append(part.labels[rows])
        annotators.append(part.annotators[rows])
    evaluate = LinearRows(*(torch.cat(tensors) for tensors in zip(*found, strict=True)))
    _, person = np.unique(np.concatenate(annotators), return_inverse=True)
    told = np.concatenate(labels)
    prior = most_evident(evaluate, told, person, start)
    is_new = np.arange(len(told)) >= len(chosen[0])
    return spread_on_new_texts(evaluate, told, person, is_new, prior, seed)


def most_evident(
    evaluate: LinearRows,
    labels: Int[np.ndarray, " rows"],
    person_of_row: Int[np.ndarray, " rows"],
    start: Prior,
) -> Prior:
    """The prior of most evidence for rows that are linear in the vectors.

    Args:
        evaluate: The rows.
        labels: Index of the label of every row.
        person_of_row: Whose row it is, 0 to n - 1.
        start: Where to begin.
    """
    prior, n_people = start, int(person_of_row.max()) + 1
    u, before = None, -np.inf
    for _ in range(ITERATIONS):
        objectives = Objectives(evaluate, labels, person_of_row, n_people, prior)
        minima = objectives.minimise(1e-4, start=u, max_steps=STEPS)
        now = evidence(minima) / len(labels)
        if now - before < ENOUGH:
            break
        z, before = prior.vectors(minima.u), now
        n, weight = n_people, PSEUDO_COUNT
        mean = (z.sum(dim=0) + weight * start.mean) / (n + weight)
        prior = Prior.full(mean, _covariance(minima, prior, mean))
        u = (z - prior.mean) @ prior.precision_root.T
    return prior


def evidence(minima: Minima) -> float:
    """Log probability of all labels under the prior, by Laplace's approximation, in nats."""
    return -float(minima.objective.sum() + torch.log1p(minima.curvature).sum() / 2)


def _covariance(
    minima: Minima, prior: Prior, mean: Float[Tensor, " width"]
) -> Float[Tensor, "width width"]:
    n, width = minima.u.shape
    u = minima.u - (mean - prior.mean) @ prior.precision_root.T
    share = minima.curvature / (1 + minima.curvature)
    known = (share.sqrt().unsqueeze(2) * minima.directions).flatten(0, 1)
    identity = torch.eye(width, dtype=minima.u.dtype)
    squares = u.T @ u + n * identity - known.T @ known
    found = prior.of_units(squares)
    common = float(found.diagonal().mean()) / n
    return (found + PSEUDO_COUNT * common * identity) / (n + PSEUDO_COUNT)


def chosen_rows(parts: list[Examples], most: int, seed: int) -> list[np.ndarray] | None:
    """Rows to look at, of each part; all of whoever is looked at.

    Args:
        parts: Rows; those without a label, or by nobody who is known, are left out.
        most: How many rows at most.
        seed: Of the choice of people.

    Returns:
        Positions of rows in each part; `None` where fewer than five people have any.
    """
    usable = [np.flatnonzero((part.labels >= 0) & (part.annotators >= 0)) for part in parts]
    annotators = np.concatenate([p.annotators[r] for p, r in zip(parts, usable, strict=True)])
    people, counts = np.unique(annotators, return_counts=True)
    if len(people) < MIN_ANNOTATORS:
        return None
    order = np.random.default_rng(seed).permutation(len(people))
    fits = np.cumsum(counts[order]) <= most
    kept = people[order[: max(MIN_ANNOTATORS, min(MAX_PEOPLE, int(fits.sum())))]]
    return [r[np.isin(p.annotators[r], kept)] for p, r in zip(parts, usable, strict=True)]
