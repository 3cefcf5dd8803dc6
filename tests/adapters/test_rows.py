import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hyperadapters.adapters.rows import add_per_row, check_rows, project, scale_per_row, taken
from hyperadapters.errors import AdapterShapeError

SIZE = st.integers(1, 5)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@settings(max_examples=50, deadline=None)
@given(n=SIZE, k=SIZE, width=SIZE, positions=st.lists(SIZE, max_size=2), shared=st.booleans())
def test_vectors_are_added_and_multiplied_row_by_row(n, k, width, positions, shared):
    x, values = normal(n * k, *positions, width), normal(1 if shared else n, width, seed=1)
    own = [values[0 if shared else i // k] for i in range(n * k)]
    added = torch.stack([row + value for row, value in zip(x, own, strict=True)])
    scaled = torch.stack([row * value for row, value in zip(x, own, strict=True)])
    torch.testing.assert_close(add_per_row(x, values), added)
    torch.testing.assert_close(scale_per_row(x, values), scaled)


@settings(max_examples=50, deadline=None)
@given(n=SIZE, k=SIZE, widths=st.tuples(SIZE, SIZE), positions=st.lists(SIZE, min_size=1))
def test_rows_are_projected_one_by_one(n, k, widths, positions):
    width, out = widths
    x, factor = normal(n * k, *positions[:2], width), normal(n, out, width, seed=1)
    naive = torch.stack([row @ factor[i // k].T for i, row in enumerate(x)])
    torch.testing.assert_close(project(x, factor), naive)


# 6 positions of 4 rows could be read as 8 groups of 3: without the check that goes unnoticed.
@pytest.mark.parametrize("n", [3, 8])
@pytest.mark.parametrize("apply", [add_per_row, scale_per_row])
def test_rows_that_do_not_fit(apply, n):
    message = f"^got 4 rows for values of {n} rows; wanted one row per condition$"
    with pytest.raises(AdapterShapeError, match=message):
        apply(torch.ones(4, 6, 2), torch.ones(n, 2))


@pytest.mark.parametrize(
    ("shape", "n", "fits"),
    [
        ((4, 3, 2), 2, True),
        ((2, 2), 2, True),
        ((6, 2), 1, True),
        ((6, 2), 2, False),  # a flat list of tokens, although 2 divides 6
        ((1, 6, 2), 2, False),  # a packed batch
        ((5, 3, 2), 2, False),
    ],
)
def test_the_check_of_a_module(shape, n, fits):
    if fits:
        check_rows(torch.ones(shape), n)
        return
    with pytest.raises(AdapterShapeError) as raised:
        check_rows(torch.ones(shape), n)
    assert str(raised.value) == (
        f"got an input of shape {shape} for weights of {n} rows; wanted one row of input per "
        "condition (packed, unpadded or flattened batches cannot be adapted per row)"
    )


def test_the_type_of_the_input_stays():
    x = torch.ones(2, 3, dtype=torch.bfloat16)
    for n in (1, 2):
        assert add_per_row(x, torch.ones(n, 3)).dtype == torch.bfloat16
        assert scale_per_row(x, torch.ones(n, 3)).dtype == torch.bfloat16


def test_taken():
    values, rows = normal(2, 3), torch.tensor([1, 0, 1])
    assert torch.equal(taken(values, rows), values[rows])
    assert taken(values, None) is values
    shared = values[:1]
    assert taken(shared, rows) is shared
