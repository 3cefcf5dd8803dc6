r"""How far newcomers are expected to be from the population, checked on texts that are new as well.

The covariance of `evidence` is found on texts that the model itself was trained on, for the very
people who give the labels. What it makes of a person there, it cannot always make of them on other
texts, and then newcomers are taken to be further from the population than a few of their labels can
tell. So the covariance is multiplied by

    s² with the s of which  Σ -log p(label | text, z_a(s))  is smallest,

summed over texts of dev, where z_a(s) is the most probable vector of a person of training by
`KNOWN` labels of train alone, if the prior is N(μ, s² Σ). This is cross-validation, as for the
penalty of a ridge regression (Golub, Heath & Wahba 1979), with the split that newcomers meet.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hyperadapters.adaptation.newton import Evaluate, Objectives
from hyperadapters.adaptation.prior import Prior

SCALES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
KNOWN, ASKED = 8, 32
"""Labels of each person that are known, and that are asked for, at most."""

MIN_ROWS = 100
"""With fewer labels of dev the prior stays as it is."""

TOLERANCE, STEPS = 1e-3, 8
"""Of the search for vectors, see `newton`."""


def spread_on_new_texts(
    evaluate: Evaluate,
    labels: Int[np.ndarray, " rows"],
    person_of_row: Int[np.ndarray, " rows"],
    is_new: Bool[np.ndarray, " rows"],
    prior: Prior,
    seed: int = 0,
) -> Prior:
    """The prior, narrowed or widened.

    Args:
        evaluate: Rows of people of training.
        labels: Index of the label of every row.
        person_of_row: Whose row it is.
        is_new: Whether its text is of dev.
        prior: What was found from them.
        seed: Of the choice of labels.
    """
    place = _places(person_of_row, is_new, seed)
    known = np.flatnonzero(~is_new & (place < KNOWN))
    both = np.intersect1d(person_of_row[known], person_of_row[is_new])
    known = known[np.isin(person_of_row[known], both)]
    asked = np.flatnonzero(is_new & (place < ASKED) & np.isin(person_of_row, both))
    if len(asked) < MIN_ROWS:
        return prior
    of_known = np.searchsorted(both, person_of_row[known])
    of_asked = np.searchsorted(both, person_of_row[asked])
    right = torch.from_numpy(labels[asked])

    def loss(tried: Prior) -> float:
        objectives = Objectives(
            lambda rows, z: evaluate(known[rows], z), labels[known], of_known, len(both), tried
        )
        z = tried.vectors(objectives.minimise(TOLERANCE, max_steps=STEPS).u)
        return float(torch.nn.functional.cross_entropy(evaluate(asked, z[of_asked])[0], right))

    return min((_scaled(prior, scale) for scale in SCALES), key=loss)


def _scaled(prior: Prior, by: float) -> Prior:
    scale: Float[Tensor, " width"] = prior.scale * by
    return replace(prior, scale=scale)


def _places(person_of_row: np.ndarray, is_new: np.ndarray, seed: int) -> Int[np.ndarray, " rows"]:
    """The place of every row among those of its person and part, in an order of chance."""
    order = np.random.default_rng(seed).permutation(len(person_of_row))
    group = 2 * person_of_row[order] + is_new[order]
    by_group = np.argsort(group, kind="stable")
    _, starts, counts = np.unique(group[by_group], return_index=True, return_counts=True)
    place = np.empty(len(order), np.int64)
    place[order[by_group]] = np.arange(len(order)) - np.repeat(starts, counts)
    return place
