import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hyperadapters.adaptation.newton import Objectives, kept_directions, weighted_jacobian
from hyperadapters.adaptation.posterior import Posterior
from hyperadapters.adaptation.prior import FLOOR, Prior

WIDTH, LABELS = 5, 3


class Made:
    """Rows whose logits bend in the vector, so that Gauss-Newton is not Newton."""

    def __init__(self, n_rows, seed=0, labels=LABELS):
        generator = torch.Generator().manual_seed(seed)
        draw = {"generator": generator, "dtype": torch.float64}
        self.a = torch.randn(n_rows, labels, WIDTH, **draw)
        self.b = torch.randn(n_rows, labels, **draw)
        self.labels = torch.randint(labels, (n_rows,), generator=generator).numpy()
        self.n_rows_seen = 0

    def logits(self, rows, z):
        rows = torch.from_numpy(rows)
        return self.b[rows] + torch.einsum("nlw,nw->nl", self.a[rows], z / 2).tanh()

    def __call__(self, rows, z):
        self.n_rows_seen += len(rows)
        z = z.detach().requires_grad_(True)
        logits = self.logits(rows, z)
        relative = (logits[:, 1:] - logits[:, :1]).sum(dim=0)
        parts = [torch.autograd.grad(one, z, retain_graph=True)[0] for one in relative]
        return logits.detach(), torch.stack(parts, dim=1)


def prior(seed=1, *, along_axes=False):
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(WIDTH, generator=generator, dtype=torch.float64)
    scale = torch.rand(WIDTH, generator=generator, dtype=torch.float64) + 0.5
    if not along_axes:
        return Prior(mean, scale)
    root = torch.randn(WIDTH, WIDTH, generator=generator, dtype=torch.float64)
    return Prior.full(mean, torch.diag(scale) + root @ root.T)


def slowly(made, rows, of):
    """The minimum of a person's objective by BFGS, knowing nothing of its form."""

    def objective(u):
        z = of.vectors(torch.from_numpy(u)).expand(len(rows), -1)
        log_p = made.logits(rows, z).log_softmax(dim=1)
        picked = log_p[torch.arange(len(rows)), torch.from_numpy(made.labels[rows])]
        return float(-picked.sum()) + float(u @ u) / 2

    return minimize(objective, np.zeros(WIDTH), method="BFGS", options={"gtol": 1e-7})


@pytest.mark.parametrize("along_axes", [False, True])
def test_the_minima_are_those_of_a_generic_optimiser(along_axes):
    made, of = Made(60), prior(along_axes=along_axes)
    person = np.random.default_rng(0).integers(0, 4, 60)
    minima = Objectives(made, made.labels, person, 4, of).minimise(tolerance=1e-8)
    assert minima.converged.all()
    for number in range(4):
        found = slowly(made, np.flatnonzero(person == number), of)
        assert float(minima.objective[number]) == pytest.approx(found.fun, abs=1e-6)
        np.testing.assert_allclose(minima.u[number].numpy(), found.x, atol=1e-3)


def test_nobody_depends_on_anybody_else():
    made, of = Made(60), prior()
    person = np.random.default_rng(0).integers(0, 4, 60)
    together = Objectives(made, made.labels, person, 4, of).minimise()
    for number in range(4):
        rows = np.flatnonzero(person == number)
        alone = Objectives(
            lambda some, z, rows=rows: made(rows[some], z),
            *(made.labels[rows], np.zeros(len(rows), np.int64), 1, of),
        ).minimise()
        torch.testing.assert_close(alone.u[0], together.u[number], rtol=0, atol=1e-9)


def test_without_labels_the_answer_is_the_population_exactly():
    made, of = Made(4), prior()
    minima = Objectives(made, made.labels, np.array([2, 2, 2, 2]), 3, of).minimise()
    assert not minima.u[:2].any() and minima.u[2].any()
    assert not minima.curvature[:2].any()
    none = Objectives(made, made.labels[:0], np.empty(0, np.int64), 2, of).minimise()
    assert not none.u.any() and none.converged.all()


