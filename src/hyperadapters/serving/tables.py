"""Tables that are answered in the background, a few texts at a time, while others are served."""

import asyncio
import secrets
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from hyperadapters.data.formats import read_delimited
from hyperadapters.errors import DataError
from hyperadapters.inference import ALL
from hyperadapters.serving.asking import awaited, check_text, frame_of
from hyperadapters.serving.batcher import BusyError
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.refusals import RefusedError, refusal_of
from hyperadapters.serving.served import Question, Served
from hyperadapters.tables.aggregates import aggregates_of, moments_of
from hyperadapters.tables.frames import column_of
from hyperadapters.tables.spreadsheet import for_spreadsheets

Per = Literal["text", "person"]

KEPT_SECONDS = 900.0
"""How long an answered table waits to be fetched."""

PAUSE_SECONDS = 0.2
"""How long a table waits when the queue is full."""


@dataclass
class Job:
    """A table on its way.

    Attributes:
        table: The texts.
        per: Whether a row of the answer is a text, or a text and a person.
        who: ``"all"`` or ``"population"``.
        file: The answer, as far as it is written.
        n: Number of texts.
        done: How many of them are answered.
        spreadsheet: Whether no cell of the answer may be taken for a formula.
        detail: What went wrong.
        ended: When it was over.
    """

    table: pd.DataFrame
    per: Per
    who: str
    file: Path
    n: int
    spreadsheet: bool = False
    done: int = 0
    detail: str | None = None
    ended: float | None = None
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)

    @property
    def state(self) -> str:
        """``"running"``, ``"done"`` or ``"failed"``."""
        if self.ended is None:
            return "running"
        return "done" if self.detail is None else "failed"


class Tables:
    """The tables of a server; they lie in a temporary folder, and go with it.

    Args:
        served: The run.
        limits: The limits.
    """

    def __init__(self, served: Served, limits: Limits) -> None:
        self.served, self.limits = served, limits
        self.jobs: dict[str, Job] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="hyperadapters-")

    def add(
        self, content: bytes, *, text: list[str], per: Per, who: str, spreadsheet: bool = False
    ) -> tuple[str, Job]:
        """Begin to answer a table.

        Args:
            content: The table, as CSV.
            text: Name of the column of the text; two for pairs.
            per: See `Job`.
            who: See `Job`.
            spreadsheet: See `Job`.

        Raises:
            RefusedError: The table cannot be used, or too many are under way.
        """
        self._clean()
        if len(self.jobs) >= self.limits.tables:
            raise RefusedError(
                429, f"{len(self.jobs)} tables are there already; fetch or delete one"
            )
        name = secrets.token_urlsafe(16)
        table = self._read(content, name, text)
        n_people = self.served.n_asked(who)
        if len(table) * n_people > self.limits.table_rows:
            raise RefusedError(
                422,
                f"{len(table):,} texts times {n_people:,} annotators are more than "
                f"{self.limits.table_rows:,}; use hyperadapters predict for it",
            )
        file = Path(self._folder.name) / f"{name}.csv"
        job = Job(table, per, who, file, len(table), spreadsheet)
        self.jobs[name] = job
        job.task = asyncio.get_running_loop().create_task(self._answer(job))
        return name, job

    def find(self, name: str) -> Job:
        """The job of that name.

        Raises:
            RefusedError: There is none, or no longer.
        """
        self._clean()
        if name not in self.jobs:
            raise RefusedError(404, "there is no such table, or no longer")
        return self.jobs[name]

    def remove(self, name: str) -> None:
        """Stop a job, and delete what it has."""
        job = self.find(name)
        if job.task is not None:
            job.task.cancel()
        job.file.unlink(missing_ok=True)
        del self.jobs[name]

    async def stop(self) -> None:
        """Stop all of them."""
        tasks = [job.task for job in self.jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._folder.cleanup()

    def _clean(self) -> None:
        now = time.monotonic()
        for name, job in list(self.jobs.items()):
            if job.ended is not None and now - job.ended > KEPT_SECONDS:
                job.file.unlink(missing_ok=True)
                del self.jobs[name]

    def _read(self, content: bytes, name: str, columns: list[str]) -> pd.DataFrame:
        file = Path(self._folder.name) / f"{name}.in.csv"
        try:
            file.write_bytes(content)
            table = read_delimited(file, ",").frame
        except DataError as error:
            told = str(DataError("the table", error.faults, error.hint))
            raise RefusedError(422, told) from None
        finally:
            file.unlink(missing_ok=True)
        if len(columns) != (2 if self.served.current.run.reads_pairs else 1):
            wanted = "two columns of texts" if len(columns) == 1 else "one column of texts"
            raise RefusedError(422, f"the run reads {wanted}")
        for column in columns:
            if column not in table:
                there = ", ".join(map(str, table.columns[:20]))
                raise RefusedError(422, f"the table has no column {column!r}; it has: {there}")
            for number, value in enumerate(table[column], start=2):
                if not isinstance(value, str):
                    raise RefusedError(422, f"the text in row {number} is empty")
                check_text(value, f"the text in row {number}", self.limits)
        if not len(table):
            raise RefusedError(422, "the table has no rows")
        renamed = dict(zip(columns, ("text", "text_pair"), strict=False))
        return table.assign(**{new: table[old] for old, new in renamed.items()})

    async def _answer(self, job: Job) -> None:
        try:
            # As much as the model does at a time, so that others need not wait for long.
            step = max(1, self.limits.batch_rows // self.served.n_asked(job.who))
            for start in range(0, job.n, step):
                part = job.table.iloc[start : start + step]
                answered = await self._answered(job, part)
                if job.spreadsheet:
                    answered = for_spreadsheets(answered)
                answered.to_csv(job.file, mode="a", header=not start, index=False)
                job.done = min(job.n, start + step)
        except Exception as error:
            job.detail = refusal_of(error).detail
        finally:
            job.ended = time.monotonic()

    async def _answered(self, job: Job, part: pd.DataFrame) -> pd.DataFrame:
        pairs = tuple(part["text_pair"]) if "text_pair" in part else None
        question = Question(tuple(part["text"]), pairs, job.who)
        while True:
            try:
                answer = await awaited(self.served.ask(question), self.limits)
                break
            except BusyError:
                await asyncio.sleep(PAUSE_SECONDS)
        rows, labels = frame_of(answer), answer.current.run.labels
        given = part.reset_index(drop=True)
        if job.per == "text":
            added = aggregates_of(moments_of(rows, labels), labels).drop(columns="text_id")
            if job.who != ALL:
                added = added[[*labels.columns, "predicted"]]
        else:
            added = rows.drop(columns="text_id")
            given = given.iloc[column_of(rows, "text_id").to_numpy()].reset_index(drop=True)
        kept = given.drop(columns=[name for name in given if name in added])
        numbers = added.select_dtypes("number").columns
        return pd.concat(
            [kept, added.assign(**{n: np.round(added[n], 6) for n in numbers})], axis=1
        )
