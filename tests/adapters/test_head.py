import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hyperadapters.adapters import HeadWeights, matrix_logits, taste_logits
from hyperadapters.errors import AdapterShapeError

SIZE = st.integers(1, 5)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@settings(max_examples=50, deadline=None)
@given(
    n=SIZE,
    k=SIZE,
    rank=SIZE,
    width=SIZE,
    n_labels=st.integers(2, 4),
    positions=st.none() | SIZE,
    shared=st.booleans(),
)
def test_taste_logits(n, k, rank, width, n_labels, positions, shared):
    shape = (n * k, width) if positions is None else (n * k, positions, width)
    features, gate = normal(*shape), normal(1 if shared else n, rank, seed=1)
    taste_in, taste_out = normal(rank, width, seed=2), normal(n_labels, rank, seed=3)
    naive = []
    for i, row in enumerate(features):
        own = taste_out @ torch.diag(gate[0 if shared else i // k]) @ taste_in
        texts = row.reshape(-1, width)
        by_text = torch.stack([own @ text for text in texts])
        naive.append(by_text.reshape(*row.shape[:-1], n_labels))
    got = taste_logits(features, gate, taste_in, taste_out)
    torch.testing.assert_close(got, torch.stack(naive))


@settings(max_examples=50, deadline=None)
@given(n=SIZE, k=SIZE, width=SIZE, n_labels=SIZE, positions=st.none() | SIZE, shared=st.booleans())
def test_matrix_logits(n, k, width, n_labels, positions, shared):
    shape = (n * k, width) if positions is None else (n * k, positions, width)
    features, matrix = normal(*shape), normal(1 if shared else n, n_labels, width, seed=1)
    naive = [row @ matrix[0 if shared else i // k].T for i, row in enumerate(features)]
    torch.testing.assert_close(matrix_logits(features, matrix), torch.stack(naive))


@pytest.mark.parametrize("n", [3, 8])
def test_rows_that_do_not_fit(n):
    message = f"got 4 rows for values of {n} rows; wanted one row per condition"
    with pytest.raises(AdapterShapeError, match=message):
        taste_logits(torch.ones(4, 6, 2), torch.ones(n, 5), torch.ones(5, 2), torch.ones(3, 5))
    with pytest.raises(AdapterShapeError, match=message):
        matrix_logits(torch.ones(4, 2), torch.ones(n, 3, 2))


@pytest.mark.parametrize("n", [1, 3])
def test_silenced_rows_add_nothing_and_the_others_stay(n):
    parts = {"shift": normal(n, 4), "bias": normal(n, 2), "gate": normal(n, 5)}
    parts["matrix"] = normal(n, 2, 4)
    shared = {"taste_in": normal(5, 4), "taste_out": normal(2, 5)}
    kept = torch.tensor([True, False, True])
    silenced = HeadWeights(**parts, **shared).silenced(kept)
    for name, before in parts.items():
        after = getattr(silenced, name)
        assert after.shape == (3, *before.shape[1:])
        assert torch.equal(after[kept], before.expand(3, *before.shape[1:])[kept])
        assert torch.equal(after[1], torch.zeros(before.shape[1:], dtype=torch.float64))
    assert silenced.taste_in is shared["taste_in"] and silenced.taste_out is shared["taste_out"]
    assert HeadWeights().silenced(kept) == HeadWeights()
