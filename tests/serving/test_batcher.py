import threading

import pytest

from hyperadapters.serving.batcher import Batcher, BusyError


@pytest.fixture
def made():
    """Batchers that are stopped at the end."""
    batchers = []

    def make(answer, **changes):
        settings = {"batch_rows": 8, "join_seconds": 0.05, "waiting": 16, **changes}
        batchers.append(Batcher(answer, **settings))
        return batchers[-1]

    yield make
    for batcher in batchers:
        batcher.stop()


def held(batcher):
    """Keep the thread busy until the returned event is set."""
    started, go = threading.Event(), threading.Event()
    batcher.alone(lambda: (started.set(), go.wait(10)))
    assert started.wait(10)
    return go


def test_what_waits_is_answered_in_one_call_and_in_order(made):
    calls = []

    def answer(questions):
        calls.append(list(questions))
        return [question * 10 for question in questions]

    batcher = made(answer)
    go = held(batcher)
    futures = [batcher.ask(number, 2) for number in range(6)]
    go.set()
    assert [future.result(10) for future in futures] == [0, 10, 20, 30, 40, 50]
    assert calls == [[0, 1, 2, 3], [4, 5]]  # eight rows fit together


def test_a_question_that_is_too_large_for_a_batch_goes_alone(made):
    calls = []
    batcher = made(lambda questions: (calls.append(len(questions)), questions)[1])
    go = held(batcher)
    futures = [batcher.ask("small", 1), batcher.ask("large", 100), batcher.ask("small", 1)]
    go.set()
    assert [future.result(10) for future in futures] == ["small", "large", "small"]
    assert calls == [1, 1, 1]


def test_a_fault_is_that_of_one_question_alone(made):
    def answer(questions):
        if any(question < 0 for question in questions):
            raise ValueError("negative")
        return list(questions)

    batcher = made(answer)
    go = held(batcher)
    futures = [batcher.ask(number, 1) for number in (1, -2, 3)]
    go.set()
    assert futures[0].result(10) == 1 and futures[2].result(10) == 3
    with pytest.raises(ValueError, match="negative"):
        futures[1].result(10)


def test_a_job_is_neither_overtaken_nor_overtakes(made):
    done = []
    batcher = made(lambda questions: (done.extend(questions), questions)[1])
    go = held(batcher)
    futures = [batcher.ask("before", 1), batcher.alone(lambda: done.append("job"))]
    futures.append(batcher.ask("behind", 1))
    go.set()
    for future in futures:
        future.result(10)
    assert done == ["before", "job", "behind"]
    with pytest.raises(ZeroDivisionError):
        batcher.alone(lambda: 1 / 0).result(10)


def test_a_full_queue_says_so_and_those_who_left_are_not_worked_for(made):
    asked = []
    batcher = made(lambda questions: (asked.extend(questions), questions)[1], waiting=2)
    go = held(batcher)
    first, second = batcher.ask("stays", 1), batcher.ask("leaves", 1)
    with pytest.raises(BusyError, match="2 requests are waiting"):
        batcher.ask("too much", 1)
    assert second.cancel()
    go.set()
    assert first.result(10) == "stays"
    batcher.stop()
    assert asked == ["stays"]


def test_stopping_finishes_what_waits(made):
    batcher = made(lambda questions: list(questions))
    go = held(batcher)
    futures = [batcher.ask(number, 1) for number in range(3)]
    threading.Timer(0.05, go.set).start()
    batcher.stop()
    assert [future.result(0) for future in futures] == [0, 1, 2]
    with pytest.raises(BusyError, match="stopping"):
        batcher.ask(4, 1)


def test_sizes_are_told(made):
    told = []
    batcher = made(lambda questions: list(questions), told=lambda *sizes: told.append(sizes))
    go = held(batcher)
    futures = [batcher.ask(number, 3) for number in range(2)]
    go.set()
    assert [future.result(10) for future in futures] == [0, 1]
    assert told == [(2, 6)]
