r"""Intervals of probabilities, from how sure a person's vector is.

Logits are taken to be linear in the vector, as they are for the posterior itself (Immer, Korzepa &
Bauer 2021, https://arxiv.org/abs/2008.08400): then they are Gaussian, and drawing them costs next
to nothing, where drawing vectors would cost a pass through the model each.
"""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.adaptation.logits import VectorLogits
from hyperadapters.adaptation.posterior import Posterior
from hyperadapters.adaptation.prior import Prior
from hyperadapters.methods import AnnotatorClassifier

LEVEL = 0.9
N_DRAWS = 2000
ROWS_AT_ONCE = 256


class Intervals:
    """Adds `low_<label>` and `high_<label>` to PREDICTIONS: central 90 % intervals.

    People who were adapted to have those of their posterior, strangers those of the prior (what
    somebody would say of whom nothing is known yet). Of people who were in the training data no
    posterior is kept: theirs are missing.

    Args:
        classifier: The classifier.
        posterior: Of the people who were adapted to.
        prior: Of strangers.
        seed: Of the draws, which are the same for every row.
    """

    def __init__(
        self, classifier: AnnotatorClassifier, posterior: Posterior, prior: Prior, seed: int = 0
    ) -> None:
        self._classifier, self._posterior, self._prior = classifier, posterior, prior
        indices = classifier.vocabulary.indices(posterior.names)
        self._place = np.full(len(classifier.vocabulary), -1)
        self._place[indices] = np.arange(len(indices))
        self._draws = _draws(seed, len(classifier.labels))

    def add_to(self, predictions: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
        """The PREDICTIONS with intervals.

        Args:
            predictions: The PREDICTIONS.
            rows: What was asked, row by row: columns `text`, `annotator`, perhaps `text_pair`.
        """
        labels = self._classifier.labels
        p = predictions[list(labels.columns)].to_numpy(np.float64)
        low, high = np.full_like(p, np.nan), np.full_like(p, np.nan)
        examples = self._classifier.examples(rows.drop(columns="label", errors="ignore"))
        place = np.where(examples.annotators >= 0, self._place[examples.annotators], -1)
        wanted = np.flatnonzero((place >= 0) | (examples.annotators < 0))
        if len(wanted):
            logits = VectorLogits(self._classifier, examples)
            vectors = logits.vectors.of_annotators().double()
            for start in range(0, len(wanted), ROWS_AT_ONCE):
                some = wanted[start : start + ROWS_AT_ONCE]
                of_row = torch.from_numpy(examples.annotators[some])
                z = vectors[of_row.clamp(min=0)]
                z = torch.where((of_row >= 0).unsqueeze(1), z, self._prior.mean)
                bounds = self._bounds(*logits(some, z), place[some])
                # What was predicted lies within, to the last digit.
                low[some] = np.minimum(bounds[0], p[some])
                high[some] = np.maximum(bounds[1], p[some])
        columns = {f"low_{name}": low[:, i] for i, name in enumerate(labels.names)}
        columns |= {f"high_{name}": high[:, i] for i, name in enumerate(labels.names)}
        return predictions.assign(**columns)

    def _bounds(
        self,
        logits: Float[Tensor, "n labels"],
        jacobian: Float[Tensor, "n free width"],
        place: Int[np.ndarray, " n"],
    ) -> tuple[Float[np.ndarray, "n labels"], Float[np.ndarray, "n labels"]]:
        covariance = self._covariance(jacobian, torch.from_numpy(place))
        return _bounds(logits, covariance, self._draws)

    def _covariance(self, jacobian: Tensor, place: Tensor) -> Float[Tensor, "n free free"]:
        """Of the logits relative to the first."""
        of = place.clamp(min=0)
        if not self._posterior.names:
            scaled = self._prior.through(jacobian)
            return scaled @ scaled.transpose(1, 2)
        # Those of whom there is a posterior were found with this prior, or one along its axes.
        jacobian = jacobian if self._prior.basis is None else jacobian @ self._prior.basis
        known = (place >= 0).unsqueeze(1)
        posterior = self._posterior
        scale = torch.where(known, posterior.scale[of].double(), self._prior.scale)
        d = torch.where(known, posterior.curvature[of].double(), 0.0)
        scaled = jacobian * scale.unsqueeze(1)
        along = scaled @ posterior.directions[of].double().transpose(1, 2)
        less = (along * (d / (1 + d)).unsqueeze(1)) @ along.transpose(1, 2)
        return scaled @ scaled.transpose(1, 2) - less


def bounds_of(
    logits: Float[Tensor, "n labels"], covariance: Float[Tensor, "n free free"], seed: int = 0
) -> tuple[Float[np.ndarray, "n labels"], Float[np.ndarray, "n labels"]]:
    """The ends of central 90 % intervals of probabilities.

    Args:
        logits: The logits.
        covariance: Of the logits relative to the first one.
        seed: Of the draws.
    """
    return _bounds(logits, covariance, _draws(seed, logits.shape[1]))


def expected(
    logits: Float[Tensor, "n labels"], covariance: Float[Tensor, "n free free"], seed: int = 0
) -> Float[Tensor, "n labels"]:
    """Probabilities, averaged over what is not known.

    Args:
        logits: The logits.
        covariance: Of the logits relative to the first one.
        seed: Of the draws.
    """
    draws = _draws(seed, logits.shape[1])
    pieces = zip(logits.split(ROWS_AT_ONCE), covariance.split(ROWS_AT_ONCE), strict=True)
    return torch.cat([_drawn(*some, draws).mean(dim=1) for some in pieces])


def _draws(seed: int, n_labels: int) -> Float[Tensor, "draws free"]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((N_DRAWS, n_labels - 1), generator=generator, dtype=torch.float64)


def _drawn(logits: Tensor, covariance: Tensor, draws: Tensor) -> Float[Tensor, "n draws labels"]:
    """Probabilities in every draw."""
    d, v = torch.linalg.eigh(covariance)
    root = v * d.clamp(min=0).sqrt().unsqueeze(1)
    drawn = logits.unsqueeze(1).repeat(1, N_DRAWS, 1)
    drawn[:, :, 1:] += torch.einsum("df,nef->nde", draws, root)
    return drawn.softmax(dim=2)


def _bounds(
    logits: Tensor, covariance: Tensor, draws: Tensor
) -> tuple[Float[np.ndarray, "n labels"], Float[np.ndarray, "n labels"]]:
    p = _drawn(logits, covariance, draws)
    tail = (1 - LEVEL) / 2
    low, high = p.quantile(torch.tensor([tail, 1 - tail], dtype=p.dtype), dim=1)
    return low.numpy(), high.numpy()
