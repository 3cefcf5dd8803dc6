"""The prior that explains labels best, on rows whose people were drawn from a known one."""

import numpy as np
import pytest
import torch

from hyperadapters.adaptation.evidence import evidence, most_evident
from hyperadapters.adaptation.linear import LinearRows
from hyperadapters.adaptation.newton import Objectives
from hyperadapters.adaptation.prior import Prior

WIDTH, LABELS = 4, 3


def drawn(covariance, n_people=250, n_rows=30, seed=0):
    """Rows of people from N(0, covariance): how logits depend on them, labels, and whose."""
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    root = torch.linalg.cholesky(covariance)
    z = torch.randn(n_people, WIDTH, **draw) @ root.T
    person = np.repeat(np.arange(n_people), n_rows)
    jacobian = torch.randn(len(person), LABELS - 1, WIDTH, **draw)
    logits = torch.randn(len(person), LABELS, **draw)
    rows = LinearRows(logits, jacobian, torch.zeros(len(person), WIDTH, dtype=torch.float64))
    p = rows(np.arange(len(person)), z[person])[0].softmax(dim=1)
    labels = torch.multinomial(p, 1, generator=generator).squeeze(1).numpy()
    return rows, labels, person


def isotropic(variance):
    scale = torch.full((WIDTH,), variance, dtype=torch.float64).sqrt()
    return Prior(torch.zeros(WIDTH, dtype=torch.float64), scale)


@pytest.fixture(scope="module")
def truth():
    root = torch.tensor([[1.5, 0, 0, 0], [1.2, 0.5, 0, 0], [0, 0, 0.3, 0], [0, 0, 0, 0.05]])
    return (root @ root.T).double()


@pytest.mark.parametrize("start", [0.05, 4.0])
def test_a_known_covariance_is_found_from_labels(truth, start):
    found = most_evident(*drawn(truth), isotropic(start)).covariance
    assert float((found - truth).norm() / truth.norm()) < 0.3
    correlation = found[0, 1] / (found[0, 0] * found[1, 1]).sqrt()
    assert float(correlation) > 0.7  # in truth 0.92
    assert float(found[3, 3]) < 0.2 < float(found[0, 0])


def test_it_has_more_evidence_and_the_spread_of_shrunken_vectors_less(truth):
    rows, labels, person = drawn(truth, n_rows=6)

    def minima(prior):
        return Objectives(rows, labels, person, 250, prior).minimise()

    start = isotropic(0.3)
    found = most_evident(rows, labels, person, start)
    shrunken = start.vectors(minima(start).u).square().mean()
    assert float(shrunken) < 0.5 * float(truth.diagonal().mean())
    assert float(found.covariance.diagonal().mean()) > 2 * float(shrunken)
    assert evidence(minima(found)) > evidence(minima(start)) + 10


def test_people_without_differences_have_a_narrow_prior():
    nothing = torch.eye(WIDTH, dtype=torch.float64) * 1e-8
    found = most_evident(*drawn(nothing), isotropic(1.0))
    assert float(found.covariance.diagonal().max()) < 0.1


def test_a_mean_that_is_not_where_the_search_begins(truth):
    rows, labels, person = drawn(truth)
    away = torch.tensor([1.0, 0.0, -0.5, 0.0]).double()
    # People around `away` of these rows are people around zero of rows that are moved by it.
    logits, jacobian = rows(np.arange(len(person)), -away.expand(len(person), -1))
    moved_rows = LinearRows(logits, jacobian, torch.zeros(len(person), WIDTH).double())
    found = most_evident(moved_rows, labels, person, isotropic(1.0))
    torch.testing.assert_close(found.mean, away, rtol=0, atol=0.3)
    assert float((found.covariance - truth).norm() / truth.norm()) < 0.3


def test_rows_are_linear():
    rows, _, _ = drawn(torch.eye(WIDTH, dtype=torch.float64), 20, 5)
    at = torch.zeros(100, WIDTH, dtype=torch.float64)
    logits, jacobian = rows(np.arange(100), at)
    moved, again = rows(np.arange(100), at + 2)
    assert again.equal(jacobian) and moved[:, 0].equal(logits[:, 0])
    torch.testing.assert_close(moved[:, 1:], logits[:, 1:] + 2 * jacobian.sum(dim=2))
