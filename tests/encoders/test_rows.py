import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.encoders import LookupEncoder
from hyperadapters.encoders.rows import HasTables, all_known, look_up

indices = st.lists(st.integers(-1, 6), max_size=12)


@given(index=indices, shape=st.sampled_from([(), (3,), (2, 3)]))
@settings(deadline=None)
def test_the_sparse_gradient_is_the_dense_one(index, shape):
    values = torch.tensor(index, dtype=torch.long)
    table = torch.randn(7, *shape, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(len(index), *shape, dtype=torch.float64)
    known = (values >= 0).reshape(-1, *[1] * len(shape))
    found = {}
    for sparse in (False, True):
        table.grad = None
        rows = look_up(table, values, sparse=sparse)
        torch.where(known, rows, 0.0).mul(weight).sum().backward()
        found[sparse] = rows.detach(), table.grad
    torch.testing.assert_close(found[True][0], found[False][0], rtol=0, atol=0)
    assert found[True][1].is_sparse and not found[False][1].is_sparse
    torch.testing.assert_close(found[True][1].to_dense(), found[False][1])
    # Nobody in particular is no row at all.
    touched = found[True][1].coalesce().indices()[0].tolist()
    assert touched == sorted({i for i in index if i >= 0})


def test_rows_that_are_read_twice_keep_a_gradient_of_the_size_of_what_was_read():
    table = torch.randn(1000, 4, requires_grad=True)
    first = look_up(table, torch.tensor([3, 900, 3]), sparse=True)
    (first.sum() + look_up(table, torch.tensor([900]), sparse=True).sum()).backward()
    assert table.grad.is_sparse and table.grad._nnz() <= 4
    assert table.grad.coalesce().values().tolist() == [[2.0] * 4, [2.0] * 4]


def test_a_frozen_table_gets_none():
    table = torch.randn(5, 2)
    assert not look_up(table, torch.tensor([1]), sparse=True).requires_grad


def test_all_known():
    assert all_known(torch.tensor([0, 4])) and all_known(torch.tensor([], dtype=torch.long))
    assert not all_known(torch.tensor([0, -1]))
    assert not all_known(torch.zeros(2, dtype=torch.long, device="meta"))


def test_outsiders_get_dense_gradients():
    encoder = LookupEncoder(4, 3)
    assert isinstance(encoder, HasTables) and not encoder.sparse_gradient
    encoder(torch.tensor([2])).sum().backward()
    assert not encoder.vectors.grad.is_sparse
    encoder.zero_grad()
    encoder.sparse_gradient = True
    encoder(torch.tensor([2, -1])).sum().backward()
    assert encoder.vectors.grad.is_sparse
    assert encoder.vectors.grad.coalesce().indices().tolist() == [[2]]


@pytest.mark.parametrize("asked", [[0, 3], [0, -1]])
def test_the_mean_of_all_is_taken_only_for_nobody(asked, monkeypatch):
    encoder, calls = LookupEncoder(4, 3, centred=False), []
    mean = encoder.population
    monkeypatch.setattr(encoder, "population", lambda: calls.append(1) or mean())
    encoder.sparse_gradient = True
    encoder(torch.tensor(asked)).sum().backward()
    assert len(calls) == (-1 in asked)
    assert encoder.vectors.grad.is_sparse == (-1 not in asked)
