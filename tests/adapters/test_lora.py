import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hyperadapters.adapters import LoRA, LoRAWeights, apply_lora
from hyperadapters.errors import AdapterShapeError, ConfigError

SIZE = st.integers(1, 5)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def naive(x: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """Row by row, as the formula says; k neighbouring rows share one of n pairs."""
    k = x.shape[0] // max(a.shape[0], b.shape[0])
    rows = []
    for row, value in enumerate(x):
        own_a = a[row // k if len(a) > 1 else 0]
        own_b = b[row // k if len(b) > 1 else 0]
        rows.append(scale * value @ own_a.T @ own_b.T)
    return torch.stack(rows)


@settings(max_examples=50, deadline=None)
@given(
    n=SIZE,
    k=SIZE,
    positions=SIZE,
    widths=st.tuples(SIZE, SIZE, SIZE),
    shared=st.sampled_from(["", "a", "b", "ab"]),
    more_axes=st.booleans(),
    scale=st.floats(0.1, 20),
)
def test_every_row_gets_its_own_product(n, k, positions, widths, shared, more_axes, scale):
    r, in_width, out_width = widths
    shape = (n * k, positions, 2) if more_axes else (n * k, positions)
    x = normal(*shape, in_width)
    a = normal(1 if "a" in shared else n, r, in_width, seed=1)
    b = normal(1 if "b" in shared else n, out_width, r, seed=2)
    got = apply_lora(x, LoRAWeights(a, b), scale)
    assert got.shape == (*shape, out_width)
    torch.testing.assert_close(got, naive(x, a, b, scale))


@settings(max_examples=50, deadline=None)
@given(rows=SIZE, widths=st.tuples(SIZE, SIZE, SIZE), shared=st.sampled_from(["", "a", "ab"]))
def test_inputs_without_positions(rows, widths, shared):
    r, in_width, out_width = widths
    x = normal(rows, in_width)
    a = normal(1 if "a" in shared else rows, r, in_width, seed=1)
    b = normal(1 if "b" in shared else rows, out_width, r, seed=2)
    got = apply_lora(x, LoRAWeights(a, b), 2.0)
    torch.testing.assert_close(got, naive(x, a, b, 2.0))


@pytest.mark.parametrize(
    ("shape", "n_a", "n_b"),
    [
        ((5, 3, 4), 2, 2),  # not a multiple
        ((2, 3, 4), 4, 4),  # fewer rows than weights
        ((5, 3, 4), 1, 2),  # shared A, B per row
        ((1, 6, 4), 2, 2),  # a packed batch
        ((6, 4), 2, 2),  # a flat list of tokens, although 2 divides 6
        ((6, 4), 1, 2),
    ],
)
def test_rows_that_do_not_fit(shape, n_a, n_b):
    weights = LoRAWeights(torch.ones(n_a, 2, 4), torch.ones(n_b, 3, 2))
    with pytest.raises(AdapterShapeError) as raised:
        apply_lora(torch.ones(*shape), weights, 1.0)
    text = str(raised.value)
    assert f"for weights of {n_b} rows; wanted one row of input per condition" in text
    assert "packed, unpadded or flattened" in text


def test_gradients_reach_both_factors_of_their_own_row_only():
    a, b = normal(3, 2, 4).requires_grad_(), normal(3, 5, 2).requires_grad_()
    apply_lora(normal(3, 6, 4), LoRAWeights(a, b), 1.0)[1].square().sum().backward()
    for factor in (a, b):
        assert factor.grad is not None
        assert factor.grad[1].abs().min() > 0
        assert factor.grad[[0, 2]].abs().max() == 0


def test_scale():
    assert LoRA(8, 16.0).scale == 2.0
    assert LoRA(8, 16.0, use_rslora=True).scale == pytest.approx(16 / math.sqrt(8))


@pytest.mark.parametrize(
    ("r", "alpha", "message"),
    [
        (0, 16.0, "r must be at least 1, got 0"),
        (2, 0.0, "lora_alpha must be a positive number, got 0"),
        (2, float("nan"), "got nan"),
        (2, float("inf"), "got inf"),
    ],
)
def test_ranks_and_scales_that_cannot_be(r, alpha, message):
    with pytest.raises(ConfigError, match=message):
        LoRA(r, alpha)
