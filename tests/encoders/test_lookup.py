import pytest
import torch

from hyperadapters.encoders import LookupEncoder, zero_dims


def encoder(**options) -> LookupEncoder:
    torch.manual_seed(0)
    lookup = LookupEncoder(4, 3, name="annotator_ids", **options)
    torch.nn.init.normal_(lookup.vectors)
    return lookup


def test_rows_of_the_table():
    lookup = encoder()
    assert lookup.width == 3
    assert torch.equal(lookup(torch.tensor([2, 0, 2])), lookup.vectors[[2, 0, 2]])
    assert lookup(torch.tensor([], dtype=torch.long)).shape == (0, 3)


@pytest.mark.parametrize("centred", [True, False])
def test_the_population(centred):
    lookup = encoder(centred=centred)
    wanted = torch.zeros(3) if centred else lookup.vectors.mean(dim=0)
    got = lookup(torch.tensor([1, -1]))
    assert torch.equal(got[0], lookup.vectors[1])
    torch.testing.assert_close(got[1], wanted, rtol=0, atol=0)
    assert torch.equal(lookup.population()[0], got[1])


@pytest.mark.parametrize("centred", [True, False])
def test_mixtures(centred):
    lookup = encoder(centred=centred)
    weights = torch.tensor([[0.5, 0.0, 0.5, 0.0], [0.0, -1.0, 0.0, 3.0]])
    v = lookup.vectors
    wanted = torch.stack([(v[0] + v[2]) / 2, 3 * v[3] - v[1]])
    torch.testing.assert_close(lookup(weights), wanted)
    # The mixture of a single condition is that condition.
    torch.testing.assert_close(lookup(torch.eye(4)), lookup(torch.arange(4)))
    assert lookup.to(torch.bfloat16)(weights).dtype == torch.bfloat16


def test_known():
    lookup = encoder()
    assert lookup.known(torch.tensor([0, -1, 3])).tolist() == [True, False, True]
    assert lookup.known(torch.zeros(2, 4)).tolist() == [True, True]


@pytest.mark.parametrize("parts", [2, 3])
def test_zero_change_start(parts):
    torch.manual_seed(0)
    lookup = LookupEncoder(5, 7, parts=parts)
    zero = zero_dims(7, parts)
    assert (lookup.vectors[:, zero] == 0).all() and (lookup.vectors[:, ~zero] != 0).all()
    assert torch.equal(lookup(torch.tensor([-1])), torch.zeros(1, 7))


def test_other_starts():
    before = torch.get_rng_state()
    assert LookupEncoder(4, 3, start="lora").vectors.abs().max() == 0
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(0)
    spread = LookupEncoder(200, 50, start="hyperfan-in").vectors.detach()
    assert spread.std() == pytest.approx(1.0, abs=0.05)
    assert spread.mean() == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("start", ["zero-change", "lora", "hyperfan-in"])
def test_without_a_centre_every_start_is_the_same(start):
    torch.manual_seed(0)
    got = LookupEncoder(4, 3, centred=False, start=start).vectors
    torch.manual_seed(0)
    assert torch.equal(got, torch.randn(4, 3))


def test_only_those_who_were_asked_learn():
    lookup = encoder()
    lookup(torch.tensor([0, 2, -1])).square().sum().backward()
    assert lookup.vectors.grad is not None
    assert (lookup.vectors.grad.abs().sum(dim=1) > 0).tolist() == [True, False, True, False]


def test_all_in_the_mixture_learn():
    lookup = encoder()
    lookup(torch.tensor([[0.5, 0.0, 0.5, 0.0]])).square().sum().backward()
    assert lookup.vectors.grad is not None
    assert (lookup.vectors.grad.abs().sum(dim=1) > 0).tolist() == [True, False, True, False]


@pytest.mark.parametrize("centred", [True, False])
def test_no_number_is_looked_at(centred):
    # The meta device has no numbers: whatever asked for one would raise.
    with torch.device("meta"):
        lookup = LookupEncoder(4, 3, centred=centred)
        for values in (torch.zeros(5, dtype=torch.long), torch.zeros(5, 4)):
            assert lookup(values).shape == (5, 3)
            assert lookup.known(values).shape == (5,)
    assert lookup.vectors.is_meta
    filled = lookup.to_empty(device="cpu")
    filled.reset_parameters()
    torch.testing.assert_close(filled(torch.arange(4)), filled.vectors, rtol=0, atol=0)
