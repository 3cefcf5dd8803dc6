import pytest
import torch

from hyperadapters.encoders import zero_dims
from hyperadapters.encoders.start import VECTOR_STD, start_table_
from hyperadapters.errors import ConfigError


@pytest.mark.parametrize(
    ("width", "parts", "wanted"),
    [
        (4, 2, [2, 3]),
        (5, 2, [2, 3, 4]),
        (2, 2, [1]),
        (1, 2, [0]),
        (6, 3, [2, 3]),
        (7, 3, [2, 3]),
        (8, 3, [2, 3, 4]),
        (3, 3, [1]),
        (2, 3, [0]),
        (1, 3, [0]),
    ],
)
def test_positions_that_start_at_zero(width, parts, wanted):
    found = zero_dims(width, parts)
    assert found.shape == (width,) and found.dtype == torch.bool
    assert found.nonzero().flatten().tolist() == wanted


@pytest.mark.parametrize(("width", "parts"), [(0, 2), (4, 1)])
def test_no_positions(width, parts):
    with pytest.raises(ConfigError, match=f"got {width} and {parts}"):
        zero_dims(width, parts)


def test_tables():
    torch.manual_seed(0)
    table = torch.full((500, 6), 7.0)
    start_table_(table, "hyperfan-in", 2)
    assert table.std() == pytest.approx(1.0, abs=0.05)
    start_table_(table, "zero-change", 3)
    zero = torch.tensor([False, False, True, True, False, False])
    assert (table[:, zero] == 0).all() and (table[:, ~zero] != 0).all()
    assert table[:, ~zero].std() == pytest.approx(VECTOR_STD, rel=0.1)
    assert table.mean() == pytest.approx(0, abs=VECTOR_STD / 10)


def test_the_lora_start_draws_nothing():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    table = torch.ones(3, 4)
    start_table_(table, "lora", 2)
    assert (table == 0).all()
    assert torch.equal(torch.get_rng_state(), before)


def test_there_are_three_starts():
    with pytest.raises(ConfigError, match="unknown start 'warm'; known: 'zero-change', 'lora', "):
        start_table_(torch.ones(3, 4), "warm", 2)
