"""Answers written to files as they come: in bounded memory, and resumable."""

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path

from hyperadapters.errors import ConfigError
from hyperadapters.inference.parts import Parts
from hyperadapters.inference.predict import Answers
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import check_ending
from hyperadapters.tables.aggregates import added, aggregates_of, moments_of
from hyperadapters.tables.pieces import write_pieces

StrPath = str | PathLike[str]


def targets_of(output: StrPath | None, aggregate: StrPath | None) -> list[Path]:
    """The files that are to be made.

    Raises:
        ConfigError: There is none, or both are the same.
        DataError: An ending is of another kind.
    """
    targets = [Path(path) for path in (output, aggregate) if path is not None]
    if not targets:
        raise ConfigError("name a file to make: for the predictions, the aggregates, or both")
    if len(targets) > 1 and targets[0].absolute() == targets[1].absolute():
        raise ConfigError(f"predictions and aggregates cannot both be written to {targets[0]}")
    for target in targets:
        check_ending(target)
    return targets


def write_answers(
    answers: Answers,
    labels: LabelSpace,
    *,
    output: StrPath | None,
    aggregate: StrPath | None = None,
    made_of: Mapping[str, str],
    resume: bool = False,
    done: Callable[[int], None] | None = None,
) -> None:
    """Write all PREDICTIONS of a question, AGGREGATES of them, or both.

    Every chunk is kept as soon as it is finished; the files are put together at the end.

    Args:
        answers: The question and who answers it.
        labels: The labels.
        output: File of the PREDICTIONS (.parquet, .csv or .jsonl), if they are wanted.
        aggregate: File of the AGGREGATES (see `tables.aggregates`), if they are wanted.
        made_of: What the answers depend on → its fingerprint.
        resume: Whether to go on with a job that was stopped.
        done: Is told of rows that were finished before.

    Raises:
        ConfigError: No file is named, or one twice.
        DataError: An ending is of another kind, or the question is at fault.
        RunError: A file is there already or cannot be written, or the job cannot be resumed.
    """
    targets = targets_of(output, aggregate)
    chunks = answers.question.chunks
    kind = "aggregates alone" if output is None else "predictions"
    parts = Parts(targets, {**made_of, "kind of output": kind}, len(chunks))
    with parts.begun(resume=resume) as ours:
        for number, chunk in enumerate(chunks):
            if not parts.has(number):
                frame = answers.of(chunk)
                parts.save(number, moments_of(frame, labels) if output is None else frame)
            elif done is not None:
                done(chunk.n_rows)
        parts.assemble()
        if aggregate is not None:
            pieces = parts.frames()
            if output is not None:
                pieces = (moments_of(frame, labels) for frame in pieces)
            table = aggregates_of(added(pieces), labels)
            write_pieces([table], Path(aggregate), overwrite=ours)
        if output is not None:
            write_pieces(parts.frames(), Path(output), overwrite=ours)
