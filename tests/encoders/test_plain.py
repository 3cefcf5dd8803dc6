"""Readers of vectors for networks to which zero is nothing special."""

import pytest
import torch

from hyperadapters.conditions import Instance, Vector
from hyperadapters.encoders import PlainEncoder, build_encoder
from hyperadapters.errors import ConfigError

NAN = float("nan")


@torch.no_grad()
def test_against_the_formula():
    encoder = PlainEncoder(5, 4, hidden_width=6)
    x = torch.randn(3, 5)
    hidden = (x @ encoder.first.weight.T + encoder.first.bias).clamp(min=0)
    wanted = hidden @ encoder.second.weight.T + encoder.second.bias
    torch.testing.assert_close(encoder(x), wanted)
    assert encoder.width == 4 and hidden.shape[1] == 6
    assert PlainEncoder(5, 4).first.out_features == 4


def test_nothing_between():
    encoder = PlainEncoder(5)
    x = torch.randn(3, 5, requires_grad=True)
    assert torch.equal(encoder(x), x) and encoder.width == 5
    assert list(encoder.parameters()) == []
    encoder.reset_parameters()
    encoder(x).sum().backward()
    assert torch.equal(x.grad, torch.ones(3, 5))


@pytest.mark.parametrize("width", [None, 4])
def test_missing_rows(width):
    encoder = PlainEncoder(5, width)
    x = torch.randn(3, 5)
    x[1] = NAN
    assert encoder.known(x).tolist() == [True, False, True]
    out = encoder(x)
    assert out.isfinite().all()
    torch.testing.assert_close(out[1:2], encoder(torch.zeros(1, 5)))
    assert encoder.population().shape == (1, encoder.width)
    assert (encoder.population() == 0).all()
    out.sum().backward() if width else None
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


def test_gradient_reaches_everything():
    encoder = PlainEncoder(5, 4)
    x = torch.randn(8, 5, requires_grad=True)
    encoder(x).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in encoder.parameters())
    assert x.grad.abs().max() > 0


def test_start_is_that_of_torch():
    torch.manual_seed(0)
    encoder = PlainEncoder(5, 4, hidden_width=6)
    torch.manual_seed(0)
    first, second = torch.nn.Linear(5, 6), torch.nn.Linear(6, 4)
    assert torch.equal(encoder.first.weight, first.weight)
    assert torch.equal(encoder.second.bias, second.bias)
    torch.manual_seed(0)
    encoder.reset_parameters()
    assert torch.equal(encoder.first.weight, first.weight)


def built(condition, **changes):
    options = {"default_width": 7, "start": "near-zero", "parts": 2, "centred": False}
    return build_encoder("content", condition, instance_width=5, **{**options, **changes})


@pytest.mark.parametrize("declared", [Instance, lambda **o: Vector(5, **o)])
def test_built_as_declared(declared):
    plain = built(declared(reading="plain"))
    assert isinstance(plain, PlainEncoder)
    assert (plain.width, plain.first.out_features) == (5, 5)
    sized = built(declared(reading="plain", encoded_width=3, hidden_width=2))
    assert (sized.width, sized.first.out_features) == (3, 2)
    nothing = built(declared(reading="none"))
    assert isinstance(nothing, PlainEncoder) and nothing.first is None and nothing.width == 5
    assert not isinstance(built(declared()), PlainEncoder)
    for reading in ("plain", "none"):
        with pytest.raises(ConfigError, match=f"content: reading='{reading}' is for"):
            built(declared(reading=reading), centred=True, start="zero-change")
    with pytest.raises(ConfigError, match="no encoded_width"):
        declared(reading="none", encoded_width=3)
