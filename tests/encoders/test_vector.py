import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import gelu

from hyperadapters.encoders import VectorEncoder, zero_dims
from hyperadapters.errors import ConfigError

NAN = float("nan")


def encoder(**options) -> VectorEncoder:
    torch.manual_seed(0)
    return VectorEncoder(5, 4, **options)


def test_against_the_formula():
    vector = encoder(start="lora", hidden_width=6)
    x = torch.randn(3, 5)
    normed = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    hidden = gelu(normed @ vector.first.weight.T + vector.first.bias)
    torch.testing.assert_close(vector(x), hidden @ vector.second.weight.T)
    assert vector.width == 4 and hidden.shape[1] == 6
    assert VectorEncoder(5, 4).first.out_features == 4


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 40), st.integers(1, 40), st.integers(2, 3), st.integers(0, 99), st.floats(-4, 4)
)
def test_zero_change_start(in_width, width, parts, seed, magnitude):
    torch.manual_seed(seed)
    vector = VectorEncoder(in_width, width, parts=parts)
    zero = zero_dims(width, parts)
    z = vector(torch.randn(8, in_width) * 10**magnitude)
    assert (z[:, zero] == 0).all()
    assert (z[:, ~zero] != 0).all()
    # A gradient at the positions that are zero, and there alone, reaches every tensor.
    z.backward(torch.randn_like(z) * zero)
    for name, parameter in vector.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("start", ["lora", "hyperfan-in"])
def test_other_starts_are_those_of_pytorch(start):
    vector = encoder(start=start)
    torch.manual_seed(0)
    wanted = torch.nn.Linear(5, 4), torch.nn.Linear(4, 4, bias=False)
    assert torch.equal(vector.first.weight, wanted[0].weight)
    assert torch.equal(vector.first.bias, wanted[0].bias)
    assert torch.equal(vector.second.weight, wanted[1].weight)


@pytest.mark.parametrize("start", ["zero-change", "lora"])
def test_the_start_can_be_had_again(start):
    vector = encoder(start=start)
    wanted = {name: value.clone() for name, value in vector.state_dict().items()}
    for parameter in vector.parameters():
        torch.nn.init.ones_(parameter)
    torch.manual_seed(0)
    vector.reset_parameters()
    assert all(torch.equal(value, wanted[name]) for name, value in vector.state_dict().items())


def test_one_hidden_unit_cannot_cancel():
    with pytest.raises(ConfigError, match=r"^mood: .* hidden_width of at least 2, got 1$"):
        encoder(hidden_width=1, name="mood")
    assert encoder(hidden_width=1, start="lora")(torch.ones(2, 5)).shape == (2, 4)


def test_missing_rows_are_the_population():
    vector = encoder(start="lora")
    x = torch.randn(3, 5)
    x[1] = NAN
    assert vector.known(x).tolist() == [True, False, True]
    z = vector(x)
    assert torch.equal(z[1:2], vector.population())
    assert torch.equal(vector.population(), torch.zeros(1, 4))
    assert torch.equal(z[[0, 2]], vector(x[[0, 2]])) and (z[[0, 2]] != 0).all()


def test_missing_rows_do_not_spoil_gradients():
    vector = encoder(start="lora")
    x = torch.randn(3, 5)
    x[1] = NAN
    x.requires_grad_()
    vector(x).square().sum().backward()
    grads = {name: p.grad for name, p in vector.named_parameters()}
    vector.zero_grad()
    vector(x[[0, 2]]).square().sum().backward()
    for name, parameter in vector.named_parameters():
        torch.testing.assert_close(grads[name], parameter.grad)
    assert x.grad is not None
    assert torch.equal(x.grad[1], torch.zeros(5)) and (x.grad[[0, 2]] != 0).all()


def test_a_row_that_is_missing_in_part_is_not_hidden():
    x = torch.ones(2, 5)
    x[1, 2] = NAN
    vector = encoder(start="lora")
    assert vector.known(x).tolist() == [True, True]
    assert vector(x)[1].isnan().all()


def test_scale_does_not_matter():
    vector = encoder(start="lora")
    x = torch.randn(3, 5)
    torch.testing.assert_close(vector(100 * x + 7), vector(x), atol=1e-3, rtol=1e-3)


def test_of_a_single_number_something_remains():
    vector = VectorEncoder(1, 4, start="lora")
    a, b = vector(torch.tensor([[0.5], [2.0]]))
    assert (a != b).all()


def test_half_precision():
    vector = encoder(start="lora").to(torch.bfloat16)
    assert vector(torch.randn(3, 5)).dtype == torch.bfloat16


@pytest.mark.parametrize("start", ["zero-change", "lora"])
def test_no_number_is_looked_at(start):
    with torch.device("meta"):
        vector = encoder(start=start)
        assert vector(torch.zeros(3, 5)).shape == (3, 4)
        assert vector.known(torch.zeros(3, 5)).shape == (3,)
    assert all(parameter.is_meta for parameter in vector.parameters())
    torch.manual_seed(0)
    vector.to_empty(device="cpu").reset_parameters()
    x = torch.randn(3, 5)
    assert torch.equal(vector(x), encoder(start=start)(x))
