"""Intervals of how often a label is given."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from hyperadapters.adaptation.posterior import Posterior
from hyperadapters.adaptation.rates import Known, bounds_of_counts


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 30))
def test_bounds_are_shares_that_were_drawn_around_the_middle(seed, n):
    generator = np.random.default_rng(seed)
    drawn = generator.binomial(n, generator.uniform(), 500)
    low, high = bounds_of_counts(drawn, n)
    assert 0 <= low <= np.median(drawn) / n <= high <= 1
    assert {round(low * n), round(high * n)} <= set(drawn)
    outside = (drawn < low * n - 0.5).mean(), (drawn > high * n + 0.5).mean()
    # Of the last count that is left out on a side, half is within the twentieth; one more may be
    # out on one side, if that is nearer to nine tenths.
    assert min(outside) < 0.1
    inside = (drawn >= low * n - 0.5) & (drawn <= high * n + 0.5)
    for end in (low, high):
        less = inside.mean() - (drawn == round(end * n)).mean()
        assert low == high or abs(inside.mean() - 0.9) <= abs(less - 0.9) + 1e-9


@pytest.mark.parametrize("n", [5, 10, 40])
def test_on_average_nine_tenths_are_inside(n):
    generator, inside = np.random.default_rng(0), []
    for p in generator.uniform(size=300):
        low, high = bounds_of_counts(generator.binomial(n, p, 2000), n)
        k = np.arange(n + 1)
        within = (k >= low * n - 1e-9) & (k <= high * n + 1e-9)
        inside.append(binom.pmf(k, n, p)[within].sum())
    assert 0.87 < np.mean(inside) < 0.93


def test_draws_have_the_covariance_of_the_posterior():
    directions = torch.tensor([[0.6, 0.8, 0.0], [0.8, -0.6, 0.0]], dtype=torch.float64)
    curvature = torch.tensor([3.0, 0.5], dtype=torch.float64)
    known = Known(torch.zeros(3, dtype=torch.float64), curvature, directions)
    drawn = known.drawn(torch.eye(3, dtype=torch.float64))
    posterior = Posterior(("a",), torch.ones(1, 3), curvature[None], directions[None])
    torch.testing.assert_close(drawn.T @ drawn, posterior.covariance(0))
