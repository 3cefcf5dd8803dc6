"""Pooled states brought to one scale before they are read."""

import pytest
import torch

from hyperadapters.conditions import Instance
from hyperadapters.encoders import PlainEncoder, StandardisedEncoder, VectorEncoder, build_encoder
from hyperadapters.encoders.standardised import FLOOR


@pytest.fixture
def encoder():
    return StandardisedEncoder(PlainEncoder(3), 3)


def sample(n=200):
    return torch.randn(n, 3) * torch.tensor([0.01, 0.1, 1.0]) + torch.tensor([5.0, -2.0, 0.0])


def test_until_it_is_fitted_nothing_is_changed(encoder):
    x = sample()
    assert torch.equal(encoder(x), x)


def test_every_dimension_gets_mean_0_and_variance_1(encoder):
    x = sample()
    encoder.deviation.fill_(7.0)
    encoder.fit(x)
    got = encoder(x)
    torch.testing.assert_close(got.mean(dim=0), torch.zeros(3), atol=1e-3, rtol=0)
    # The first varies less than a tenth of what the dimensions typically do.
    torch.testing.assert_close(got[:, 1:].std(dim=0), torch.ones(2) * got[:, 1:].std(dim=0).max())
    typical = x.double().var(dim=0).mean().sqrt()
    assert got[:, 0].std() == pytest.approx(
        x[:, 0].std().item() / (FLOOR * typical.item()), rel=0.01
    )
    assert got[:, 0].std() < 1


@pytest.mark.parametrize("rows", [torch.ones(5, 3), torch.zeros(4, 3)])
def test_a_sample_that_does_not_vary(encoder, rows):
    encoder.fit(rows)
    assert torch.equal(encoder(rows), torch.zeros_like(rows))
    assert encoder(rows + 1e-3).abs().max() < 0.1


@pytest.mark.parametrize(
    "rows", [torch.ones(1, 3), torch.ones(0, 3), torch.full((9, 3), torch.nan)]
)
def test_of_fewer_than_two_rows_nothing_is_learned(encoder, rows):
    encoder.fit(rows)
    assert torch.equal(encoder.mean, torch.zeros(3)) and torch.equal(
        encoder.deviation, torch.ones(3)
    )


def test_rows_that_are_not_finite_are_left_out(encoder):
    x = sample()
    other = StandardisedEncoder(PlainEncoder(3), 3)
    other.fit(x)
    encoder.fit(torch.cat([x, torch.tensor([[torch.nan, 1.0, 1.0], [torch.inf, 1.0, 1.0]])]))
    assert torch.equal(encoder.mean, other.mean) and torch.equal(encoder.deviation, other.deviation)


def test_a_missing_row_is_the_population():
    encoder = StandardisedEncoder(VectorEncoder(3, 4), 3)
    encoder.fit(sample())
    x = torch.tensor([[1.0, 2.0, 3.0], [torch.nan] * 3])
    assert encoder.known(x).tolist() == [True, False]
    assert torch.equal(encoder(x)[1:], encoder.population())
    assert encoder.width == 4


def test_starting_again_forgets_the_sample(encoder):
    encoder.fit(sample())
    encoder.reset_parameters()
    x = sample()
    assert torch.equal(encoder(x), x)


def test_statistics_are_saved_but_not_trained(encoder):
    assert set(encoder.state_dict()) == {"mean", "deviation"}
    assert not list(encoder.parameters())


@pytest.mark.parametrize(("reading", "centred"), [("normalised", True), ("plain", False)])
def test_built_around_any_reading(reading, centred):
    condition = Instance(reading=reading, standardised=True)
    built = build_encoder(
        "x", condition, default_width=8, start="zero-change", centred=centred, instance_width=6
    )
    assert isinstance(built, StandardisedEncoder) and built.mean.shape == (6,)
    plain = build_encoder(
        "x",
        Instance(reading=reading),
        default_width=8,
        start="zero-change",
        centred=centred,
        instance_width=6,
    )
    assert type(built.inner) is type(plain) and built.width == plain.width
