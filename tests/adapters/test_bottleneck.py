import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hyperadapters.adapters import Activation, Bottleneck, BottleneckWeights, Directions
from hyperadapters.errors import AdapterShapeError, ConfigError
from hyperadapters.sites import Site

SIZE = st.integers(1, 5)
ACTIVATIONS = get_args(Activation)
NAMES = ("down", "down_bias", "up", "up_bias", "gain")
# Number by number, from the definitions.
SLOW = {
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "relu": lambda x: max(x, 0.0),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "tanh": math.tanh,
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def naive(x: Tensor, weights: BottleneckWeights, form: Bottleneck) -> Tensor:
    """One position after the other; k neighbouring rows share one of n sets."""
    n = max(len(tensor) for tensor in weights if tensor is not None)
    k, rows = x.shape[0] // n, []
    for row, value in enumerate(x):
        own = [None if t is None else t[row // k if len(t) > 1 else 0] for t in weights]
        down, down_bias, up, up_bias, gain = own
        out = []
        for position in value.reshape(-1, value.shape[-1]):
            units = [SLOW[form.activation](u) for u in (down @ position + down_bias).tolist()]
            units = torch.tensor(units, dtype=x.dtype)
            out.append(form.scale * (up @ (units if gain is None else gain * units) + up_bias))
        rows.append(torch.stack(out).reshape(*value.shape[:-1], up.shape[0]))
    return torch.stack(rows)


@settings(max_examples=100, deadline=None)
@given(
    n=SIZE,
    k=SIZE,
    positions=st.lists(st.integers(1, 3), min_size=1, max_size=2),
    widths=st.tuples(SIZE, SIZE, SIZE),
    shared=st.sets(st.sampled_from(NAMES)),
    gains=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
    scale=st.floats(0.1, 20),
)
def test_every_row_goes_through_its_own_units(
    n, k, positions, widths, shared, gains, activation, scale
):
    width, in_width, out_width = widths
    form = Bottleneck(width, activation, scale)
    shapes = [*form.shapes(Site("0.mlp", in_width, out_width)).values(), (width,)]
    tensors: list[Tensor | None] = [
        normal(1 if name in shared else n, *shape, seed=number)
        for number, (name, shape) in enumerate(zip(NAMES, shapes, strict=True))
    ]
    weights = BottleneckWeights(*tensors[:4], tensors[4] if gains else None)
    x = normal(n * k, *positions, in_width)
    got = form.apply(x, weights)
    assert got.shape == (n * k, *positions, out_width)
    torch.testing.assert_close(got, naive(x, weights, form))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_inputs_without_positions(activation):
    form = Bottleneck(3, activation, 0.5)
    shapes = [*form.shapes(Site("0.mlp", 4, 2)).values(), (3,)]
    weights = BottleneckWeights(*[normal(5, *shape) for shape in shapes])
    x = normal(5, 4)
    torch.testing.assert_close(form.apply(x, weights), naive(x, weights, form))


@pytest.mark.parametrize(
    ("shape", "per_row"),
    [
        ((5, 3, 4), NAMES),  # not a multiple of 2
        ((1, 6, 4), NAMES),  # a packed batch
        ((6, 4), NAMES),  # a flat list of tokens, although 2 divides 6
        ((6, 4), ("up",)),
        ((6, 4), ("gain",)),
        ((3, 6, 4), ("up",)),
    ],
)
def test_rows_that_do_not_fit(shape, per_row):
    form = Bottleneck(3)
    shapes = [*form.shapes(Site("0.mlp", 4, 5)).values(), (3,)]
    tensors = [
        torch.ones(2 if name in per_row else 1, *shape)
        for name, shape in zip(NAMES, shapes, strict=True)
    ]
    message = "for weights of 2 rows; wanted one row of input per condition .packed, unpadded or f"
    with pytest.raises(AdapterShapeError, match=message):
        form.apply(torch.ones(shape), BottleneckWeights(*tensors))


@pytest.mark.parametrize("name", ["down_bias", "up_bias"])
def test_biases_that_do_not_fit(name):
    form = Bottleneck(3)
    tensors = {n: torch.ones(1, *s) for n, s in form.shapes(Site("0.mlp", 4, 5)).items()}
    tensors[name] = tensors[name].expand(2, -1)
    message = "got 3 rows for values of 2 rows; wanted one row per condition"
    with pytest.raises(AdapterShapeError, match=message):
        form.apply(torch.ones(3, 6, 4), BottleneckWeights(**tensors))


def started(form: Bottleneck, gains: bool) -> dict[str, Tensor]:
    """Tensors as they start, with gains as `DirectionGains` starts them."""
    torch.manual_seed(0)
    directions = Directions.of(form.width, gains=gains)
    tensors = {n: torch.full(s, 9.0) for n, s in form.shapes(Site("0.mlp", 7, 5)).items()}
    form.start([*tensors.values()], directions)
    if gains:
        tensors["gain"] = torch.ones(form.width)
        tensors["gain"][directions.silent_gain] = 0
    return {name: tensor.requires_grad_() for name, tensor in tensors.items()}


def reached(form: Bottleneck, gains: bool) -> set[str]:
    """Names of the tensors that get a gradient; the correction is checked on the way."""
    tensors = started(form, gains)
    weights = BottleneckWeights(**{name: t.unsqueeze(0) for name, t in tensors.items()})
    correction = form.apply(torch.randn(6, 4, 7), weights)
    assert torch.equal(correction, torch.zeros(6, 4, 5))
    (correction * torch.randn_like(correction)).sum().backward()
    return {n for n, t in tensors.items() if t.grad is not None and bool((t.grad != 0).any())}


@pytest.mark.parametrize("gains", [False, True])
@pytest.mark.parametrize("width", [2, 3, 8])
@pytest.mark.parametrize("activation", ["gelu", "silu", "tanh"])
def test_the_start_changes_nothing_and_every_tensor_gets_a_gradient(activation, width, gains):
    # Two units are too few for three factors: the gains have to wait.
    wanted = {*NAMES} if gains and width > 2 else {*NAMES} - {"gain"}
    assert reached(Bottleneck(width, activation, 2.0), gains) == wanted


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_of_a_single_unit_the_incoming_tensors_have_to_wait(activation):
    assert reached(Bottleneck(1, activation), gains=False) == {"up", "up_bias"}


def test_with_relu_the_incoming_tensors_have_to_wait():
    assert reached(Bottleneck(8, "relu"), gains=False) == {"up", "up_bias"}


def test_with_relu_and_gains_no_unit_is_left_without_any_gradient():
    form = Bottleneck(8, "relu")
    # The gains bring a third factor, which lets D go along as soon as they have moved.
    assert reached(form, gains=True) == {"up", "up_bias", "gain"}
    tensors = started(form, gains=True)
    weights = BottleneckWeights(**{name: t.unsqueeze(0) for name, t in tensors.items()})
    form.apply(torch.randn(50, 7), weights).square().sum().backward()
    form.apply(torch.randn(50, 7), weights).sum().backward()
    of_unit = tensors["up"].grad.abs().sum(dim=0) + tensors["gain"].grad.abs()
    assert (of_unit > 0).all()


def test_without_directions_u_and_the_biases_are_zero():
    torch.manual_seed(0)
    tensors = [torch.full(s, 9.0) for s in Bottleneck(3).shapes(Site("0.mlp", 400, 5)).values()]
    Bottleneck(3).start(tensors)
    down, *others = tensors
    assert all(tensor.abs().max() == 0 for tensor in others)
    assert 0.9 / 20 < down.abs().max() <= 1 / 20


def test_shapes_and_what_they_sum_over():
    form, site = Bottleneck(3), Site("0.mlp", 7, 5)
    assert form.shapes(site) == {
        **{"down": (3, 7), "down_bias": (3,), "up": (5, 3), "up_bias": (5,)}
    }
    assert form.fan_in(site) == {"down": 7, "down_bias": 1, "up": 3, "up_bias": 1}
    assert form.size == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"width": 2, "scale": 0.0}, "scale must be positive, got 0"),
        ({"width": 2, "scale": float("nan")}, "scale must be positive, got nan"),
    ],
)
def test_bottlenecks_that_cannot_be(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Bottleneck(**arguments)


def test_activations_that_there_are_not():
    form = Bottleneck(2)
    object.__setattr__(form, "activation", "elu")  # past the type checks of the tests
    with pytest.raises(ConfigError, match="one of gelu, relu, silu, tanh, got 'elu'"):
        form.__post_init__()
