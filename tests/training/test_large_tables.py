import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hyperadapters.encoders import LookupEncoder
from hyperadapters.errors import RunError
from hyperadapters.training.large_tables import LARGE, LargeTables
from hyperadapters.training.optimizer import RowAdamW, clippable

SIZE = 12
batches = st.lists(st.lists(st.integers(-1, SIZE - 1), min_size=1, max_size=6), max_size=8)


class People(nn.Module):
    """A large table, a small one, and something that has no rows."""

    def __init__(self, size=SIZE, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.many = LookupEncoder(size, 3, centred=False)
        self.few = LookupEncoder(4, 3, centred=False)
        self.map = nn.Linear(3, 1)

    def forward(self, index):
        return self.map(self.many(index).tanh() + self.few(index % 4)).square().mean()


def training(model, size=SIZE, decay=0.0):
    tables = LargeTables(model, size)
    groups = [{"params": list(model.parameters()), "lr": 0.1, "weight_decay": decay}]
    return tables, RowAdamW(groups, tables)


def step(model, tables, optimizer, index, clip=None):
    with tables.sparse_gradients():
        model(torch.tensor(index)).backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(clippable(model.parameters()), clip)
    optimizer.step()
    optimizer.zero_grad()


def numbers(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_rows_of_every_batch_move_as_under_adamw(decay):
    """And rows of none do not move at all, which AdamW's would with decay."""
    ours, theirs = People(), People()
    tables, optimizer = training(ours, decay=decay)
    plain = torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=decay)
    start = numbers(ours)["many.vectors"]
    for number in range(30):
        index = [7, 2, 2, number % 2 * 5 + 2, 9]
        index[3] = 9 if number % 2 else 2
        step(ours, tables, optimizer, index)
        theirs(torch.tensor(index)).backward()
        plain.step()
        plain.zero_grad()
    got, wanted = numbers(ours), numbers(theirs)
    touched = [2, 7, 9]
    torch.testing.assert_close(
        got["many.vectors"][touched], wanted["many.vectors"][touched], rtol=1e-6, atol=1e-6
    )
    for name in ("few.vectors", "map.weight", "map.bias"):
        torch.testing.assert_close(got[name], wanted[name], rtol=1e-6, atol=1e-6)
    others = [row for row in range(SIZE) if row not in touched]
    assert torch.equal(got["many.vectors"][others], start[others])


@given(asked=batches)
@settings(deadline=None, max_examples=40)
def test_each_row_moves_as_if_its_batches_were_all_there_are(asked):
    """A row of the table against Adam on that row alone, stepped when the row is in the batch."""
    torch.manual_seed(0)
    encoder = LookupEncoder(SIZE, 3).double()
    nn.init.normal_(encoder.vectors)
    alone = [nn.Parameter(row.detach().clone()) for row in encoder.vectors]
    adams = [torch.optim.Adam([row], lr=0.1) for row in alone]
    tables = LargeTables(encoder, 1)
    optimizer = RowAdamW([{"params": [encoder.vectors], "lr": 0.1, "weight_decay": 0.0}], tables)
    start = encoder.vectors.detach().clone()
    for number, index in enumerate(asked):
        weight = torch.linspace(1, 2, len(index)).double().unsqueeze(1) + number
        with tables.sparse_gradients():
            (encoder(torch.tensor(index)).sin() * weight).sum().backward()
        optimizer.step()
        for row in {i for i in index if i >= 0}:
            places = torch.tensor([i == row for i in index])
            (alone[row].sin() * weight[places]).sum().backward()
            adams[row].step()
            adams[row].zero_grad()
    torch.testing.assert_close(encoder.vectors, torch.stack(alone), rtol=1e-5, atol=1e-5)
    touched = {i for index in asked for i in index if i >= 0}
    others = [row for row in range(SIZE) if row not in touched]
    assert torch.equal(encoder.vectors[others], start[others])
    (table,) = tables
    assert sorted(table.moments.rows.tolist()) == sorted(touched)


def test_as_torchs_sparse_adam_from_the_first_step():
    """The same rows at every step: there is one way to count."""
    table = nn.Parameter(torch.randn(SIZE, 3))
    other = nn.Parameter(table.detach().clone())
    encoder = LookupEncoder(SIZE, 3)
    encoder.vectors = table
    tables = LargeTables(encoder, 1)
    ours = RowAdamW([{"params": [table], "lr": 0.1, "weight_decay": 0.0}], tables)
    theirs = torch.optim.SparseAdam([other], lr=0.1)
    for _ in range(20):
        index = torch.tensor([3, 8, 3])
        with tables.sparse_gradients():
            encoder(index).square().sum().backward()
        ours.step()
        nn.functional.embedding(index, other, sparse=True).square().sum().backward()
        theirs.step()
        theirs.zero_grad()
    torch.testing.assert_close(table, other, rtol=1e-6, atol=1e-6)


def test_a_gradient_of_all_rows_moves_all():
    """Mixtures of everybody have one."""
    ours, theirs = People(), People()
    tables, optimizer = training(ours)
    plain = torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.0)
    mixture = torch.full((2, SIZE), 1 / SIZE)
    for model, one in ((ours, optimizer), (theirs, plain)):
        with tables.sparse_gradients():
            model.many(mixture).square().sum().backward()
        one.step()
    torch.testing.assert_close(ours.many.vectors, theirs.many.vectors, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("norm", [1e-3, 1e3])
def test_clipping_counts_the_rows_that_were_read(norm):
    ours, theirs = People(), People()
    tables, _ = training(ours)
    index = torch.tensor([7, 2, 2, 9])
    with tables.sparse_gradients():
        ours(index).backward()
    theirs(index).backward()
    wanted = nn.utils.clip_grad_norm_(theirs.parameters(), norm)
    got = nn.utils.clip_grad_norm_(clippable(ours.parameters()), norm)
    torch.testing.assert_close(got, wanted)
    assert ours.many.vectors.grad.is_sparse
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        gradient = mine.grad.to_dense() if mine.grad.is_sparse else mine.grad
        torch.testing.assert_close(gradient, other.grad)


def test_without_large_tables_nothing_is_different():
    ours, theirs = People(), People()
    tables, optimizer = training(ours, size=SIZE + 1)
    assert len(tables) == 0 and tables.state() == {}
    plain = torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.0)
    for index in ([1, 2], [5, 1], [-1, 3]):
        step(ours, tables, optimizer, index, clip=0.5)
        theirs(torch.tensor(index)).backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        plain.step()
        plain.zero_grad()
    assert all(
        torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)
    )


