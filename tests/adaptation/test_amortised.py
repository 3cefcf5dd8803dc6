"""The set encoder: what must hold of it untrained, and that training teaches it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.adaptation.amortise import Labelled, _shown, trained_encoder
from hyperadapters.adaptation.amortised import SetEncoder, Told
from hyperadapters.errors import RunError

WIDTH, LABELS = 3, 3


def told(n_people=4, n_rows=6, seed=0, given=None):
    generator = torch.Generator().manual_seed(seed)
    shape = (n_people, n_rows)
    return Told.of(
        torch.randn(*shape, LABELS, generator=generator),
        torch.randn(*shape, LABELS - 1, WIDTH, generator=generator),
        torch.randint(LABELS, shape, generator=generator),
        torch.ones(shape) if given is None else given,
    )


def encoder(seed=0):
    """One whose last layer is not zero, so that all of it counts."""
    torch.manual_seed(seed)
    made = SetEncoder(WIDTH, LABELS, hidden=8)
    torch.nn.init.normal_(made.further[-1].weight)
    return made.eval()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_labels_does_not_matter_and_people_are_apart(seed):
    of, made = told(seed=seed), encoder()
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    shuffled = Told(of.score[:, order], of.p[:, order], of.label[:, order], of.given[:, order])
    torch.testing.assert_close(made(shuffled), made(of), rtol=1e-4, atol=1e-5)
    alone = Told(of.score[2:3], of.p[2:3], of.label[2:3], of.given[2:3])
    torch.testing.assert_close(made(alone)[0], made(of)[2], rtol=1e-4, atol=1e-5)


def test_rows_that_are_not_given_count_nothing_and_no_labels_are_the_population():
    given = torch.ones(4, 6)
    given[:, 4:] = 0
    given[0] = 0
    made, some = encoder(), told(given=given)
    fewer = Told(some.score[:, :4], some.p[:, :4], some.label[:, :4], some.given[:, :4])
    torch.testing.assert_close(made(some), made(fewer), rtol=1e-5, atol=1e-6)
    assert not made(some)[0].any() and made(some)[1:].any(dim=1).all()


def test_the_score_is_the_gradient_of_the_log_probability():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(1, 1, LABELS, generator=generator, dtype=torch.float64)
    jacobian = torch.randn(1, 1, LABELS - 1, WIDTH, generator=generator, dtype=torch.float64)
    label = torch.tensor([[2]])
    u = torch.zeros(WIDTH, dtype=torch.float64, requires_grad=True)
    moved = torch.cat([logits[0, 0, :1], logits[0, 0, 1:] + jacobian[0, 0] @ u])
    (wanted,) = torch.autograd.grad(moved.log_softmax(dim=0)[2], u)
    found = Told.of(logits, jacobian, label, torch.ones(1, 1, dtype=torch.float64)).score[0, 0]
    torch.testing.assert_close(found, wanted)


def people(n_people=80, n_rows=24, seed=0):
    """People whose vectors differ much, and their labels of random texts."""
    generator = torch.Generator().manual_seed(seed)
    u = 1.5 * torch.randn(n_people, WIDTH, generator=generator)
    shape = (n_people, n_rows)
    logits = torch.randn(*shape, LABELS, generator=generator)
    jacobian = torch.randn(*shape, LABELS - 1, WIDTH, generator=generator)
    logits_of = logits.clone()
    logits_of[..., 1:] += torch.einsum("prfw,pw->prf", jacobian, u)
    label = torch.multinomial(logits_of.softmax(-1).flatten(0, 1), 1, generator=generator)
    return Labelled(logits, jacobian, label.view(shape), torch.ones(shape))


def test_training_teaches_it_what_labels_say_of_other_labels():
    made = trained_encoder(people(), seed=0, steps=80)
    new, shown = people(seed=1), torch.zeros(80, 24)
    shown[:, :12] = 1
    with torch.no_grad():
        nobody = new.nll(torch.zeros(80, WIDTH), 1 - shown)
        asked = new.nll(made(new.told(shown)), 1 - shown)
    assert float(asked) < float(nobody) - 0.1
    again = trained_encoder(people(), seed=0, steps=80)
    assert all(a.equal(b) for a, b in zip(made.parameters(), again.parameters(), strict=True))


def test_the_generator_of_pytorch_is_left_as_it_was():
    before = torch.get_rng_state()
    trained_encoder(people(12, 4), steps=2)
    assert torch.get_rng_state().equal(before)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_what_is_shown(seed):
    torch.manual_seed(seed)
    there = (torch.arange(40) < torch.tensor([[40], [2], [1], [5]])).float()
    shown = _shown(there)
    assert (shown <= there).all()
    counts = shown.sum(dim=1)
    assert 1 <= counts[0] <= 32 and counts[1] == 1 and counts[2] == 0 and 1 <= counts[3] <= 4


def test_it_is_read_as_it_was_written(tmp_path):
    path, made = tmp_path / "set_encoder.safetensors", encoder()
    made.save(path)
    assert SetEncoder.load(path, WIDTH, LABELS)(told()).equal(made(told()))
    with pytest.raises(RunError, match="cannot be read"):
        SetEncoder.load(path, WIDTH + 1, LABELS)
    path.write_bytes(b"no")
    with pytest.raises(RunError, match="cannot be read"):
        SetEncoder.load(path, WIDTH, LABELS)
