"""The run that is served: asked by many, changed by one at a time, on disk in one step."""

import gc
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from jaxtyping import Float

from hyperadapters.adaptation import Intervals
from hyperadapters.errors import ConditionError, RunError
from hyperadapters.experiments import Run, load
from hyperadapters.experiments.adapt import intervals_of
from hyperadapters.experiments.export import folder_name
from hyperadapters.experiments.folder import RunFolder
from hyperadapters.inference import ALL, POPULATION
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.serving.asked import Asked, Kept, answers_to
from hyperadapters.serving.batcher import Batcher
from hyperadapters.serving.bounds import Bounds, bounds_of
from hyperadapters.serving.lanes import Lanes
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.newcomer import Glimpse, glimpse
from hyperadapters.serving.people import Directory
from hyperadapters.serving.replace import aside, discard, put_in_place, tidy

LOCK_SECONDS = 10.0


class ChangedError(RunError):
    """The folder is not the one that was opened; somebody else has changed it."""


@dataclass(frozen=True)
class Question:
    """Texts, and who is asked about all of them.

    Attributes:
        texts: The texts.
        pairs: The second texts, where texts are pairs.
        annotators: Ids, ``"all"`` or ``"population"``.
    """

    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    annotators: tuple[str, ...] | str


@dataclass(frozen=True)
class Current:
    """A run as it is served until somebody comes or goes.

    Attributes:
        run: The run, with its model in memory.
        directory: Its people.
        kept: Weights of sets of annotators asked last.
        lanes: The model, and copies of it.
        stamp: What the folder held when it was opened.
    """

    run: Run
    directory: Directory
    kept: Kept | None
    lanes: Lanes | None
    stamp: str

    @cached_property
    def intervals(self) -> Intervals:
        """How sure the run is of people.

        Raises:
            ConfigError: Its method has no vector of a person.
        """
        return intervals_of(self.run)

    @property
    def has_loras(self) -> bool:
        """Whether people have adapters of their own that could be taken along."""
        fitted = self.run.fitted
        if not isinstance(fitted, AnnotatorClassifier) or fitted.is_full or fitted.has_token:
            return False
        return fitted.network.spec.needs_conditions


@dataclass(frozen=True)
class Answer:
    """What was asked and what the model says.

    Attributes:
        current: The run that answered.
        annotators: Ids, in the order of the answers.
        p: Probabilities.
    """

    current: Current
    annotators: tuple[str, ...]
    p: Float[np.ndarray, "texts annotators labels"]


