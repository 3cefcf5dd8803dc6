import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hyperadapters.adapters import Directions, LoRA, LoRAWeights, apply_lora
from hyperadapters.errors import AdapterShapeError, ConfigError
from hyperadapters.sites import Site

SIZE = st.integers(1, 5)
SHARED = st.sets(st.sampled_from(["a", "b", "gain"]))


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def naive(x: Tensor, weights: LoRAWeights, scale: float) -> Tensor:
    """Row by row, as the formula says; k neighbouring rows share one of n sets."""
    n = max(len(tensor) for tensor in weights if tensor is not None)
    k, rows = x.shape[0] // n, []
    for row, value in enumerate(x):
        a, b, gain = (None if t is None else t[row // k if len(t) > 1 else 0] for t in weights)
        assert a is not None and b is not None
        middle = torch.eye(a.shape[0], dtype=x.dtype) if gain is None else torch.diag(gain)
        rows.append(scale * value @ a.T @ middle @ b.T)
    return torch.stack(rows)


@settings(max_examples=100, deadline=None)
@given(
    n=SIZE,
    k=SIZE,
    positions=SIZE,
    widths=st.tuples(SIZE, SIZE, SIZE),
    shared=SHARED,
    gains=st.booleans(),
    more_axes=st.booleans(),
    scale=st.floats(0.1, 20),
)
def test_every_row_gets_its_own_product(n, k, positions, widths, shared, gains, more_axes, scale):
    r, in_width, out_width = widths
    shape = (n * k, positions, 2) if more_axes else (n * k, positions)
    x = normal(*shape, in_width)
    a = normal(1 if "a" in shared else n, r, in_width, seed=1)
    b = normal(1 if "b" in shared else n, out_width, r, seed=2)
    gain = normal(1 if "gain" in shared else n, r, seed=3) if gains else None
    got = apply_lora(x, LoRAWeights(a, b, gain), scale)
    assert got.shape == (*shape, out_width)
    torch.testing.assert_close(got, naive(x, LoRAWeights(a, b, gain), scale))


@settings(max_examples=50, deadline=None)
@given(rows=SIZE, widths=st.tuples(SIZE, SIZE, SIZE), shared=SHARED)
def test_inputs_without_positions(rows, widths, shared):
    r, in_width, out_width = widths
    weights = LoRAWeights(
        normal(1 if "a" in shared else rows, r, in_width, seed=1),
        normal(1 if "b" in shared else rows, out_width, r, seed=2),
        normal(1 if "gain" in shared else rows, r, seed=3),
    )
    x = normal(rows, in_width)
    torch.testing.assert_close(apply_lora(x, weights, 2.0), naive(x, weights, 2.0))


def test_the_form_applies_its_scale():
    x, weights = normal(2, 3, 4), LoRAWeights(normal(2, 8, 4), normal(2, 5, 8))
    wanted = naive(x, weights, 16 / math.sqrt(8))
    torch.testing.assert_close(LoRA(8, 16.0, use_rslora=True).apply(x, weights), wanted)


@pytest.mark.parametrize(
    ("shape", "n_a", "n_b", "n_gain"),
    [
        ((5, 3, 4), 2, 2, None),  # not a multiple
        ((2, 3, 4), 4, 4, None),  # fewer rows than weights
        ((5, 3, 4), 1, 2, None),  # shared A, B per row
        ((1, 6, 4), 2, 2, None),  # a packed batch
        ((6, 4), 2, 2, None),  # a flat list of tokens, although 2 divides 6
        ((6, 4), 1, 2, None),
        ((6, 4), 1, 1, 2),  # shared factors, gains per row
        ((1, 6, 4), 1, 1, 2),
    ],
)
def test_rows_that_do_not_fit(shape, n_a, n_b, n_gain):
    gain = None if n_gain is None else torch.ones(n_gain, 2)
    weights = LoRAWeights(torch.ones(n_a, 2, 4), torch.ones(n_b, 3, 2), gain)
    with pytest.raises(AdapterShapeError) as raised:
        apply_lora(torch.ones(*shape), weights, 1.0)
    text = str(raised.value)
    assert f"for weights of {n_gain or n_b} rows; wanted one row of input per condition" in text
    assert "packed, unpadded or flattened" in text


def test_gradients_reach_the_tensors_of_their_own_row_only():
    weights = LoRAWeights(normal(3, 2, 4), normal(3, 5, 2), normal(3, 2))
    leaves = [tensor.requires_grad_() for tensor in weights if tensor is not None]
    apply_lora(normal(3, 6, 4), weights, 1.0)[1].square().sum().backward()
    assert len(leaves) == 3
    for leaf in leaves:
        assert leaf.grad is not None
        assert leaf.grad[1].abs().min() > 0
        assert leaf.grad[[0, 2]].abs().max() == 0


@pytest.mark.parametrize("gains", [False, True])
@pytest.mark.parametrize("r", [2, 3, 8])
def test_the_start_changes_nothing_and_every_tensor_gets_a_gradient(r, gains):
    torch.manual_seed(0)
    form, site = LoRA(r, 4.0), Site("0.q", 7, 5)
    directions = Directions.of(r, gains=gains)
    a, b = (torch.full(shape, 9.0) for shape in form.shapes(site).values())
    form.start([a, b], directions)
    gain = torch.ones(1, r)
    gain[:, directions.silent_gain] = 0
    leaves = [t.requires_grad_() for t in (a, b, *([gain] if gains else []))]
    weights = form.assemble([a.unsqueeze(0), b.unsqueeze(0)], gain if gains else None)
    correction = form.apply(torch.randn(6, 4, 7), weights)
    assert torch.equal(correction, torch.zeros(6, 4, 5))
    (correction * torch.randn_like(correction)).sum().backward()
    for name, leaf in zip(("a", "b", "gain"), leaves, strict=False):
        reached = leaf.grad is not None and bool((leaf.grad != 0).any())
        # Two directions are too few for three factors: the gains have to wait.
        assert reached is not (name == "gain" and r == 2), name


def test_of_a_single_direction_a_has_to_wait():
    torch.manual_seed(0)
    form = LoRA(1, 1.0)
    a, b = torch.empty(1, 7, requires_grad=True), torch.empty(5, 1, requires_grad=True)
    form.start([a, b], Directions.of(1))
    correction = form.apply(torch.randn(6, 7), form.assemble([a.unsqueeze(0), b.unsqueeze(0)]))
    assert torch.equal(correction, torch.zeros(6, 5))
    correction.sum().backward()
    assert a.grad is not None and a.grad.abs().max() == 0
    assert b.grad is not None and b.grad.abs().min() > 0


def test_without_directions_it_starts_as_published():
    torch.manual_seed(0)
    a, b = torch.empty(3, 400), torch.full((5, 3), 9.0)
    LoRA(3, 1.0).start([a, b])
    assert b.abs().max() == 0
    # Kaiming-uniform with a = √5 is uniform within 1/√in_width.
    assert 0.9 / 20 < a.abs().max() <= 1 / 20
    assert a.abs().mean().item() == pytest.approx(0.5 / 20, rel=0.1)


def test_shapes_and_what_they_sum_over():
    form, site = LoRA(3, 1.0), Site("0.q", 7, 5)
    assert form.shapes(site) == {"a": (3, 7), "b": (5, 3)}
    assert form.fan_in(site) == {"a": 7, "b": 3}
    assert form.size == 3


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
