"""How far newcomers are expected to be, checked on texts that the model was not trained on."""

import numpy as np
import pytest
import torch

from hyperadapters.adaptation.linear import LinearRows
from hyperadapters.adaptation.prior import Prior
from hyperadapters.adaptation.spread import KNOWN, SCALES, spread_on_new_texts

WIDTH, LABELS, PEOPLE, ROWS = 3, 3, 200, 24


def rows_of(spread, spread_on_dev, seed=0):
    """Rows whose last third is of dev, where people differ by another standard deviation."""
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    person = np.repeat(np.arange(PEOPLE), ROWS)
    is_new = np.tile(np.arange(ROWS) >= ROWS * 2 // 3, PEOPLE)
    z = torch.randn(PEOPLE, WIDTH, **draw)[person]
    z = z * torch.where(torch.from_numpy(is_new), spread_on_dev, spread).unsqueeze(1)
    jacobian = torch.randn(len(person), LABELS - 1, WIDTH, **draw)
    logits = torch.randn(len(person), LABELS, **draw)
    rows = LinearRows(logits, jacobian, torch.zeros(len(person), WIDTH, dtype=torch.float64))
    p = rows(np.arange(len(person)), z)[0].softmax(dim=1)
    labels = torch.multinomial(p, 1, generator=generator).squeeze(1).numpy()
    return rows, labels, person, is_new


def prior_of(scale):
    return Prior(torch.zeros(WIDTH).double(), torch.full((WIDTH,), scale).double())


def test_a_prior_that_holds_on_new_texts_stays_about_as_it_is():
    found = spread_on_new_texts(*rows_of(1.0, 1.0), prior_of(1.0))
    assert 0.7 <= float(found.scale[0]) <= 1.4


def test_where_people_differ_less_on_new_texts_it_is_narrower():
    found = spread_on_new_texts(*rows_of(1.0, 0.15), prior_of(1.0))
    assert float(found.scale[0]) <= 0.5


def test_a_prior_that_is_too_narrow_is_widened():
    found = spread_on_new_texts(*rows_of(1.0, 1.0), prior_of(0.5))
    assert float(found.scale[0]) == pytest.approx(0.5 * max(SCALES))


def test_mean_and_axes_stay():
    basis = torch.linalg.qr(torch.randn(WIDTH, WIDTH, dtype=torch.float64))[0]
    prior = Prior(torch.ones(WIDTH).double() / 8, torch.ones(WIDTH).double(), basis)
    found = spread_on_new_texts(*rows_of(1.0, 0.2), prior)
    assert found.mean is prior.mean and found.basis is prior.basis


@pytest.mark.parametrize("new", ["none", "all", "few", "of others"])
def test_without_enough_labels_of_new_texts_it_stays(new):
    rows, labels, person, is_new = rows_of(1.0, 0.15)
    if new == "few":
        is_new = is_new & (person < 5)
    elif new == "of others":
        is_new = person >= PEOPLE // 2
    else:
        is_new = np.full(len(person), new == "all")
    prior = prior_of(1.0)
    assert spread_on_new_texts(rows, labels, person, is_new, prior) is prior


def test_only_so_many_labels_of_a_person_count_as_known():
    rows, labels, person, is_new = rows_of(1.0, 1.0)
    seen = []

    def watched(some, z):
        seen.append(np.bincount(person[some][~is_new[some]], minlength=PEOPLE).max())
        return rows(some, z)

    spread_on_new_texts(watched, labels, person, is_new, prior_of(1.0))
    assert max(seen) == KNOWN
