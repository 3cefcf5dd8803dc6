"""The two terms of AART, beside a loop over pairs."""

import math

import pytest
import torch

from hyperadapters.encoders import LookupEncoder
from hyperadapters.training.contrast import Contrast, contrast


def by_pairs(vectors, labels, texts):
    agree, differ = [], []
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            if texts[i] != texts[j]:
                continue
            a, b = vectors[i], vectors[j]
            cosine = float(a @ b / (a.norm() * b.norm()))
            if labels[i] == labels[j]:
                agree.append(max(0.0, 1 - cosine))
            else:
                differ.append(max(0.0, cosine))
    agree, differ = ([t for t in terms if t > 1e-7] for terms in (agree, differ))
    return sum(sum(terms) / max(1, len(terms)) for terms in (agree, differ))


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_mean_over_pairs_of_one_text(seed):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(9, 4, generator=generator)
    labels = torch.randint(2, (9,), generator=generator)
    texts = torch.randint(3, (9,), generator=generator)
    wanted = by_pairs(vectors, labels, texts)
    assert float(contrast(vectors, labels, texts)) == pytest.approx(wanted, abs=1e-5)


def test_pairs_by_hand():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    same_text, other_text = torch.tensor([0, 0, 0]), torch.tensor([0, 1, 2])
    # People 0 and 2 are alike; all agree: the pairs with person 1 cost 1 each.
    assert float(contrast(vectors, torch.tensor([1, 1, 1]), same_text)) == pytest.approx(1.0)
    # Person 2 differs from both, and is like person 0.
    found = float(contrast(vectors, torch.tensor([1, 1, 0]), same_text))
    assert found == pytest.approx(1.0 + 1.0)
    assert float(contrast(vectors, torch.tensor([1, 1, 1]), other_text)) == 0.0


def test_agreement_pulls_together_and_disagreement_apart():
    def cosine_after(labels):
        torch.manual_seed(0)
        vectors = torch.nn.Parameter(torch.randn(2, 3))
        optimizer = torch.optim.SGD([vectors], lr=0.5)
        for _ in range(60):
            optimizer.zero_grad()
            contrast(vectors, torch.tensor(labels), torch.zeros(2, dtype=torch.long)).backward()
            optimizer.step()
        return float(torch.cosine_similarity(*vectors.detach(), dim=0))

    assert cosine_after([1, 1]) > 0.99
    assert cosine_after([0, 1]) < 0.1


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoders = torch.nn.ModuleDict({"annotator_ids": LookupEncoder(3, 2)})


def test_weights_of_both_terms():
    network = Network()
    table = network.encoders["annotator_ids"]
    table.vectors.data = torch.tensor([[3.0, 4.0], [0.0, 1.0], [9.0, 9.0]])
    table.requires_grad_(False)
    rows = torch.tensor([0, 1, 0]), torch.tensor([1, 0, 1]), torch.tensor([0, 0, 0])
    norm = Contrast.__new__(Contrast)
    norm._tables, norm._contrast, norm._norm = [table], 0.0, 2.0
    # Of those in the batch, each once.
    assert float(norm(*rows)) == pytest.approx(2 * (5 + 1) / 2)
    both = Contrast.__new__(Contrast)
    both._tables, both._contrast, both._norm = [table], 0.5, 2.0
    pairs = contrast(table.vectors[rows[0]], *rows[1:])
    assert float(both(*rows)) == pytest.approx(6 + 0.5 * float(pairs))
    off = Contrast.__new__(Contrast)
    off._tables, off._contrast, off._norm = [table], 0.0, 0.0
    assert off(*rows) == 0.0 and not math.isnan(float(both(*rows)))
