import pytest
import torch
from torch import Tensor

from hyperadapters.encoders import LookupEncoder, Start, zero_dims
from hyperadapters.encoders.combine import OPEN, Combine, Combiner, zero_parts
from hyperadapters.errors import ConfigError

COMBINES = ["concat", "sum", "gate"]


def built(combine: Combine, width: int = 9, start: Start = "zero-change") -> Combiner:
    return Combiner({"a": width, "b": width}, combine, start)


def randomised(combine: Combine) -> tuple[Combiner, list[Tensor]]:
    combiner = built(combine, width=4)
    torch.manual_seed(0)
    for parameter in combiner.parameters():
        torch.nn.init.normal_(parameter)
    return combiner, [torch.randn(3, 4), torch.randn(3, 4)]


def test_side_by_side():
    combiner, (a, b) = randomised("concat")
    assert combiner.width == 8
    assert torch.equal(
        combiner([a, b]), torch.stack([torch.cat(p) for p in zip(a, b, strict=True)])
    )


def test_added():
    combiner, (a, b) = randomised("sum")
    assert combiner.width == 4
    torch.testing.assert_close(combiner([a, b]), a + b)


def test_gated_against_the_formula():
    combiner, (a, b) = randomised("gate")
    assert combiner.width == 4 and combiner.gates is not None
    weight, bias = combiner.gates.weight, combiner.gates.bias
    for row, got in enumerate(combiner([a, b])):
        both = torch.cat([a[row], b[row]])
        gates = [
            torch.tanh(sum(w * x for w, x in zip(weight[i], both, strict=True)) + bias[i])
            for i in range(8)
        ]
        wanted = [gates[i] * a[row, i] + gates[4 + i] * b[row, i] for i in range(4)]
        torch.testing.assert_close(got, torch.stack(wanted))


@pytest.mark.parametrize("combine", COMBINES)
def test_nobody_stays_nobody(combine):
    combiner, (a, b) = randomised(combine)
    together = combiner([a * 0, b * 0])
    assert torch.equal(together, torch.zeros(3, combiner.width))


@pytest.mark.parametrize("combine", COMBINES)
def test_a_single_vector_is_left_as_it_is(combine):
    combiner = Combiner({"a": 9}, combine, "zero-change")
    vectors = torch.randn(2, 9)
    assert combiner([vectors]) is vectors
    assert not list(combiner.parameters())
    assert combiner.width == 9
    # But it starts divided as its encoder has it.
    assert torch.equal(combiner.live, zero_dims(9, zero_parts(combine)))


def test_without_conditions_there_is_nothing():
    combiner = Combiner({}, "concat", "zero-change")
    assert combiner.width == 0 and combiner.live.shape == (0,)


def encoded(combiner: Combiner, width: int, combine: Combine) -> Tensor:
    """Vectors as the encoders start them, combined."""
    torch.manual_seed(0)
    encoders = [LookupEncoder(5, width, parts=zero_parts(combine)) for _ in range(2)]
    return combiner([encoder(torch.arange(5)) for encoder in encoders])


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 9, 64])
@pytest.mark.parametrize("combine", COMBINES)
def test_live_says_which_dimensions_are_zero_at_the_start(combine, width):
    combiner = built(combine, width)
    z = encoded(combiner, width, combine)
    assert torch.equal(combiner.live, (z == 0).all(dim=0))
    assert torch.equal(combiner.live, ~(z != 0).any(dim=0))


def test_live_of_vectors_of_several_widths():
    combiner = Combiner({"a": 2, "b": 5}, "concat", "zero-change")
    assert combiner.live.tolist() == [False, True, False, False, True, True, True]


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 64])
@pytest.mark.parametrize("combine", COMBINES)
def test_vectors_and_gates_get_a_gradient_at_the_start(combine, width):
    """Through the dimensions that are zero, as those who read the others are silent at first."""
    combiner = built(combine, width)
    encoders = [LookupEncoder(5, width, parts=zero_parts(combine)) for _ in range(2)]
    z = combiner([encoder(torch.arange(5)) for encoder in encoders])
    (z * torch.randn_like(z) * combiner.live).sum().backward()
    for encoder in encoders:
        assert encoder.vectors.grad is not None and encoder.vectors.grad.abs().max() > 0
    if combiner.gates is not None and width > 1:  # a width of 1 has no part for the gates
        for parameter in combiner.gates.parameters():
            assert parameter.grad is not None and parameter.grad.abs().max() > 0


def test_gates_are_open_at_the_start_but_the_last_third():
    combiner = built("gate", 9)
    assert combiner.gates is not None
    assert combiner.gates.weight.abs().max() == 0
    opened = [OPEN] * 6 + [0.0] * 3
    assert combiner.gates.bias.tolist() == opened * 2


@pytest.mark.parametrize("start", ["lora", "hyperfan-in"])
def test_all_gates_are_open_with_the_other_starts(start):
    combiner = built("gate", 64, start)
    assert combiner.gates is not None
    assert torch.equal(combiner.gates.bias, torch.full((128,), OPEN))
    assert combiner.gates.weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("combine", ["sum", "gate"])
def test_vectors_of_several_widths_cannot_be_added(combine):
    message = f"combine='{combine}' needs condition vectors of one width, got {{'a': 2, 'b': 5}}"
    with pytest.raises(ConfigError, match=message):
        Combiner({"a": 2, "b": 5}, combine, "zero-change")


@pytest.mark.parametrize("combine", COMBINES)
def test_what_is_zero_is_known_on_the_meta_device_too(combine):
    with torch.device("meta"):
        combiner = built(combine)
        live = combiner.live
    assert all(parameter.is_meta for parameter in combiner.parameters())
    assert torch.equal(live, built(combine).live)
    combiner = combiner.to_empty(device="cpu")
    combiner.reset_parameters()
    assert torch.equal(encoded(combiner, 9, combine), encoded(built(combine), 9, combine))
