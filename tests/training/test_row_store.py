import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.errors import RunError
from hyperadapters.training.row_store import RowStore

SIZE = 40
batches = st.lists(st.sets(st.integers(0, SIZE - 1), max_size=9), max_size=12)


def made(size=SIZE, **shapes):
    return RowStore(size, shapes or {"x": (2,), "n": (1,)}, torch.empty(0))


@given(asked=batches)
@settings(deadline=None)
def test_it_is_a_dictionary_of_the_rows_that_were_asked_for(asked):
    store, wanted = made(), {}
    for number, batch in enumerate(asked, start=1):
        rows = torch.tensor(sorted(batch, reverse=True), dtype=torch.long)
        new = [row not in wanted for row in rows.tolist()]
        assert store.has(rows).tolist() == [not is_new for is_new in new]
        lines = store.lines(rows)
        assert [store["x"][line].tolist() for line in lines] == [
            wanted.get(row, [0.0, 0.0]) for row in rows.tolist()
        ]
        values = torch.full((len(rows), 2), float(number))
        store["x"].index_copy_(0, lines, values)
        wanted |= {row: [float(number)] * 2 for row in rows.tolist()}
    assert len(store) == len(wanted)
    assert store.rows.tolist() == list(wanted)  # in the order of asking
    assert store["x"].tolist() == list(wanted.values())
    again = made()
    again.load({name: values.clone() for name, values in store.state().items()})
    assert again.state().keys() == store.state().keys() == {"rows", "x", "n"}
    assert all(torch.equal(again.state()[name], value) for name, value in store.state().items())


def test_memory_grows_with_the_rows_that_were_asked_for():
    store = RowStore(10**6, {"x": (8,)}, torch.empty(0))
    for start in range(0, 300, 3):
        store.lines(torch.tensor([start, start + 1, start + 2]) * 3001)
    assert len(store) == 300
    assert store["x"].untyped_storage().nbytes() <= 2 * 300 * 8 * 4
    assert store.rows.untyped_storage().nbytes() <= 2 * 300 * 8
    store = made(5)
    store.lines(torch.arange(3)), store.lines(torch.arange(5))
    assert store["x"].untyped_storage().nbytes() == 5 * 2 * 4  # never more than the table


@pytest.mark.parametrize("damage", ["width", "name", "rows", "beyond"])
def test_the_state_of_another_table_is_refused(damage):
    store = made()
    store.lines(torch.tensor([3, 39]))
    state = store.state()
    if damage == "width":
        other = made(x=(3,), n=(1,))
    elif damage == "name":
        other = made(y=(2,), n=(1,))
    elif damage == "beyond":
        other = made(20)
    else:
        other = made()
        del state["rows"]
    with pytest.raises(RunError, match="another shape; train anew"):
        other.load(state)
