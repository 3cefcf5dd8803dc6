r"""The most probable vector of each of many people, by damped Gauss-Newton steps.

In units of the prior, z = μ + B (σ ⊙ u), each person has an objective of their own,

    f(u) = Σ over their rows of -log p(label | text, z) + ½ |u|²

Its gradient is exact. For its curvature the logits are taken to be linear in z, which gives
I + Ã^T Ã: never indefinite, and equal to the Hessian where z moves nothing but a bias. A step that
makes f larger is not taken but damped (Levenberg 1944, Marquardt 1963). Whoever is done is not
computed again, and nobody's steps depend on anybody else's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.adaptation.posterior import MAX_RANK
from hyperadapters.adaptation.prior import Prior

TOLERANCE = 1e-5
"""A person is done when the next step promises to make f smaller by less than this, in nats."""

MAX_STEPS = 50
_FIRST_DAMPING, _MOST_DAMPING = 0.1, 1e4
# In float32 no step may be found downwards although a little is promised still.
_ROUNDING = 1e-3

Linearised = tuple[Float[Tensor, "n labels"], Float[Tensor, "n free width"]]
"""Logits, and the derivatives by z of all but the first of them relative to the first."""

Evaluate = Callable[[Int[np.ndarray, " n"], Float[Tensor, "n width"]], Linearised]
"""Positions of rows and a vector for each → logits and derivatives, in double precision."""


@dataclass(frozen=True)
class Minima:
    """Where the objectives of some people are smallest.

    Attributes:
        u: The vectors in units of the prior, shape ``(people, width)``.
        objective: f there, shape ``(people,)``.
        curvature: Eigenvalues of Ã^T Ã, shape ``(people, rank)``.
        directions: Its eigenvectors, shape ``(people, rank, width)``.
        converged: Whether no step promises more than rounding may take, shape ``(people,)``.
    """

    u: Float[Tensor, "people width"]
    objective: Float[Tensor, " people"]
    curvature: Float[Tensor, "people rank"]
    directions: Float[Tensor, "people rank width"]
    converged: Tensor


@dataclass
class _Views:
    """What is known of some people's objectives at one point each; the attributes of `Minima`."""

    objective: Tensor
    gradient: Tensor
    curvature: Tensor
    directions: Tensor

    def put(self, where: Tensor, new: "_Views", chosen: Tensor) -> None:
        """Replace some of the views by `new` ones."""
        for name, value in vars(new).items():
            getattr(self, name)[where[chosen]] = value[chosen]


