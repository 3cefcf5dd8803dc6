"""Verdicts of juries of the people of a run."""

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

import pandas as pd

from hyperadapters.data.readers import with_text_ids
from hyperadapters.errors import ConfigError
from hyperadapters.evaluation.jurors import Chosen, Wanted, choose_jurors
from hyperadapters.evaluation.jury import verdicts_of
from hyperadapters.inference import Answers, Question, Texts, as_table

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run


def jurors_of(
    run: "Run",
    jurors: Chosen | None = None,
    *,
    where: Wanted | None = None,
    draw: int | None = None,
    seed: int = 0,
    attributes: pd.DataFrame | None = None,
) -> dict[str, float]:
    """The jurors among the people of a run, see `choose_jurors`.

    Attributes are those that the run was told, unless a table of others is given.
    """
    if where is not None and attributes is None:
        attributes = _told(run)
    return choose_jurors(
        run.vocabulary.names, jurors, where=where, draw=draw, seed=seed, attributes=attributes
    )


def verdicts_of_run(
    run: "Run",
    texts: Texts,
    weights: Mapping[str, float],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """VERDICTS of a jury on texts, a chunk of texts at a time; see `jury`.

    Args:
        run: The run.
        texts: As for `Run.predict`.
        weights: Id → weight, all of them people of the run.
        seed: Of the draws for intervals.
        progress: Is told how many rows are predicted, and of how many.
    """
    table = with_text_ids(as_table(texts, pairs=run.reads_pairs))
    question = Question(table, list(weights), run.vocabulary, run.labels)
    done, total = 0, len(question)

    def tick(n_rows: int) -> None:
        nonlocal done
        done += n_rows
        if progress is not None:
            progress(done, total)

    intervals = None
    if set(weights) & set(run.adapted):
        from hyperadapters.experiments.adapt import intervals_of

        intervals = intervals_of(run)
    answers = Answers(run.fitted, question, seed=run.record.seed, tick=tick, intervals=intervals)
    parts = [
        verdicts_of(rows, weights, run.labels, decision=run.decision, seed=seed)
        for rows in _whole_texts(answers)
    ]
    return pd.concat(parts, ignore_index=True)


def _whole_texts(answers: Answers) -> Iterator[pd.DataFrame]:
    """Answers of chunks, put together where a chunk has not all people of its texts."""
    for _, chunks in groupby(answers.question.chunks, key=lambda chunk: chunk.texts.start):
        yield pd.concat([answers.of(chunk) for chunk in chunks], ignore_index=True)


def _told(run: "Run") -> pd.DataFrame:
    people = run.people
    if people is None:
        raise ConfigError(
            f"{run.folder.path} is told no attributes of people; give a table of them "
            "(attributes=..., --attributes FILE)"
        )
    rows = [(who, *values) for who, values in people.values.items()]
    return pd.DataFrame(rows, columns=pd.Index(["annotator", *people.names]))
