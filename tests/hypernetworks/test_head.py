import pytest
import torch

from hyperadapters.adapters import HeadWeights, taste_logits
from hyperadapters.encoders import LookupEncoder, zero_dims
from hyperadapters.hypernetworks import HeadGenerator


def test_nobody_adds_nothing():
    weights = HeadGenerator(4, 6, 3, taste_rank=5, start="lora")(torch.zeros(2, 4))
    for part in (weights.shift, weights.bias, weights.gate):
        assert part is not None and part.abs().max() == 0


def test_shapes():
    generator = HeadGenerator(4, 6, 3, taste_rank=5)
    shift, bias, gate, taste_in, taste_out, _ = generator(torch.randn(2, 4))
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
    weights = HeadGenerator(64, 300, 20, start="lora")(z)
    assert weights.bias is not None and weights.shift is not None
    assert weights.bias.std().item() == pytest.approx(1.0, rel=0.1)
    assert weights.shift.std().item() == pytest.approx(0.3, rel=0.1)


def changes(weights: HeadWeights, head: torch.nn.Linear, features: torch.Tensor) -> torch.Tensor:
    """What a head adds to its logits because of the weights."""
    shift, bias, gate, taste_in, taste_out, _ = weights
    assert shift is not None and bias is not None
    added = torch.nn.functional.linear(shift, head.weight) + bias
    if gate is None or taste_in is None or taste_out is None:
        return added
    return added + taste_logits(features, gate, taste_in, taste_out)


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4, 16])
def test_with_zero_change_nothing_is_added_at_first_and_everything_learns(rank):
    torch.manual_seed(0)
    generator = HeadGenerator(8, 6, 3, taste_rank=rank, live=zero_dims(8))
    encoder, head = LookupEncoder(5, 8), torch.nn.Linear(6, 3)
    added = changes(generator(encoder(torch.arange(5))), head, torch.randn(5, 6))
    assert torch.equal(added, torch.zeros(5, 3))
    (added * torch.randn_like(added)).sum().backward()
    for name, parameter in (*generator.named_parameters(), ("vectors", encoder.vectors)):
        assert parameter.grad is not None
        # Two directions are too few for three factors: the gate is the one that learns first.
        waits = rank < 3 and name in ("taste_in", "taste_out")
        assert bool((parameter.grad != 0).any()) is not waits, name


def test_vectors_that_are_not_zero_anywhere_still_add_nothing_at_first():
    """As with a hypernetwork that is not centred: no dimension is live."""
    generator = HeadGenerator(8, 6, 3, taste_rank=6, live=torch.zeros(8, dtype=torch.bool))
    added = changes(generator(torch.randn(5, 8)), torch.nn.Linear(6, 3), torch.randn(5, 6))
    assert torch.equal(added, torch.zeros(5, 3))


def test_it_can_start_again_after_the_meta_device():
    with torch.device("meta"):
        generator = HeadGenerator(8, 6, 3, taste_rank=3)
    generator = generator.to_empty(device="cpu")
    generator.reset_parameters()
    assert all(p.isfinite().all() for p in generator.parameters())