def test_it_begins_where_it_is_told_and_ends_where_it_would():
    made, of = Made(60), prior()
    person = np.random.default_rng(0).integers(0, 4, 60)
    objectives = Objectives(made, made.labels, person, 4, of)
    minima = objectives.minimise(tolerance=1e-8)
    start = torch.ones(4, WIDTH, dtype=torch.float64)
    again = objectives.minimise(tolerance=1e-8, start=start)
    torch.testing.assert_close(again.u, minima.u, rtol=0, atol=1e-3)
    still = objectives.minimise(start=start, max_steps=0)
    assert still.u.equal(start) and not still.converged.any()
    assert (still.objective > minima.objective).all()


def test_whoever_is_done_is_not_computed_again():
    made, of = Made(20), prior()
    person = np.repeat([0, 1], 10)
    both = Objectives(made, made.labels, person, 2, of)
    both.minimise()
    seen, made.n_rows_seen = made.n_rows_seen, 0
    for number in range(2):
        rows = np.flatnonzero(person == number)
        evaluate = lambda some, z, rows=rows: made(rows[some], z)  # noqa: E731
        Objectives(evaluate, made.labels[rows], np.zeros(10, np.int64), 1, of).minimise()
    assert seen == made.n_rows_seen


@pytest.mark.parametrize("along_axes", [False, True])
@pytest.mark.parametrize("n_rows", [1, 2, 40])
def test_the_posterior_is_the_inverse_of_the_curvature(n_rows, along_axes):
    made, of = Made(n_rows), prior(along_axes=along_axes)
    minima = Objectives(made, made.labels, np.zeros(n_rows, np.int64), 1, of).minimise()
    posterior = Posterior(
        *(("a",), of.scale.unsqueeze(0)),
        *kept_directions(minima.curvature, minima.directions),
        of.basis,
    )
    z = of.vectors(minima.u[0]).expand(n_rows, -1)
    logits, jacobian = made(np.arange(n_rows), z)
    p = logits.softmax(dim=1)[:, 1:]
    inner = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    precision = torch.einsum("nfw,nfg,ngv->wv", jacobian, inner, jacobian)
    precision += of.covariance.inverse()
    torch.testing.assert_close(posterior.covariance(0), precision.inverse(), rtol=1e-6, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_the_weighted_jacobian(seed, labels):
    made = Made(3, seed, labels)
    logits, jacobian = made(np.arange(3), torch.zeros(3, WIDTH, dtype=torch.float64))
    p = logits.softmax(dim=1)[:, 1:]
    inner = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    wanted = torch.einsum("nfw,nfg,ngv->nwv", jacobian, inner, jacobian)
    found = weighted_jacobian(logits.log_softmax(dim=1), jacobian)
    torch.testing.assert_close(found.transpose(1, 2) @ found, wanted)


def test_the_prior_of_trained_vectors():
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([2.0, 1.0, 0.5, 0.0])
    vectors = torch.randn(5000, 4, generator=generator) * scale + 1
    of = Prior.of(vectors, torch.ones(4))
    assert of.mean.tolist() == [1, 1, 1, 1]
    torch.testing.assert_close(of.scale[:3].float(), scale[:3], rtol=0.05, atol=0)
    common = float((vectors - 1).square().mean())
    assert float(of.scale[3] ** 2) == pytest.approx(FLOOR * common)
    # Of a few people every dimension is nearly the mean of all.
    few = Prior.of(vectors[:6], torch.ones(4))
    assert float(few.scale[3]) > 0.5 * float(few.scale.max())


def test_the_prior_where_training_gives_none():
    for vectors in (torch.randn(4, 2), torch.zeros(50, 2), torch.zeros(0, 2)):
        of = Prior.of(vectors, torch.zeros(2), shrinkage=0.125)
        assert of.scale.tolist() == [2, 2]
        assert Prior.of(vectors, torch.zeros(2)).scale.tolist() == [1, 1]
