import pytest
import torch

from hyperadapters.hypernetworks import HeadGenerator


def test_nobody_adds_nothing():
    weights = HeadGenerator(4, 6, 3, taste_rank=5)(torch.zeros(2, 4))
    for part in (weights.shift, weights.bias, weights.gate):
        assert part is not None and part.abs().max() == 0


def test_shapes():
    generator = HeadGenerator(4, 6, 3, taste_rank=5)
    shift, bias, gate, taste_in, taste_out = generator(torch.randn(2, 4))
    shapes = [tuple(part.shape) for part in (shift, bias, gate, taste_in, taste_out)]
    assert shapes == [(2, 6), (2, 3), (2, 5), (5, 6), (3, 5)]


@pytest.mark.parametrize(
    ("arguments", "there"),
    [
        ({"in_width": 6, "n_labels": 3}, {"shift", "bias"}),
        ({"in_width": None, "n_labels": 3, "taste_rank": 5}, {"bias"}),
        ({"in_width": 6, "n_labels": None, "taste_rank": 5}, {"shift"}),
        ({"in_width": 6, "n_labels": 3, "shift": False}, {"bias"}),
        (
            {"in_width": 6, "n_labels": 3, "taste_rank": 5, "shift": False},
            {"bias", "gate", "taste_in", "taste_out"},
        ),
    ],
)
def test_parts_that_are_left_out(arguments, there):
    weights = HeadGenerator(4, **arguments)(torch.randn(2, 4))
    assert {name for name, part in weights._asdict().items() if part is not None} == there


def test_a_unit_vector_moves_a_logit_by_about_one():
    torch.manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(500, 64), dim=1) * 8
    weights = HeadGenerator(64, 300, 20)(z)
    assert weights.bias is not None and weights.shift is not None
    assert weights.bias.std().item() == pytest.approx(1.0, rel=0.1)
    assert weights.shift.std().item() == pytest.approx(0.3, rel=0.1)
