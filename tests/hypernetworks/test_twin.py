import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hyperadapters.hypernetworks.twin import TwinColumns, TwinRows, halves

WIDTH = st.integers(1, 70)
HIDDEN = st.integers(1, 32).map(lambda half: 2 * half)
ROWS = st.integers(1, 9)
SEED = st.integers(0, 99)


@settings(max_examples=300, deadline=None)
@given(width=WIDTH, hidden=HIDDEN, n=ROWS, seed=SEED, bias=st.booleans())
def test_twin_rows_give_equal_halves_to_the_last_bit(width, hidden, n, seed, bias):
    torch.manual_seed(seed)
    layer, live = TwinRows(width, hidden, bias=bias), torch.rand(width) < 0.5
    layer.twin(live)
    first, second = layer(torch.randn(n, width) * ~live).chunk(2, dim=-1)
    assert torch.equal(first, second)


@settings(max_examples=300, deadline=None)
@given(out=WIDTH, hidden=HIDDEN, n=ROWS, units=st.integers(1, 4), seed=SEED)
def test_opposed_columns_cancel_to_the_last_bit(out, hidden, n, units, seed):
    torch.manual_seed(seed)
    layer, half = TwinColumns(hidden, out), torch.randn(n, units, hidden // 2)
    layer.oppose()
    assert torch.equal(layer(torch.cat([half, half], dim=-1)), torch.zeros(n, units, out))


@settings(max_examples=50, deadline=None)
@given(width=WIDTH, hidden=HIDDEN, n=ROWS)
def test_both_are_linear_layers(width, hidden, n):
    rows, columns = TwinRows(width, hidden).double(), TwinColumns(hidden, width).double()
    x, units = torch.randn(n, 3, width).double(), torch.randn(n, hidden).double()
    torch.testing.assert_close(rows(x), nn.functional.linear(x, rows.weight, rows.bias))
    torch.testing.assert_close(columns(units), nn.functional.linear(units, columns.weight))
    assert columns.bias is None


def test_twins_differ_on_what_is_live_alone():
    layer, live = TwinRows(3, 8), torch.tensor([False, True, False])
    layer.twin(live)
    first, second = layer.weight.chunk(2)
    assert torch.equal(first[:, ~live], second[:, ~live])
    assert (first[:, live] != second[:, live]).all()
    assert torch.equal(layer.bias[:4], layer.bias[4:])


def test_some_outputs_can_be_opposed_alone():
    layer = TwinColumns(8, 5)
    before = layer.weight.detach().clone()
    layer.oppose(slice(3, None))
    assert torch.equal(layer.weight[:3], before[:3])
    assert torch.equal(layer.weight[3:, :4], before[3:, :4])
    assert torch.equal(layer.weight[3:, 4:], -before[3:, :4])


def test_halves_are_copied_only_where_they_lie_differently():
    tensor = torch.randn(3, 64)
    for half, wanted in zip(halves(tensor, 1), tensor.chunk(2, dim=1), strict=True):
        assert half.data_ptr() == wanted.data_ptr()
    odd = torch.randn(3, 10)
    for half, wanted in zip(halves(odd, 1), odd.chunk(2, dim=1), strict=True):
        assert torch.equal(half, wanted) and half.data_ptr() != wanted.data_ptr()


def test_gradients_arrive_as_in_a_linear_layer():
    """Also through the halves that are copied."""
    torch.manual_seed(0)
    layer, hidden = TwinColumns(10, 3), torch.randn(4, 10)
    layer(hidden).square().sum().backward()
    plain = layer.weight.detach().clone().requires_grad_()
    nn.functional.linear(hidden, plain).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, plain.grad)
