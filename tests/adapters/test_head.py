import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hyperadapters.adapters import add_per_row, taste_logits
from hyperadapters.errors import AdapterShapeError

SIZE = st.integers(1, 5)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@settings(max_examples=50, deadline=None)
@given(n=SIZE, k=SIZE, width=SIZE, positions=st.lists(SIZE, max_size=2), shared=st.booleans())
def test_add_per_row(n, k, width, positions, shared):
    x, values = normal(n * k, *positions, width), normal(1 if shared else n, width, seed=1)
    naive = torch.stack([row + values[0 if shared else i // k] for i, row in enumerate(x)])
    torch.testing.assert_close(add_per_row(x, values), naive)


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
        text = row if positions is None else row[0]
        naive.append(taste_out @ torch.diag(gate[0 if shared else i // k]) @ taste_in @ text)
    got = taste_logits(features, gate, taste_in, taste_out)
    torch.testing.assert_close(got, torch.stack(naive))


# 6 positions of 4 rows could be read as 8 groups of 3: without the check that goes unnoticed.
@pytest.mark.parametrize("n", [3, 8])
def test_rows_that_do_not_fit(n):
    message = f"the head got 4 rows for weights of {n} rows; wanted one row per condition"
    with pytest.raises(AdapterShapeError, match=message):
        add_per_row(torch.ones(4, 6, 2), torch.ones(n, 2))
    with pytest.raises(AdapterShapeError, match=message):
        taste_logits(torch.ones(4, 6, 2), torch.ones(n, 5), torch.ones(5, 2), torch.ones(3, 5))


def test_the_type_of_the_input_stays():
    x = torch.ones(2, 3, dtype=torch.bfloat16)
    for n in (1, 2):
        assert add_per_row(x, torch.ones(n, 3)).dtype == torch.bfloat16
