import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.data.batches import RowBatch, prediction_batches, training_batches


@st.composite
def tables(draw):
    """Text of every row, length of every text, batch size."""
    n_texts = draw(st.integers(1, 30))
    rows = draw(st.lists(st.integers(0, n_texts - 1), min_size=1, max_size=150))
    lengths = draw(st.lists(st.integers(1, 20), min_size=n_texts, max_size=n_texts))
    return np.array(rows), np.array(lengths), draw(st.integers(1, 12))


def rows_of(batches):
    return np.concatenate([batch.rows for batch in batches])


@given(tables(), st.integers(0, 5))
def test_every_row_exactly_once(table, seed):
    text_of_row, lengths, size = table
    for batches in (
        training_batches(text_of_row, lengths, size, (seed, 0)),
        list(prediction_batches(text_of_row, lengths, size)),
    ):
        assert sorted(rows_of(batches)) == list(range(len(text_of_row)))
        assert max(len(batch.rows) for batch in batches) <= size
        assert len(batches) == -(-len(text_of_row) // size)
        for batch in batches:
            assert np.array_equal(batch.texts[batch.text_of_row], text_of_row[batch.rows])
            assert np.array_equal(batch.texts, np.unique(text_of_row[batch.rows]))


@given(tables(), st.integers(0, 5))
def test_rows_of_a_text_stay_together(table, seed):
    text_of_row, lengths, size = table
    batches = training_batches(text_of_row, lengths, size, (seed, 0))
    # A text is cut only where a batch ends: at most one text more for every such end.
    wanted = len(np.unique(text_of_row)) + len(batches) - 1
    assert sum(len(batch.texts) for batch in batches) <= wanted


@given(tables(), st.integers(0, 5))
def test_the_seeds_fix_the_batches(table, seed):
    first, again = (training_batches(*table, (seed, 3)) for _ in range(2))
    assert [b.rows.tolist() for b in first] == [b.rows.tolist() for b in again]


def test_epochs_and_seeds_differ():
    table = np.arange(200) // 4, np.full(50, 7), 16
    orders = [rows_of(training_batches(*table, seed)).tolist() for seed in ((0, 0), (0, 1), (1, 0))]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_texts_of_a_batch_are_of_similar_length():
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 100, 400)
    batches = training_batches(np.arange(400), lengths, 20, (0, 0))
    spread = [np.ptp(lengths[batch.texts]) for batch in batches]
    at_random = [np.ptp(generator.choice(lengths, 20)) for _ in range(20)]
    assert np.mean(spread) < np.mean(at_random) / 4
    # Yet the batches come in no order of length.
    means = [lengths[batch.texts].mean() for batch in batches]
    assert means != sorted(means) and means != sorted(means, reverse=True)


def test_prediction_goes_by_length():
    lengths = np.array([9, 2, 5])
    batches = list(prediction_batches(np.array([0, 1, 2, 1]), lengths, 3))
    assert [batch.rows.tolist() for batch in batches] == [[1, 3, 2], [0]]


def test_a_batch_of_given_rows():
    batch = RowBatch.of(np.array([4, 0, 2]), np.array([7, 1, 3, 1, 7]))
    assert batch.rows.tolist() == [4, 0, 2]
    assert batch.texts.tolist() == [3, 7]
    assert batch.text_of_row.tolist() == [1, 1, 0]