def test_which_tables_are_large():
    model = People(LARGE)
    assert LargeTables(model).names == ["many.vectors"]
    model.many.vectors.requires_grad_(False)
    assert len(LargeTables(model)) == 0
    model = People(LARGE)
    tables = LargeTables(model)
    with pytest.raises(ValueError, match="stop"), tables.sparse_gradients():
        assert model.many.sparse_gradient and not model.few.sparse_gradient
        raise ValueError("stop")
    assert not model.many.sparse_gradient


def test_back_to_the_best_evaluation():
    model = People()
    tables, optimizer = training(model)
    step(model, tables, optimizer, [1, 2])
    for index in ([2, 3], [4, 4]):
        tables.keep()
        best = numbers(model)["many.vectors"]
        step(model, tables, optimizer, index)
        step(model, tables, optimizer, [index[0], 7])
    assert not torch.equal(model.many.vectors, best)
    (table,) = tables
    assert sorted(table.before.rows.tolist()) == [4, 7]  # what has moved since then
    tables.restore()
    assert torch.equal(model.many.vectors, best)


@pytest.mark.parametrize("kept", [None, 0, 2])
def test_resumed_is_uninterrupted(kept):
    """Bit for bit, also what is kept of the best evaluation."""

    def run(stop):
        model = People()
        tables, optimizer = training(model)
        for number, index in enumerate([[1, 2], [2, 3], [8, 1], [2, 2], [11, 0]]):
            if number == stop:
                state, rest = tables.state(), numbers(model)
                state = {name: values.clone() for name, values in state.items()}
                dense = optimizer.state_dict()
                model = People()
                tables, optimizer = training(model)
                model.load_state_dict({**rest, "many.vectors": model.many.vectors.detach()})
                optimizer.load_state_dict(dense)
                tables.load(state)
            step(model, tables, optimizer, index)
            if number == kept:
                tables.keep()
        last = numbers(model)
        tables.restore()
        return last, numbers(model), tables.state()

    whole = run(None)
    for stop in range(5):
        for mine, wanted in zip(run(stop), whole, strict=True):
            assert mine.keys() == wanted.keys()
            assert all(torch.equal(mine[name], wanted[name]) for name in wanted)


def test_what_is_kept_is_as_large_as_what_was_touched():
    model = People(5000)
    tables, optimizer = training(model, 5000)
    for index in ([1, 4000], [4000, 17]):
        step(model, tables, optimizer, index)
        tables.keep()
    state = tables.state()
    assert state["many.vectors/moments/rows"].tolist() == [1, 4000, 17]
    assert state["many.vectors/moments/step"].flatten().tolist() == [1, 2, 1]
    assert state["many.vectors/values"].shape == (3, 3)
    assert state["many.vectors/before/values"].shape == (0, 3)
    assert sum(values.numel() for values in state.values()) < 50
    assert optimizer.state[model.many.vectors] == {}


def test_the_state_of_another_model_is_refused():
    model = People()
    tables, optimizer = training(model)
    step(model, tables, optimizer, [1, 2])
    for other in (People(seed=1), People(SIZE + 1)):
        with pytest.raises(RunError, match="another start; train anew"):
            LargeTables(other, SIZE).load(tables.state())
    with pytest.raises(RunError, match="another start; train anew"):
        LargeTables(People(), SIZE).load({})
