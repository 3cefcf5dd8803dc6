"""Texts that tell much about a vector."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.adaptation import choose_texts, information
from hyperadapters.adaptation.intervals import expected
from hyperadapters.adaptation.newton import weighted_jacobian


def some(n=40, free=2, width=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    told = torch.randn(n, free, width, generator=generator, dtype=torch.float64)
    told *= torch.rand(n, 1, 1, generator=generator, dtype=torch.float64)
    root = torch.randn(width, width, generator=generator, dtype=torch.float64)
    return told, root @ root.T / width


def together(told, covariance):
    """What some texts tell together, from the definition."""
    a = told.flatten(0, 1)
    return float(torch.logdet(torch.eye(len(a), dtype=a.dtype) + a @ covariance @ a.T) / 2)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 12))
def test_gains_add_up_and_never_rise(seed, count):
    told, covariance = some(seed=seed)
    places, gains = choose_texts(told, covariance, count)
    assert len(set(places.tolist())) == count and (gains > 0).all()
    assert (np.diff(gains) <= 1e-9).all()
    np.testing.assert_allclose(gains.sum(), together(told[places], covariance), rtol=1e-8)
    # A shorter list is the beginning of a longer one.
    assert choose_texts(told, covariance, 1)[0][0] == places[0]
    assert places[0] == int(information(told, covariance).argmax())


def test_better_than_random_and_than_the_best_alone():
    rng = np.random.default_rng(0)
    for seed in range(5):
        told, covariance = some(seed=seed)
        # Thirty texts that tell nearly the same, and much: the best one by one, but redundant.
        told = torch.cat([told, told[:1].repeat(30, 1, 1) * 4])
        _, gains = choose_texts(told, covariance, 4)
        draws = [
            together(told[rng.choice(len(told), 4, replace=False)], covariance) for _ in range(50)
        ]
        assert gains.sum() > max(draws) - 1e-9
        alone = information(told, covariance).argsort(descending=True)[:4]
        assert gains.sum() > together(told[alone], covariance) + 0.1


def test_ties_go_to_the_earlier_text():
    told, covariance = some(n=5)
    doubled = torch.cat([told, told, told])
    places, _ = choose_texts(doubled, covariance, 3)
    assert (places < 5).all() or len(set(places % 5)) < 3
    assert places[0] < 5
    places, gains = choose_texts(torch.zeros_like(told), covariance, 3)
    assert places.tolist() == [0, 1, 2] and (gains == 0).all()


def test_what_a_bias_is_told():
    # One bias per label: F is that of the softmax, and the gain is 1/2 log(1 + s p (1 - p)).
    log_p = torch.tensor([[0.3, 0.7]], dtype=torch.float64).log()
    told = weighted_jacobian(log_p, torch.ones(1, 1, 1, dtype=torch.float64))
    gain = information(told, torch.full((1, 1), 2.0, dtype=torch.float64))
    torch.testing.assert_close(gain, torch.log1p(torch.tensor([2 * 0.21], dtype=torch.float64)) / 2)


def test_expected_probabilities_are_those_of_a_population():
    logits = torch.tensor([[0.0, 4.0], [1.0, 1.0]], dtype=torch.float64)
    sure = expected(logits, torch.zeros(2, 1, 1, dtype=torch.float64))
    torch.testing.assert_close(sure, logits.softmax(dim=1))
    # The mean of a logistic function of a Gaussian, by Gauss-Hermite quadrature.
    spread = torch.full((2, 1, 1), 9.0, dtype=torch.float64)
    x, weights = np.polynomial.hermite_e.hermegauss(60)
    moved = np.array([4.0, 0.0])[:, None] + 3 * x
    wanted = (weights / weights.sum() / (1 + np.exp(-moved))).sum(axis=1)
    np.testing.assert_allclose(expected(logits, spread)[:, 1].numpy(), wanted, atol=0.02)
