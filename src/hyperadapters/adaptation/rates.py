r"""How often somebody gives a label on some texts, with intervals of what will be observed.

An interval of a probability (see `intervals`) says how well a person is known. What they will
say of n texts varies beyond that, as n coins of known probabilities do. Both are drawn here: a
vector from the posterior, the same for all texts of a person, then a label for each text; the
interval is that of the share of a label among the n,

    y_i ~ softmax(logits_i(z)),     z ~ posterior,     rate = #{i: y_i = label} / n

with logits taken to be linear in z, as for the posterior. Shares of few texts take few values, so
that no interval of them has exactly the level that is wanted. Bounds are first those of the
mid-distribution function G(c) = P(C < c) + P(C = c) / 2 (Lancaster 1961); one of the two ends is
left out where that brings the probability of what is inside nearer to the level, so that it is met
on average rather than always exceeded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.adaptation.intervals import LEVEL, N_DRAWS
from hyperadapters.adaptation.logits import VectorLogits
from hyperadapters.adaptation.newton import Evaluate
from hyperadapters.adaptation.posterior import Posterior
from hyperadapters.adaptation.prior import Prior
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.tables.frames import column_of


@dataclass(frozen=True)
class Known:
    """What is known of one person's vector: Gaussian, in units of the prior around `vector`.

    Attributes:
        vector: The most probable one.
        curvature: See `Posterior`; empty for a stranger.
        directions: See `Posterior`.
    """

    vector: Float[Tensor, " width"]
    curvature: Float[Tensor, " rank"]
    directions: Float[Tensor, "rank width"]

    @classmethod
    def stranger(cls, prior: Prior) -> "Known":
        """Of somebody who has said nothing."""
        none = prior.mean.new_zeros(0, len(prior.mean))
        return cls(prior.mean, none.sum(dim=1), none)

    @classmethod
    def of(cls, posterior: Posterior, vectors: Mapping[str, Tensor]) -> "dict[str, Known]":
        """Of some people of a posterior, by name."""
        place = {name: number for number, name in enumerate(posterior.names)}
        return {
            name: cls(
                vector.double(),
                posterior.curvature[place[name]].double(),
                posterior.directions[place[name]].double(),
            )
            for name, vector in vectors.items()
        }

    def drawn(self, noise: Float[Tensor, "draws width"]) -> Float[Tensor, "draws width"]:
        """Standard normal draws → draws of how far the vector is from the most probable one."""
        less = 1 - (1 + self.curvature).rsqrt()
        return noise - ((noise @ self.directions.T) * less) @ self.directions


def rates_of(
    classifier: AnnotatorClassifier,
    rows: pd.DataFrame,
    posterior: Posterior,
    prior: Prior,
    seed: int = 0,
) -> pd.DataFrame:
    """How often each person would give each label on their rows.

    Args:
        classifier: The classifier.
        rows: Columns `text, annotator`, perhaps `text_pair` and attributes; a label is not looked
            at.
        posterior: Of people who were adapted to.
        prior: Of strangers.
        seed: Of the draws.

    Returns:
        A row for every person and label, in the order of the names: `annotator`, `label`, `n`
        texts, `expected` share of the label, and a central 90 % interval from `low` to `high` of
        the share that will be observed. People of training, of whom no posterior is kept, are left
        out.
    """
    examples = classifier.examples(rows.drop(columns="label", errors="ignore"))
    logits = VectorLogits(classifier, examples)
    vectors = logits.vectors.of_annotators().cpu().double()
    names = column_of(rows, "annotator").astype(str)
    indices = dict(zip(names, map(int, examples.annotators), strict=True))
    known = {name: Known.stranger(prior) for name, index in indices.items() if index < 0}
    met = [name for name in posterior.names if indices.get(name, -1) >= 0]
    known |= Known.of(posterior, {name: vectors[indices[name]] for name in met})
    return rates_among(logits, names.to_numpy(), known, prior, classifier.labels.names, seed)


def rates_among(
    evaluate: Evaluate,
    annotators: np.ndarray,
    known: Mapping[str, Known],
    prior: Prior,
    labels: Sequence[object],
    seed: int = 0,
) -> pd.DataFrame:
    """As `rates_of`, for rows that a model has read already.

    Args:
        evaluate: Logits and derivatives of the rows.
        annotators: Whom each is about.
        known: What is known of these; the others are left out.
        prior: Of strangers.
        labels: Names of the labels.
        seed: Of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((N_DRAWS, len(prior.mean)), generator=generator, dtype=torch.float64)
    names, found = pd.Series(annotators), []
    for name, of in names.groupby(names).indices.items():
        one = known.get(str(name))
        if one is None:
            continue
        at = one.vector.expand(len(of), -1)
        counts = _counts(*evaluate(of, at), one.drawn(noise), prior, generator)
        for label, column in zip(labels, counts.T, strict=True):
            low, high = bounds_of_counts(column, len(of))
            found.append((str(name), label, len(of), column.mean() / len(of), low, high))
    return pd.DataFrame(found, columns=pd.Index(COLUMNS))


COLUMNS = ("annotator", "label", "n", "expected", "low", "high")


def bounds_of_counts(drawn: Int[np.ndarray, " draws"], n: int) -> tuple[float, float]:
    """The central interval of a share of n, from draws of the count.

    Args:
        drawn: Counts from 0 to n.
        n: Of how many.
    """
    shares = np.bincount(drawn, minlength=n + 1) / len(drawn)
    middle = np.cumsum(shares) - shares / 2
    tail = (1 - LEVEL) / 2
    # Of the counts that were never drawn, those at the ends are outside.
    inside = np.flatnonzero((middle >= tail) & (middle <= 1 - tail) & (shares > 0))
    pieces = [inside, inside[1:], inside[:-1]] if len(inside) > 1 else [inside]
    nearest = min(pieces, key=lambda piece: abs(shares[piece].sum() - LEVEL))
    return float(nearest[0]) / n, float(nearest[-1]) / n


def _counts(
    logits: Float[Tensor, "n labels"],
    jacobian: Float[Tensor, "n free width"],
    moves: Float[Tensor, "draws width"],
    prior: Prior,
    generator: torch.Generator,
) -> Int[np.ndarray, "draws labels"]:
    """How often each label is given, in every draw."""
    drawn = logits.unsqueeze(0).repeat(len(moves), 1, 1)
    drawn[:, :, 1:] += torch.einsum("nfw,dw->dnf", prior.through(jacobian), moves)
    threshold = torch.rand(drawn.shape[:2], generator=generator, dtype=drawn.dtype)
    upto = drawn.softmax(dim=2).cumsum(dim=2)[:, :, :-1]
    given = (threshold.unsqueeze(2) > upto).sum(dim=2)
    counts = torch.nn.functional.one_hot(given, logits.shape[1]).sum(dim=1)
    return counts.numpy().astype(np.int64)