class Objectives:
    """The objectives of some people.

    Args:
        evaluate: Logits and their derivatives.
        labels: Index of the label of every row, shape ``(rows,)``.
        person_of_row: Whose row it is, shape ``(rows,)``.
        n_people: Number of people.
        prior: The prior.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        labels: Int[np.ndarray, " rows"],
        person_of_row: Int[np.ndarray, " rows"],
        n_people: int,
        prior: Prior,
    ) -> None:
        self._evaluate, self._prior = evaluate, prior
        self._labels = torch.from_numpy(labels)
        order = np.argsort(person_of_row, kind="stable")
        self.counts = np.bincount(person_of_row, minlength=n_people)
        self._rows = np.split(order, np.cumsum(self.counts)[:-1])
        # That of the person with most rows, so that all can be kept in one tensor.
        self._rank = 0

    def minimise(
        self,
        tolerance: float = TOLERANCE,
        *,
        start: Float[Tensor, "people width"] | None = None,
        max_steps: int = MAX_STEPS,
    ) -> Minima:
        """Take steps until everybody is done.

        Args:
            tolerance: See `TOLERANCE`.
            start: Where to begin, in units of the prior; by default at the population.
            max_steps: Steps at most; with 0 the objectives are only looked at where they begin.
        """
        n, width = len(self.counts), len(self._prior.mean)
        u = torch.zeros(n, width, dtype=torch.float64) if start is None else start.clone()
        views = self._at(torch.arange(n), u)
        damping = torch.zeros(n, dtype=torch.float64)
        step, promised = _step(views, damping)
        open_ = promised > tolerance
        for _ in range(max_steps):
            if not open_.any():
                break
            who = open_.nonzero().squeeze(1)
            tried = u[who] + step[who]
            new = self._at(who, tried)
            before = views.objective[who]
            better = new.objective < before
            u[who[better]] = tried[better]
            views.put(who, new, better)
            eased = torch.where(damping[who] > _FIRST_DAMPING, damping[who] / 10, 0.0)
            harder = (damping[who] * 10).clamp(min=_FIRST_DAMPING)
            damping[who] = torch.where(better, eased, harder)
            step, _ = _step(views, damping)
            _, promised = _step(views, torch.zeros_like(damping))
            open_ = (promised > tolerance) & (damping < _MOST_DAMPING)
        return Minima(u, views.objective, views.curvature, views.directions, promised <= _ROUNDING)

    def at(
        self, vector: Float[Tensor, " width"]
    ) -> tuple[
        Float[Tensor, "rows labels"],
        Float[Tensor, "rows free width"],
        Int[Tensor, " rows"],
        Int[np.ndarray, "people most"],
    ]:
        """All rows as somebody with this vector would answer them.

        Returns:
            Logits, derivatives by z, labels; and the positions of each person's rows, filled up
            with -1.
        """
        rows = np.full((len(self.counts), max(1, int(self.counts.max(initial=0)))), -1)
        for person, own in enumerate(self._rows):
            rows[person, : len(own)] = own
        n = len(self._labels)
        return *self._evaluate(np.arange(n), vector.expand(n, -1)), self._labels, rows

    def _at(self, people: Tensor, u: Tensor) -> _Views:
        """The objectives of these people at these points, shape ``(people, width)``."""
        counts = self.counts[people.numpy()]
        taken = [self._rows[person] for person in people.tolist()]
        rows = np.concatenate([*taken, np.empty(0, np.int64)]).astype(np.int64)
        person = torch.repeat_interleave(torch.arange(len(people)), torch.from_numpy(counts))
        objective, gradient = u.square().sum(dim=1) / 2, u.clone()
        if not len(rows):
            none = u.new_zeros(len(u), self._rank, u.shape[1])
            return _Views(objective, gradient, none.sum(dim=2), none)
        logits, jacobian = self._evaluate(rows, self._prior.vectors(u[person]))
        jacobian = self._prior.through(jacobian)
        log_p = logits.log_softmax(dim=1)
        labels = self._labels[torch.from_numpy(rows)]
        objective.index_add_(0, person, -log_p.gather(1, labels.unsqueeze(1)).squeeze(1))
        error = log_p.exp()
        error[torch.arange(len(rows)), labels] -= 1
        gradient.index_add_(0, person, torch.einsum("nf,nfw->nw", error[:, 1:], jacobian))
        weighted = weighted_jacobian(log_p, jacobian)
        self._rank = min(int(self.counts.max()) * jacobian.shape[1], u.shape[1])
        curvature, directions = _spectra(weighted, counts, self._rank)
        return _Views(objective, gradient, curvature, directions)


def weighted_jacobian(
    log_p: Float[Tensor, "n labels"], jacobian: Float[Tensor, "n free width"]
) -> Float[Tensor, "n free width"]:
    r"""Ã of every row, with q the probabilities of all labels but the first.

    Ã^T Ã = J^T (diag(q) - q q^T) J,     Ã = (I - v v^T / (1 + √p_0)) diag(v) J,    v = √q
    """
    v = (log_p[:, 1:] / 2).exp().unsqueeze(2)
    scaled = v * jacobian
    along = (v * scaled).sum(dim=1, keepdim=True)
    return scaled - v * along / (1 + (log_p[:, 0] / 2).exp().view(-1, 1, 1))


def _spectra(weighted: Tensor, counts: np.ndarray, rank: int) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of each person's Ã^T Ã, filled up with zeros to a rank."""
    width = weighted.shape[2]
    curvature = weighted.new_zeros(len(counts), rank)
    directions = weighted.new_zeros(len(counts), rank, width)
    starts = np.concatenate([[0], np.cumsum(counts)])[:-1]
    for count in np.unique(counts[counts > 0]):
        people = np.flatnonzero(counts == count)
        rows = torch.from_numpy(starts[people][:, None] + np.arange(count))
        d, v = _spectrum(weighted[rows].flatten(1, 2))
        curvature[people, : d.shape[1]] = d
        directions[people, : d.shape[1]] = v
    return curvature, directions


def _spectrum(a: Float[Tensor, "n m width"]) -> tuple[Tensor, Tensor]:
    """Of a^T a, by the smaller of the two products; the largest first."""
    m, width = a.shape[1:]
    if m >= width:
        d, v = torch.linalg.eigh(a.transpose(1, 2) @ a)
        return d.flip(1).clamp(min=0), v.transpose(1, 2).flip(1)
    d, v = torch.linalg.eigh(a @ a.transpose(1, 2))
    d, v = d.flip(1).clamp(min=0), v.transpose(1, 2).flip(1)
    kept = d > 1e-12 * (1 + d[:, :1])
    v = (v @ a) / d.where(kept, torch.ones_like(d)).sqrt().unsqueeze(2)
    return d * kept, v * kept.unsqueeze(2)


def _step(views: _Views, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The damped step, and by how much the quadratic model says it makes f smaller."""
    along = torch.einsum("prw,pw->pr", views.directions, views.gradient)
    own = (1 + damping).unsqueeze(1)
    share = views.curvature / (own + views.curvature)
    across = torch.einsum("pr,prw->pw", share * along, views.directions)
    step = -(views.gradient - across) / own
    return step, -(views.gradient * step).sum(dim=1) / 2


def kept_directions(
    curvature: Float[Tensor, "people rank"], directions: Float[Tensor, "people rank width"]
) -> tuple[Tensor, Tensor]:
    """The `MAX_RANK` largest, of which there are no more than anybody has."""
    rank = min(MAX_RANK, int((curvature > 0).sum(dim=1).max()) if len(curvature) else 0)
    return curvature[:, :rank], directions[:, :rank]
