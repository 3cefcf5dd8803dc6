"""People removed from a run: what is theirs alone, in every file of the folder.

What the shared parameters learned from their ratings stays: this is removal, not unlearning.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas as pd

from hyperadapters.adaptation import Posterior
from hyperadapters.baselines import AnnotatorMode, GlobalMode
from hyperadapters.conditions import Attributes, Vocabulary
from hyperadapters.data.people import People
from hyperadapters.errors import RunError
from hyperadapters.evaluation import evaluate
from hyperadapters.experiments.folder import RunFolder, write_json
from hyperadapters.experiments.rewrite import change, ordinary_words, written_anew
from hyperadapters.experiments.traces import check_forgotten
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.methods.removal import population_is_a_mean, take_rows
from hyperadapters.tables import write_predictions, write_scores
from hyperadapters.tables.frames import column_of, rows_of

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run


def forget_people(run: "Run", annotators: str | Sequence[str], output: Path | None) -> Path:
    """See `Run.forget`; `run` must be opened anew, for its fitted method is changed."""
    names = [annotators] if isinstance(annotators, str) else list(dict.fromkeys(annotators))
    if not names:
        raise RunError("nobody is named who is to be forgotten")
    run.vocabulary.indices(names, strict=True)
    gone = set(names)
    rest = run.vocabulary.only(name for name in run.vocabulary.names if name not in gone)
    if not len(rest):
        raise RunError("nobody would be left; remove the folder instead")
    return written_anew(run, output, "forget", lambda made: _write(run, made, names, rest))


def _write(run: "Run", made: RunFolder, names: list[str], rest: Vocabulary) -> None:
    predictions = _others(run.predictions, names)
    results = dict(run.record.results)
    write_json(made.vocabulary, rest.to_dict())
    fitted, people = run.fitted, run.people
    if isinstance(fitted, AnnotatorClassifier):
        left = None if people is None else _without(people, rest)
        if population_is_a_mean(fitted):
            predictions = rows_of(predictions, column_of(predictions, "source") != "population")
        removed = take_rows(fitted, rest, left)
        for key in ("trainable_parameters", "condition_parameters"):
            if key in results:
                results[key] = max(0, results[key] - removed)
        fitted.save(made.path)
        if left is not None:
            write_json(made.people, left.to_dict())
    else:
        counted = _recount(fitted, names)
        write_json(made.counts, counted.to_dict())
        predictions = counted.predict(predictions, seed=run.record.seed)
    if not len(predictions):
        raise RunError("no prediction would be left; remove the folder instead")
    write_predictions(predictions, made.predictions)
    write_scores(evaluate(predictions), made.scores)
    if run.folder.posterior.exists():
        Posterior.load(run.folder.posterior).only(rest.names).save(made.posterior)
    adapted = {name: told for name, told in run.record.adapted.items() if name in rest}
    changes = [*run.record.changes, change("forgotten", len(names))]
    record = replace(run.record, results=results, changes=changes, adapted=adapted)
    write_json(made.record, record.to_dict())
    check_forgotten(made.path, names, ordinary_words(run))


def _others(predictions: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    return rows_of(predictions, ~column_of(predictions, "annotator").isin(names))


def _without(people: People, rest: Vocabulary) -> People:
    """What is known of the others, without values that nobody else has.

    Raises:
        RunError: Nobody else has any attribute.
    """
    values = {name: row for name, row in people.values.items() if name in rest}
    borne = {n: {row[i] for row in values.values()} for i, n in enumerate(people.names)}
    listed = {
        name: [value for value in cast(Sequence[str], kinds) if value in borne[name]]
        for name, kinds in people.attributes.values.items()
    }
    declared = {name: kinds for name, kinds in listed.items() if kinds}
    if not declared:
        raise RunError("nobody else has any attribute; remove the folder instead")
    places = [i for i, name in enumerate(people.names) if name in declared]
    rows = {who: tuple(row[i] for i in places) for who, row in values.items()}
    return People(Attributes(declared), rows)


def _recount(fitted: GlobalMode | AnnotatorMode, names: list[str]) -> GlobalMode | AnnotatorMode:
    """The same counts without those of some people, as far as they are kept apart."""
    gone = set(names)
    if isinstance(fitted, GlobalMode):
        return replace(fitted, annotators=tuple(a for a in fitted.annotators if a not in gone))
    return replace(fitted, counts={a: c for a, c in fitted.counts.items() if a not in gone})
