import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.data.tasks import epoch_batches
from hyperadapters.data.tasks.sampling import task_shares
from hyperadapters.errors import ConfigError
from hyperadapters.tasks import Sampling

TASKS = st.lists(st.sampled_from([0, 2, 5]), min_size=1, max_size=200).map(np.array)
SAMPLINGS = st.builds(Sampling, st.sampled_from([1.0, 0.1, 2.0, 10.0, float("inf")]), st.booleans())
INFINITY = float("inf")


@given(TASKS, st.integers(1, 40), st.integers(0, 9))
def test_proportional_batches_are_every_row_once(tasks, batch_size, seed):
    batches = epoch_batches(tasks, batch_size, Sampling(), seed, 0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(tasks)))
    assert all(len(batch) == batch_size for batch in batches[:-1])


@given(TASKS, st.integers(1, 40), SAMPLINGS, st.integers(0, 9), st.integers(0, 9))
def test_batches_are_full_and_as_many_as_an_epoch_has(tasks, batch_size, sampling, seed, epoch):
    batches = epoch_batches(tasks, batch_size, sampling, seed, epoch)
    assert len(batches) == -(-len(tasks) // batch_size)
    if not sampling.is_permutation:
        assert all(len(batch) == batch_size for batch in batches)
    rows = np.concatenate(batches)
    assert rows.dtype == np.int64
    assert ((rows >= 0) & (rows < len(tasks))).all()
    if sampling.one_task_per_batch:
        assert all(len(set(tasks[batch])) == 1 for batch in batches)


@given(TASKS, SAMPLINGS, st.integers(0, 9), st.integers(0, 9))
def test_seed_and_epoch_settle_the_batches(tasks, sampling, seed, epoch):
    one, other = (epoch_batches(tasks, 7, sampling, seed, epoch) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(10.0), Sampling(10.0, True)])
def test_other_seeds_and_epochs_have_other_batches(sampling):
    tasks = np.repeat([0, 1], 100)
    one = np.concatenate(epoch_batches(tasks, 10, sampling, 0, 0))
    for seed, epoch in ((1, 0), (0, 1)):
        assert (one != np.concatenate(epoch_batches(tasks, 10, sampling, seed, epoch))).any()


@pytest.mark.parametrize(
    ("temperature", "shares"),
    [(1.0, [0.9, 0.1]), (2.0, [0.75, 0.25]), (INFINITY, [0.5, 0.5])],
)
def test_shares(temperature, shares):
    assert task_shares(np.array([900, 100]), temperature) == pytest.approx(shares)


def test_a_small_temperature_does_not_underflow():
    assert task_shares(np.array([900, 100]), 1e-6) == pytest.approx([1, 0])


@pytest.mark.parametrize("one_task", [False, True])
@pytest.mark.parametrize(
    ("temperature", "share"), [(1.0, 0.9), (2.0, 0.75), (10.0, 0.555), (INFINITY, 0.5)]
)
def test_frequencies_are_those_of_the_temperature(one_task, temperature, share):
    tasks = np.repeat([3, 1], [900, 100])
    sampling = Sampling(temperature, one_task)
    rows = [row for e in range(40) for b in epoch_batches(tasks, 5, sampling, 0, e) for row in b]
    # 8000 batches, or 40,000 places; three standard deviations of the former.
    assert (tasks[rows] == 3).mean() == pytest.approx(share, abs=0.017)


def test_rows_of_a_task_are_drawn_alike():
    tasks = np.repeat([0, 1], [90, 10])
    sampling = Sampling(INFINITY)
    rows = np.concatenate(
        [np.concatenate(epoch_batches(tasks, 10, sampling, 0, epoch)) for epoch in range(200)]
    )
    small = np.bincount(rows, minlength=100)[90:]
    assert small.sum() == pytest.approx(10_000, rel=0.05)
    assert small.min() > 880 and small.max() < 1120


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 0, 0), "batch_size must be at least 1, got 0"),
        ((1, -1, 0), "seed and epoch must be 0 or more, got -1 and 0"),
        ((1, 0, -1), "seed and epoch must be 0 or more, got 0 and -1"),
    ],
)
def test_numbers_that_cannot_be(numbers, message):
    batch_size, seed, epoch = numbers
    with pytest.raises(ConfigError, match=message):
        epoch_batches(np.zeros(3, int), batch_size, Sampling(), seed, epoch)


def test_no_rows_are_no_batches():
    assert epoch_batches(np.zeros(0, int), 4, Sampling(), 0, 0) == []
    assert epoch_batches(np.zeros(0, int), 4, Sampling(2.0), 0, 0) == []