class Served:
    """A run folder behind one thread.

    Args:
        path: The run folder.
        limits: The limits.
        told: Is told of how many questions and rows were answered together.
    """

    def __init__(
        self, path: Path, limits: Limits, told: Callable[[int, int], None] | None = None
    ) -> None:
        self.path = path.absolute()
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"))
        if self.path.parent.is_dir():
            with self._locked():
                tidy(self.path)
        self._n_lanes = limits.lanes
        self.current = _opened(self.path, load(self.path), self._n_lanes)
        self.batcher: Batcher[Question, Answer] = Batcher(
            self._answers,
            batch_rows=limits.batch_rows,
            join_seconds=limits.join_seconds,
            waiting=limits.waiting,
            told=told,
        )

    def ask(self, question: Question) -> "Future[Answer]":
        """See `Batcher.ask`."""
        n = self.n_asked(question.annotators)
        return self.batcher.ask(question, len(question.texts) * n)

    def n_asked(self, annotators: Sequence[str] | str) -> int:
        """How many people a question asks."""
        if annotators == ALL:
            return len(self.current.run.vocabulary)
        return 1 if isinstance(annotators, str) else len(annotators)

    def bounds(self, question: Question, answer: Answer) -> "Future[Bounds]":
        """How sure the run that has answered is of those who were asked."""
        current, columns = answer.current, answer.current.run.labels.columns
        texts, pairs = question.texts, question.pairs
        return self.batcher.alone(
            lambda: bounds_of(
                *(current.intervals, current.directory, texts, pairs),
                *(answer.annotators, answer.p, tuple(columns)),
            )
        )

    def glimpse(self, ratings: pd.DataFrame, texts: pd.DataFrame) -> "Future[Glimpse]":
        """See `newcomer.glimpse`."""
        return self.batcher.alone(lambda: glimpse(self.current.run, ratings, texts))

    def export(self, annotator: str, *, include_head: bool = True) -> "Future[bytes]":
        """A zip file with somebody's LoRA folder."""
        return self.batcher.alone(lambda: self._export(annotator, include_head))

    def adapt(self, ratings: pd.DataFrame, known: str) -> "Future[Current]":
        """Learn people and put the run with them in the place of the run; see `Run.adapt`."""
        return self.batcher.alone(
            lambda: self._change(lambda run, made: run.adapt(ratings, made, known=known))
        )

    def forget(self, annotators: Sequence[str]) -> "Future[Current]":
        """Put the run without some people in the place of the run; see `Run.forget`."""
        return self.batcher.alone(
            lambda: self._change(lambda run, made: run.forget(list(annotators), made))
        )

    def stop(self) -> None:
        """Answer what is waiting, and end."""
        self.batcher.stop()

    def _answers(self, questions: Sequence[Question]) -> list[Answer]:
        current = self.current
        names = [_names(current, question.annotators) for question in questions]
        run = current.run
        if current.kept is None:
            found = [_counted(run, q, n) for q, n in zip(questions, names, strict=True)]
        else:
            assert isinstance(run.fitted, AnnotatorClassifier)  # noqa: S101 - it has weights
            asked = [
                Asked(q.texts, q.pairs, tuple(run.vocabulary.indices(n).tolist()))
                for q, n in zip(questions, names, strict=True)
            ]
            found = answers_to(run.fitted, current.kept, asked, current.lanes)
        return [Answer(current, n, p) for n, p in zip(names, found, strict=True)]

    def _export(self, annotator: str, include_head: bool) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            name = folder_name(annotator)
            made = Path(folder) / name
            self.current.run.export(annotator, made, include_head=include_head)
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in sorted(made.rglob("*")):
                    if file.is_file():
                        archive.write(file, f"{name}/{file.relative_to(made).as_posix()}")
            return content.getvalue()

    def _change(self, make: Callable[[Run, Path], Run]) -> Current:
        with self._locked():
            if _stamp(self.path) != self.current.stamp:
                raise ChangedError(
                    "the run folder was changed by somebody else; restart the server"
                )
            made = aside(self.path)
            try:
                # Loaded before anything is replaced: what cannot be read is not put in place.
                new = make(self.current.run, made)
                opened = _opened(made, new, self._n_lanes)
                put_in_place(made, self.path)
            except BaseException:
                discard(made)
                raise
            moved = Run(
                RunFolder(self.path), new.record, new.labels, new.vocabulary, fitted=new.fitted
            )
            self.current = replace(opened, run=moved)
            gc.unfreeze()  # what was frozen may go now, see `settle`
            return self.current

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with self._lock.acquire(timeout=LOCK_SECONDS):
                yield
        except Timeout:
            raise ChangedError("another process is changing the run; try again") from None
        except PermissionError:
            yield  # nothing can be changed here, so there is nothing to keep apart


def settle() -> None:
    """Let the collector of garbage pass by what is there: it stays, and looking at it takes long.

    Of a process that serves, once the run is open. What is put in the place of a run undoes it.
    """
    gc.collect()
    gc.freeze()


def _opened(path: Path, run: Run, n_lanes: int) -> Current:
    fitted, kept, lanes = run.fitted, None, None
    if isinstance(fitted, AnnotatorClassifier):
        kept, lanes = Kept(fitted), Lanes.of(fitted, path, n_lanes)
    return Current(run, Directory.of(run), kept, lanes, _stamp(path))


def _stamp(path: Path) -> str:
    """Of what a run folder holds, quickly."""
    found = hashlib.sha256()
    for file in (RunFolder(path).record, RunFolder(path).vocabulary):
        found.update(file.read_bytes() if file.is_file() else b"")
    return found.hexdigest()


def _names(current: Current, annotators: tuple[str, ...] | str) -> tuple[str, ...]:
    if isinstance(annotators, str):
        return current.run.vocabulary.names if annotators == ALL else (annotators,)
    return annotators


def _counted(run: Run, question: Question, names: tuple[str, ...]) -> np.ndarray:
    """Answers of a method that only counts; texts are not looked at."""
    texts = pd.DataFrame({"text": question.texts})
    if question.pairs is not None:
        texts["text_pair"] = question.pairs
    texts["text_id"] = [str(number) for number in range(len(texts))]
    table = run.predict(texts, list(names))
    found = table[list(run.labels.columns)].to_numpy(np.float64)
    return found.reshape(len(question.texts), len(names), len(run.labels))


def check_known(current: Current, names: Sequence[str]) -> None:
    """Refuse ids that the run does not know.

    Raises:
        ConditionError: There is one.
    """
    for name in names:
        if name != POPULATION and name not in current.run.vocabulary:
            raise ConditionError(f"nobody is called {name!r} in this run")
