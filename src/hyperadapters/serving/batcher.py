"""One thread that works with the model, and joins what is asked at the same time.

A model is asked by one thread alone: it holds what is applied while it runs. Requests wait in a
queue of bounded length; the thread takes all that is there, waits a few milliseconds for more, and
answers them in one call. Jobs that change or read the model otherwise (`alone`) take their turn in
the same queue.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class BusyError(Exception):
    """The queue is full, or the thread is stopping; nothing was done."""


@dataclass
class _Waiting(Generic[Asked, Answer]):
    """Something in the queue: a question that may be joined, or a job of its own."""

    future: "Future[Any]"
    n_rows: int = 0
    asked: Asked | None = None
    job: Callable[[], Any] | None = None


class Batcher(Generic[Asked, Answer]):
    """Answers questions in the order in which they came, several in one call.

    Args:
        answer: Questions → answers, in their order; is never called by two threads at a time.
        batch_rows: Rows that are answered together; a larger question is answered alone.
        join_seconds: How long the first question waits for others.
        waiting: Length of the queue.
        told: Is told of how many questions and rows were answered in a call.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Asked]], Sequence[Answer]],
        *,
        batch_rows: int,
        join_seconds: float,
        waiting: int,
        told: Callable[[int, int], None] | None = None,
    ) -> None:
        self._answer = answer
        self._batch_rows, self._join_seconds, self._most = batch_rows, join_seconds, waiting
        self._told = told
        self._queue: deque[_Waiting[Asked, Answer]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._queue)

    def ask(self, asked: Asked, n_rows: int) -> "Future[Answer]":
        """The answer to a question, in time.

        Args:
            asked: The question.
            n_rows: How many rows it has.

        Raises:
            BusyError: Too many are waiting.
        """
        return self._put(_Waiting(Future(), n_rows, asked=asked))

    def alone(self, job: Callable[[], Any]) -> "Future[Any]":
        """What a job returns that is run in the thread, with nothing else beside it.

        Raises:
            BusyError: Too many are waiting.
        """
        return self._put(_Waiting(Future(), job=job))

    def stop(self, seconds: float = 30.0) -> None:
        """Take no more, finish what is waiting, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def _put(self, item: _Waiting[Asked, Answer]) -> "Future[Any]":
        with self._changed:
            if self._stopping:
                raise BusyError("the server is stopping")
            if len(self._queue) >= self._most:
                raise BusyError(f"{len(self._queue)} requests are waiting already")
            self._queue.append(item)
            self._changed.notify_all()
        return item.future

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            # Whoever has given up is not worked for.
            batch = [item for item in batch if item.future.set_running_or_notify_cancel()]
            if batch:
                self._work(batch)

    def _next(self) -> list[_Waiting[Asked, Answer]] | None:
        """What is to be done next; `None` at the end."""
        with self._changed:
            while not self._queue:
                if self._stopping:
                    return None
                self._changed.wait()
            first = self._queue.popleft()
            if first.job is not None:
                return [first]
            batch, rows = [first], first.n_rows
            until = time.monotonic() + self._join_seconds
            while rows < self._batch_rows:
                if not self._queue:
                    left = until - time.monotonic()
                    if left <= 0 or self._stopping:
                        break
                    self._changed.wait(left)
                    continue
                # A job waits for those before it and is not overtaken by those behind it.
                item = self._queue[0]
                if item.job is not None or rows + item.n_rows > self._batch_rows:
                    break
                batch.append(self._queue.popleft())
                rows += item.n_rows
            return batch

    def _work(self, batch: list[_Waiting[Asked, Answer]]) -> None:
        if (job := batch[0].job) is not None:
            _settle(batch[0].future, job)
            return
        if self._told is not None:
            self._told(len(batch), sum(item.n_rows for item in batch))
        questions = [item.asked for item in batch]
        try:
            answers = self._answer(questions)  # pyright: ignore[reportArgumentType]
        except Exception as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            # One of them is at fault, and the others shall not suffer for it.
            for item in batch:
                _settle(item.future, lambda one=item.asked: self._answer([one])[0])  # pyright: ignore
            return
        for item, found in zip(batch, answers, strict=True):
            item.future.set_result(found)


def _settle(future: "Future[Any]", work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)
