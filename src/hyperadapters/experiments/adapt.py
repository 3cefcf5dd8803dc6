"""People whom a run has never seen, learned from a few labels of theirs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from hyperadapters.adaptation import (
    Found,
    Intervals,
    PersonalVectors,
    Posterior,
    SetEncoder,
    check_adaptable,
    find_people,
    rates_of,
)
from hyperadapters.adaptation.find import Tick
from hyperadapters.adaptation.newton import MAX_STEPS
from hyperadapters.conditions import Vocabulary
from hyperadapters.data.people import People
from hyperadapters.data.readers import with_text_ids
from hyperadapters.errors import ConfigError, DataError
from hyperadapters.experiments.folder import RunFolder, refuse_existing
from hyperadapters.experiments.grow import Growth, write_grown
from hyperadapters.experiments.newcomers import with_observed
from hyperadapters.experiments.prior import prior_of_run
from hyperadapters.experiments.record import RunRecord, versions
from hyperadapters.experiments.run import Run
from hyperadapters.inference import Question, Texts, as_table
from hyperadapters.methods import AnnotatorClassifier, find_method
from hyperadapters.tables import check_annotations
from hyperadapters.tables.frames import column_of, rows_of

KNOWN = ("error", "replace", "skip")
"""What is done with annotators of the training data."""


def adapt_run(
    run: Run,
    ratings: pd.DataFrame,
    output: str | PathLike[str] | None = None,
    *,
    known: str = "error",
    amortised: bool = False,
    steps: int | None = None,
    progress: Tick | None = None,
) -> Run:
    """See `Run.adapt`."""
    check_adaptable(find_method(run.record.method))
    if steps is not None and steps < 0:
        raise ConfigError(f"steps must not be negative, got {steps}")
    if known not in KNOWN:
        raise ConfigError(f"known must be one of {', '.join(KNOWN)}, got {known!r}")
    path = run.folder.path
    target = RunFolder(path.with_name(f"{path.name}-adapted") if output is None else Path(output))
    refuse_existing(target.path)
    rows = _chosen(run, checked_ratings(run, ratings), known)
    fitted = run.fitted
    assert isinstance(fitted, AnnotatorClassifier)  # noqa: S101 - the method is adaptable
    found = find_people(
        *(fitted, rows, prior_of_run(run, fitted), progress),
        encoder=_encoder_of(run, fitted) if amortised else None,
        max_steps=(0 if amortised else MAX_STEPS) if steps is None else steps,
    )
    vocabulary = _grown(run.vocabulary, found)
    before = posterior_of(run, fitted)
    growth = Growth(
        vocabulary,
        found.names,
        found.vectors,
        before.without(found.names).joined(found.posterior),
        _recorded(run.record, found),
        _described(run.people, rows),
    )
    write_grown(run.folder, target, PersonalVectors(fitted.network), growth)
    return Run.open(target.path)


def _encoder_of(run: Run, fitted: AnnotatorClassifier) -> SetEncoder:
    """What gives vectors in one pass.

    Raises:
        ConfigError: The run has none.
        RunError: The file is damaged.
    """
    path = run.folder.set_encoder
    if not path.is_file():
        raise ConfigError(
            f"{run.folder.path} has no set encoder; train with --set amortised=true, or adapt "
            "without --amortised"
        )
    return SetEncoder.load(path, PersonalVectors(fitted.network).width, len(fitted.labels))


def _grown(before: Vocabulary, found: Found) -> Vocabulary:
    """Those who were there in their places, then the new ones."""
    counts = dict(zip(found.names, map(int, found.n_labels), strict=True))
    names = (*before.names, *(name for name in found.names if name not in before))
    if before.n_ratings is None:
        return Vocabulary(names)
    known = dict(zip(before.names, before.n_ratings, strict=True))
    return Vocabulary(names, tuple((known | counts)[name] for name in names))


def intervals_of(run: Run) -> Intervals:
    """What gives the answers of a run their intervals.

    Raises:
        ConfigError: The method is none that new people can be added to.
    """
    check_adaptable(find_method(run.record.method))
    fitted = run.fitted
    assert isinstance(fitted, AnnotatorClassifier)  # noqa: S101 - the method is adaptable
    return Intervals(fitted, posterior_of(run, fitted), prior_of_run(run, fitted), run.record.seed)


def rates_of_run(run: Run, texts: Texts, annotators: str | Sequence[str]) -> pd.DataFrame:
    """See `Run.rates`."""
    check_adaptable(find_method(run.record.method))
    table = with_text_ids(as_table(texts, pairs=run.reads_pairs))
    question = Question(table, annotators, run.vocabulary, run.labels)
    rows = pd.concat([question.rows(chunk) for chunk in question.chunks], ignore_index=True)
    fitted = run.fitted
    assert isinstance(fitted, AnnotatorClassifier)  # noqa: S101 - the method is adaptable
    known = (posterior_of(run, fitted), prior_of_run(run, fitted))
    rates = rates_of(fitted, rows, *known, run.record.seed)
    if "label" not in rows or column_of(rows, "label").isna().any():
        return rates
    return with_observed(rates, rows)


def posterior_of(run: Run, fitted: AnnotatorClassifier) -> Posterior:
    """How sure the run is of the people it was adapted to.

    Raises:
        RunError: The file is damaged.
    """
    if not run.folder.posterior.is_file():
        return Posterior.nobody(PersonalVectors(fitted.network).width)
    return Posterior.load(run.folder.posterior).only(run.adapted)


def checked_ratings(run: Run, ratings: pd.DataFrame) -> pd.DataFrame:
    """Ratings that the run can read.

    Raises:
        DataError: Columns are missing, cells empty, a text has two labels by one person, labels
            are not the run's, or texts are pairs where it reads single ones or the other way round.
    """
    named = with_text_ids(ratings) if "text" in ratings else ratings
    table = check_annotations(named, source="ratings", allow_leaks=True, min_labels=1)
    table = as_table(table, pairs=run.reads_pairs)
    run.labels.encode(column_of(table, "label"), "ratings")
    return table


def _chosen(run: Run, table: pd.DataFrame, known: str) -> pd.DataFrame:
    """Rows by people whose vectors are to be found.

    Raises:
        DataError: Somebody was in the training data, and nothing is said about such people; or
            nobody is left.
    """
    adapted = set(run.adapted)
    trained = {name for name in run.vocabulary.names if name not in adapted}
    annotators = column_of(table, "annotator")
    there = annotators.isin(trained)
    if known == "error" and there.any():
        names = sorted(set(annotators[there]))
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        what = f"the run was trained on {', '.join(names[:5])}{more}, who are not new"
        hint = "Leave them out with known=skip, or learn them anew from these labels: known=replace"
        raise DataError("ratings", [what], f"{hint} (--known skip, --known replace).")
    rows = rows_of(table, ~there) if known == "skip" else table
    if not len(rows):
        raise DataError("ratings", ["nobody is left: the run was trained on all of them"])
    return rows.reset_index(drop=True)


def _described(people: People | None, rows: pd.DataFrame) -> People | None:
    """What is known of all annotators, the new ones included.

    Raises:
        DataError: Somebody has several values of one attribute.
    """
    if people is None:
        return None
    given = [n for n in people.names if n in rows and column_of(rows, n).notna().any()]
    told = People.of(rows, given, source="ratings") if given else None
    values = dict(people.values)
    for name in column_of(rows, "annotator").unique():
        own = dict(zip(told.names, told.values[name], strict=True)) if told else {}
        values[str(name)] = tuple(own.get(attribute, "") for attribute in people.names)
    return People(people.attributes, values)


def _recorded(record: RunRecord, found: Found) -> RunRecord:
    """The record of the run with what was learned of whom, and when."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    adapted: dict[str, Any] = dict(record.adapted)
    for place, name in enumerate(found.names):
        adapted[name] = {
            "labels": int(found.n_labels[place]),
            "converged": bool(found.converged[place]),
            "at": now,
            "hyperadapters": versions()["hyperadapters"],
        }
    return replace(record, adapted=adapted)
