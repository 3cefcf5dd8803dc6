"""EXAMPLES in, tokens out: sources cut or read in windows, targets with their end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.data.tasks.special import Special, special_tokens
from hyperadapters.data.tasks.tokens import TaskTokens
from hyperadapters.data.tasks.windows import (
    Spans,
    context_needed,
    split_offsets,
    window_target,
    windows_of,
)
from hyperadapters.errors import ConfigError, DataError, Fault
from hyperadapters.tables.frames import column_of
from hyperadapters.tasks import Task
from hyperadapters.tasks.names import advice

# Offsets of so many texts are held at a time.
CHUNK = 1000
# What may be cut, each counted by itself.
_CUTS: tuple[str, ...] = ("sources", "targets", "questions")


@dataclass(frozen=True)
class _Lengths:
    """How long things may be, in tokens."""

    source: int
    target: int
    stride: int


@dataclass
class _Rows:
    """What becomes `TaskTokens`, while it grows."""

    ids: list[list[int]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    example: list[int] = field(default_factory=list)

    def add(self, ids: list[int], target: str | None, example: int) -> None:
        self.ids.append(ids)
        self.targets.append(target or "")
        self.example.append(example)


def tokenise(
    examples: pd.DataFrame,
    tasks: Mapping[str, Task],
    task_index: Mapping[str, int],
    tokenizer: Any,
    *,
    max_source: int,
    max_target: int,
    stride: int = 128,
    with_targets: bool,
    keep_nulls: bool = True,
) -> TaskTokens:
    """Tokens of examples.

    A source that is too long is cut at its end. Not so a question: its context is read in windows
    of `max_source` tokens that each begin with all that stands before the context (`windows`).
    Where that leaves too little for the context, the end of the question is cut. A target that is
    too long is cut at its end, and the end token stays. All cuts are counted (`truncated`).

    Args:
        examples: EXAMPLES.
        tasks: Every task by its name.
        task_index: The number that a model knows each task by.
        tokenizer: A fast tokenizer of Transformers with a padding token.
        max_source: Most tokens of a source, those that begin and end a text included.
        max_target: Most tokens of a target, the end token included.
        stride: Tokens that neighbouring windows share.
        with_targets: Whether rows get labels; every target must be known then.
        keep_nulls: Whether windows without an answer stay, whose target is the end token alone.
            Without them nothing is learned of when not to answer. Only with targets.

    Returns:
        Rows in the order of the examples, the windows of one behind each other.

    Raises:
        ConfigError: A task is not known, a length leaves no room, or the tokenizer lacks what is
            needed.
        DataError: A target is not known, with `with_targets`.
    """
    lengths = _Lengths(max_source, max_target, stride)
    special = special_tokens(tokenizer)
    _check(examples, tasks, task_index, special, lengths)
    if with_targets:
        _check_targets(examples)
    names = column_of(examples, "task").tolist()
    truncated: dict[str, dict[str, int]] = {
        name: dict.fromkeys(_CUTS, 0) for name in dict.fromkeys(names)
    }
    rows = _Rows()
    for start in range(0, len(examples), CHUNK):
        chunk = examples.iloc[start : start + CHUNK]
        _add_chunk(chunk, start, tokenizer, special, lengths, rows, truncated)
    example = np.array(rows.example, dtype=np.int64)
    ids, labels = rows.ids, None
    if with_targets:
        answers = _encoded(tokenizer, rows.targets)
        labels = [[*answer[: max_target - 1], special.answer_end] for answer in answers]
        for row, answer in zip(example, answers, strict=True):
            truncated[names[row]]["targets"] += len(answer) > max_target - 1
    if labels is not None and not keep_nulls:
        kept = _kept(rows, column_of(examples, "context").notna().to_numpy(bool))
        ids, labels = [ids[row] for row in kept], [labels[row] for row in kept]
        example = example[kept]
    task = np.array([task_index[names[row]] for row in example], dtype=np.int64)
    return TaskTokens(ids, labels, example, task, special.pad, truncated)


def _add_chunk(
    chunk: pd.DataFrame,
    first: int,
    tokenizer: Any,
    special: Special,
    lengths: _Lengths,
    rows: _Rows,
    truncated: dict[str, dict[str, int]],
) -> None:
    """Add the rows of some examples; `first` is the position of the first of them."""
    records = chunk.to_dict("records")
    asked = [isinstance(record["context"], str) for record in records]
    sources = column_of(chunk, "source").tolist()
    plain = iter(_encoded(tokenizer, [s for s, q in zip(sources, asked, strict=True) if not q]))
    placed = iter(_with_offsets(tokenizer, [s for s, q in zip(sources, asked, strict=True) if q]))
    room = lengths.source - special.n_around
    lines = zip(records, asked, strict=True)
    for number, (record, is_question) in enumerate(lines, start=first):
        counts = truncated[str(record["task"])]
        if is_question:
            question = _Question.of(record, *next(placed))
            counts["questions"] += question.shorten(tokenizer, room, lengths)
            question.add_windows(rows, number, special, room, lengths.stride)
        else:
            ids = next(plain)
            counts["sources"] += len(ids) > room
            rows.add(special.around(ids[:room]), record["target"], number)


@dataclass
class _Question:
    """A question and its context, as tokens.

    Attributes:
        record: The example.
        before: What stands before the context, uncut.
        ids: Tokens of both.
        n_before: How many tokens are of `before`.
        offsets: Characters of the context's tokens, counted in the context.
        all_offsets: Characters of all tokens.
    """

    record: Mapping[Any, Any]
    before: str
    ids: list[int]
    n_before: int
    offsets: Spans
    all_offsets: Spans

    @classmethod
    def of(cls, record: Mapping[Any, Any], ids: list[int], offsets: Spans) -> "_Question":
        source, context = str(record["source"]), str(record["context"])
        before = source[: len(source) - len(context)]
        n_before, rest = split_offsets(offsets, len(before))
        return cls(record, before, ids, n_before, rest, offsets)

    def shorten(self, tokenizer: Any, room: int, lengths: _Lengths) -> bool:
        """Cut the question's end until enough of the context is seen; whether that was needed.

        Raises:
            ConfigError: Even without its words the question leaves no room.
        """
        words, context = str(self.record["question"] or ""), str(self.record["context"])
        # In a table of someone else's the source may not show the question: nothing is cut then.
        start = max(self.before.rfind(words), 0)
        end = start + len(words) * (words in self.before)
        after = self.before[end:]
        needed = min(context_needed(room, lengths.stride), len(self.offsets))
        was_cut = False
        while self.n_before > room - needed and end > start:
            excess = self.n_before - (room - needed)
            inside = [s for s, e in self.all_offsets[: self.n_before] if s >= start and e <= end]
            # Always shorter than before, since fewer characters may make as many tokens.
            stop = min(inside[-excess], end - 1) if excess < len(inside) else start
            kept = self.before[start:stop].rstrip()
            end = start + len(kept)
            before = self.before[:start] + kept + after
            encoded = _with_offsets(tokenizer, [before + context])[0]
            self.ids, self.all_offsets = encoded
            self.n_before, self.offsets = split_offsets(self.all_offsets, len(before))
            was_cut = True
        if self.n_before + min(1, len(self.offsets)) > room:
            raise ConfigError(
                f"max_source ({lengths.source} tokens) leaves no room for a context: what stands"
                f" around a question of task {self.record['task']} takes {self.n_before}"
            )
        return was_cut

    def add_windows(
        self, rows: _Rows, number: int, special: Special, room: int, stride: int
    ) -> None:
        """Add a row for every window."""
        record, context = self.record, str(self.record["context"])
        head, body = self.ids[: self.n_before], self.ids[self.n_before :]
        target = record["target"] if isinstance(record["target"], str) else ""
        answers: Sequence[str] = record["references"]
        size = max(1, room - self.n_before)
        windows = windows_of(self.offsets, len(context), size, stride)
        for window in windows:
            wanted = window_target(
                window, len(windows) == 1, context, target, answers, record["starts"]
            )
            ids = special.around(head + body[slice(*window.tokens)])
            rows.add(ids, wanted, number)


def _check_targets(examples: pd.DataFrame) -> None:
    unknown = np.flatnonzero(column_of(examples, "target").isna()) + 1
    if len(unknown):
        fault = Fault("column 'target' is empty, but targets are wanted", tuple(unknown.tolist()))
        raise DataError("examples", [fault])


def _kept(rows: _Rows, in_windows: np.ndarray) -> np.ndarray:
    """The rows that are no windows without an answer."""
    kept = [
        bool(target) or not in_windows[example]
        for target, example in zip(rows.targets, rows.example, strict=True)
    ]
    return np.flatnonzero(kept)


def _encoded(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    if not texts:
        return []
    # `verbose`: that a text is longer than the model takes is our business.
    encoded = tokenizer(texts, add_special_tokens=False, verbose=False)
    return [list(ids) for ids in encoded["input_ids"]]


def _with_offsets(tokenizer: Any, texts: list[str]) -> list[tuple[list[int], Spans]]:
    """Tokens of every text, and the characters of each token."""
    if not texts:
        return []
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [
        (list(ids), [(start, end) for start, end in spans])
        for ids, spans in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]


def _check(
    examples: pd.DataFrame,
    tasks: Mapping[str, Task],
    task_index: Mapping[str, int],
    special: Special,
    lengths: _Lengths,
) -> None:
    if lengths.source <= special.n_around:
        raise ConfigError(
            f"max_source must be more than the {special.n_around} tokens that begin and end a text,"
            f" got {lengths.source}"
        )
    if lengths.target < 1:
        raise ConfigError(f"max_target must be at least 1, got {lengths.target}")
    if lengths.stride < 0:
        raise ConfigError(f"stride must be 0 or more, got {lengths.stride}")
    for name in column_of(examples, "task").unique().tolist():
        if name not in tasks or name not in task_index:
            raise ConfigError(f"unknown task '{name}'; {advice(name, list(task_index))}")
