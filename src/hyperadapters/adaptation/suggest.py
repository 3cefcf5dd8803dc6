r"""Which texts would tell most about somebody's vector.

With S the covariance of the vector, J the derivatives of a text's logits by it and
F = diag(p) - p p^T of its probabilities (of all labels but the first, averaged over what is not
known of the vector: for strangers those of the population are too sure of themselves), a label for
the text is expected to tell

    ½ log det(I + F^½ J S J^T F^½)

nats about the vector, the logits being taken as linear in it (MacKay 1992, *Information-based
objective functions for active data selection*, Neural Computation 4).
Texts that are chosen together must not tell the same twice: they are chosen one after the other,
each with S as it will be when those before are labelled,

    S' = S - S A^T (I + A S A^T)^-1 A S,     A = F^½ J

Of such sums, a greedy choice reaches at least 63 % of the most that so many texts can tell
(Nemhauser, Wolsey & Fisher 1978). It needs no label, so it can be made before anybody is asked.
"""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.adaptation.intervals import expected
from hyperadapters.adaptation.logits import VectorLogits
from hyperadapters.adaptation.newton import weighted_jacobian
from hyperadapters.methods import AnnotatorClassifier

TIE = 1e-9
"""Gains that differ by less are equal, and the earlier text is taken."""


def told_by(
    classifier: AnnotatorClassifier,
    rows: pd.DataFrame,
    vector: Float[Tensor, " width"],
    covariance: Float[Tensor, "width width"],
) -> Float[Tensor, "rows free width"]:
    """A of every row: what a label for it would tell about a vector.

    Args:
        classifier: The classifier.
        rows: Columns `text, annotator`, perhaps `text_pair` and attributes; labels are not looked
            at.
        vector: The joined vector of somebody, the same for all rows (see `PersonalVectors`).
        covariance: S.
    """
    examples = classifier.examples(rows.drop(columns="label", errors="ignore"))
    logits = VectorLogits(classifier, examples)
    at, jacobian = logits(np.arange(len(rows)), vector.expand(len(rows), -1))
    p = expected(at, jacobian @ covariance @ jacobian.transpose(1, 2))
    return weighted_jacobian(p.log(), jacobian)


def information(
    told: Float[Tensor, "n free width"], covariance: Float[Tensor, "width width"]
) -> Float[Tensor, " n"]:
    """What each text is expected to tell, in nats."""
    spread = told @ covariance @ told.transpose(1, 2)
    return torch.logdet(torch.eye(told.shape[1], dtype=told.dtype) + spread) / 2


def choose_texts(
    told: Float[Tensor, "n free width"], covariance: Float[Tensor, "width width"], count: int
) -> tuple[Int[np.ndarray, " count"], Float[np.ndarray, " count"]]:
    """Texts that together tell much, one after the other.

    Args:
        told: A of every text.
        covariance: S, before any of them is labelled.
        count: How many to choose; not more than there are.

    Returns:
        Their positions, and what each tells beyond those before it, in nats; never more than the
        one before.
    """
    left, chosen, gains = torch.ones(len(told), dtype=torch.bool), [], []
    covariance = covariance.clone()
    for _ in range(count):
        gain = information(told, covariance).where(left, -torch.inf)
        place = int((gain >= gain.max() - TIE).nonzero()[0])
        a = told[place]
        across = covariance @ a.T
        inner = torch.eye(len(a), dtype=a.dtype) + a @ across
        covariance -= across @ torch.linalg.solve(inner, across.T)
        covariance = (covariance + covariance.T) / 2
        left[place] = False
        chosen.append(place)
        gains.append(float(gain[place]))
    return np.array(chosen, np.int64), np.array(gains, np.float64)
