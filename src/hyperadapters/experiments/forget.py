"""People removed from a run: what is theirs alone, in every file of the folder.

What the shared parameters learned from their ratings stays: this is removal, not unlearning.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from hyperadapters.adaptation import Posterior
from hyperadapters.baselines import AnnotatorMode, GlobalMode
from hyperadapters.conditions import Attributes, Vocabulary
from hyperadapters.data.people import People
from hyperadapters.errors import RunError
from hyperadapters.evaluation import evaluate
from hyperadapters.experiments.folder import RunFolder, refuse_existing, write_json
from hyperadapters.experiments.traces import check_forgotten
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.methods.full import FILE as BACKBONE_FILE
from hyperadapters.methods.removal import population_is_a_mean, remove_rows
from hyperadapters.tables import write_predictions, write_scores
from hyperadapters.tables.frames import column_of, rows_of

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run

_REWRITTEN = (
    *("run.json", "vocabulary.json", "people.json", "counts.json", "README.md"),
    *("adapter_config.json", "adapter_model.safetensors", BACKBONE_FILE),
    *("predictions.parquet", "scores.json", "checkpoint.safetensors", "posterior.safetensors"),
)
"""Files that are not carried over as they are; a checkpoint would hold the rows of everybody."""


def forget_people(run: "Run", annotators: str | Sequence[str], output: Path | None) -> Path:
    """See `Run.forget`; `run` must be opened anew, for its fitted method is changed."""
    names = [annotators] if isinstance(annotators, str) else list(dict.fromkeys(annotators))
    if not names:
        raise RunError("nobody is named who is to be forgotten")
    run.vocabulary.indices(names, strict=True)
    rest = Vocabulary(tuple(name for name in run.vocabulary.names if name not in set(names)))
    if not len(rest):
        raise RunError("nobody would be left; remove the folder instead")
    target = run.folder.path if output is None else output
    if output is not None:
        refuse_existing(output)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".forget-") as aside:
        made = RunFolder(Path(aside) / "run")
        made.path.mkdir()
        _write(run, made, names, rest)
        if output is not None:
            if output.is_dir():
                output.rmdir()
            made.path.rename(output)
        else:
            # The old folder goes aside first, and with the temporary folder for good.
            old = target.rename(Path(aside) / "old")
            try:
                made.path.rename(target)
            except OSError:
                old.rename(target)
                raise
    return target


def _write(run: "Run", made: RunFolder, names: list[str], rest: Vocabulary) -> None:
    predictions = _others(run.predictions, names)
    results = dict(run.record.results)
    write_json(made.vocabulary, rest.to_dict())
    _carry(run.folder.path, made.path)
    fitted, people = run.fitted, run.people
    if isinstance(fitted, AnnotatorClassifier):
        left = None if people is None else _without(people, rest)
        if population_is_a_mean(fitted):
            predictions = rows_of(predictions, column_of(predictions, "source") != "population")
        removed = remove_rows(fitted, rest, left)
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
    done = {
        "what": "forgotten",
        "n_annotators": len(names),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if run.folder.posterior.exists():
        Posterior.load(run.folder.posterior).only(rest.names).save(made.posterior)
    adapted = {name: told for name, told in run.record.adapted.items() if name in rest}
    changes = [*run.record.changes, done]
    record = replace(run.record, results=results, changes=changes, adapted=adapted)
    write_json(made.record, record.to_dict())
    check_forgotten(made.path, names, _ordinary(run))


def _carry(source: Path, folder: Path) -> None:
    """Copy what is not written anew, also files that are not ours; they are searched for ids."""
    for path in source.iterdir():
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        elif path.name not in _REWRITTEN:
            shutil.copyfile(path, folder / path.name)


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


def _ordinary(run: "Run") -> set[str]:
    """Words of the run that are not ids, whoever is called so."""
    record: dict[str, Any] = run.record.to_dict()
    words = {*record, *map(str, run.labels.names), *map(str, record["settings"].values())}
    words |= {*record["settings"], *record["versions"], record["method"], record["backbone"]}
    words |= {"dev", "test", "train", "known", "population", "attributes", "all"}
    words |= {str(name) for name in run.scores["metric"].unique()}
    if run.people is not None:
        words |= {v for row in run.people.values.values() for v in row} | {*run.people.names}
    return words
