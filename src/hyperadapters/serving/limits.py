"""How much one request may ask for, and how long it may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Whatever goes beyond is refused, with a line that names the limit.

    Attributes:
        body_bytes: Size of a request.
        table_bytes: Size of a table that is sent to be answered in the background.
        texts: Texts of a request.
        characters: Characters of a text.
        annotators: Annotators that a request may name.
        rows: Texts × annotators of a request: about how long the machine is busy with it.
        interval_rows: Texts × annotators of a request that get intervals.
        table_rows: Texts × annotators of a table.
        labels: Labels of a request to learn somebody.
        held_bytes: Size of all requests that are in memory at a time.
        tables: Tables that are answered or kept at the same time.
        body_seconds: How long a request may take to arrive.
        answer_seconds: How long it may wait for its answer.
        whole_seconds: How long all of it may take, the sending of the answer included.
        waiting: Requests that may wait for the model; further ones are told to come again.
        connections: Open connections.
        batch_rows: Rows that are put through the model together.
        join_seconds: How long the first of them waits for others.
        lanes: How many batches may run at the same time, each in a thread of its own.
    """

    body_bytes: int = 2 * 2**20
    table_bytes: int = 16 * 2**20
    held_bytes: int = 128 * 2**20
    texts: int = 1_000
    characters: int = 20_000
    annotators: int = 10_000
    rows: int = 20_000
    interval_rows: int = 2_000
    table_rows: int = 2_000_000
    labels: int = 2_000
    tables: int = 8
    body_seconds: float = 20.0
    answer_seconds: float = 60.0
    whole_seconds: float = 600.0
    waiting: int = 256
    connections: int = 1_000
    batch_rows: int = 256
    join_seconds: float = 0.003
    lanes: int = 1
