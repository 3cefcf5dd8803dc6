"""Ratings in, a run folder out: split, train, predict, evaluate."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.backbones import start_at_shares
from hyperadapters.baselines import AnnotatorMode, GlobalMode
from hyperadapters.conditions import Vocabulary
from hyperadapters.data import People, SplitBy, assign_splits, with_majority_labels
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.evaluation import evaluate
from hyperadapters.experiments.folder import (
    RunFolder,
    read_json,
    refuse_existing,
    write_json,
)
from hyperadapters.experiments.prior import check_amortisable, write_prior, write_set_encoder
from hyperadapters.experiments.record import RunRecord, fingerprint, versions
from hyperadapters.experiments.run import Run
from hyperadapters.inference import Fitted, predict
from hyperadapters.labels import LabelSpace
from hyperadapters.methods import (
    DEFAULT_METHOD,
    METHODS,
    AnnotatorClassifier,
    Examples,
    Method,
    Settings,
    find_method,
)
from hyperadapters.tables import check_annotations, write_predictions, write_scores
from hyperadapters.tables.annotations import STANDARD_COLUMNS
from hyperadapters.tables.frames import column_of, rows_of
from hyperadapters.training import Checkpoint, Progress, Trainer, set_temperature
from hyperadapters.tuner.temperature import has_logits


@dataclass(frozen=True)
class Plan:
    """Everything about a run that is settled before training starts.

    Attributes:
        method: The method.
        settings: Its settings.
        backbone: Name of the backbone.
        seed: The seed.
        labels: What can be predicted.
        vocabulary: The annotators that training knows.
        ratings: ANNOTATIONS with splits.
        people: What is known of annotators, for methods that are told attributes.
        split: How the rows were divided.
    """

    method: Method
    settings: Settings
    backbone: str
    seed: int
    labels: LabelSpace
    vocabulary: Vocabulary
    ratings: pd.DataFrame
    people: People | None = None
    split: SplitBy = field(default_factory=SplitBy)

    @classmethod
    def of(
        cls,
        ratings: pd.DataFrame,
        method: str,
        backbone: str,
        seed: int,
        changes: Mapping[str, Any],
        *,
        allow_leaks: bool = False,
        split: SplitBy | None = None,
    ) -> "Plan":
        """A plan; raises what `fit` does for its data, method and settings."""
        if not 0 <= seed < 2**32:
            raise ConfigError(f"seed must be from 0 to 4294967295, got {seed}")
        chosen = find_method(method)
        how = split or SplitBy()
        checked = check_annotations(ratings, allow_leaks=allow_leaks)
        ratings = assign_splits(checked, allow_leaks=allow_leaks, **vars(how))
        train = rows_of(ratings, column_of(ratings, "split") == "train")
        settings, labels = chosen.settings.changed(changes), LabelSpace.of(ratings["label"])
        if chosen.kind == "network":
            _check_fits(settings, labels)
        return cls(
            method=chosen,
            settings=settings,
            backbone=backbone,
            seed=seed,
            labels=labels,
            vocabulary=Vocabulary.of(train["annotator"]),
            ratings=ratings,
            people=_people(train, chosen, settings),
            split=how,
        )

    def rows(self, *splits: str) -> pd.DataFrame:
        """Rows of some splits."""
        chosen = column_of(self.ratings, "split").isin(splits)
        return rows_of(self.ratings, chosen).reset_index(drop=True)

    def learned_from(self, split: str) -> pd.DataFrame:
        """Rows of a split with the labels that the method is trained on, or stopped by."""
        rows = self.rows(split)
        return with_majority_labels(rows) if self.method.labels == "majority" else rows

    def record(self) -> RunRecord:
        """What `run.json` says at the start."""
        divided = {} if self.split.by == "text" else {"split": vars(self.split)}
        return RunRecord(
            method=self.method.name,
            backbone=self.backbone,
            seed=self.seed,
            settings=self.settings.to_dict(),
            data={**fingerprint(self.ratings), **divided},
            versions=versions(),
        )


def fit(
    ratings: pd.DataFrame,
    *,
    output: str | PathLike[str],
    method: str = DEFAULT_METHOD,
    backbone: str = "minilm",
    seed: int = 0,
    resume: bool = False,
    allow_leaks: bool = False,
    split: SplitBy | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Run:
    """Train a method on ratings, predict the dev and test splits, and score them.

    Args:
        ratings: ANNOTATIONS, as `read_annotations` gives them; without a column `split` they are
            divided 70/10/20 by text.
        output: The run folder, which must not exist yet.
        method: Name of a method, see `hyperadapters.methods.METHODS`.
        backbone: ``"minilm"`` (built in) or the name or folder of a Hugging Face model.
        seed: Fixes head, adapters, order and dropout; on a CPU the result is the same to the bit.
        resume: Go on with a run that was stopped; ratings and settings must be the same.
        allow_leaks: Go on although a text stands in more than one split.
        split: How rows are divided, as ``SplitBy("annotator", fold=0, folds=5)``, see
            `hyperadapters.data.assign_splits`; by default by text.
        progress: Who watches the training.
        **settings: Fields of `Settings`, as ``epochs=3``.

    Returns:
        The finished run.

    Raises:
        DataError: The ratings cannot be used; names all faults.
        ConfigError: Unknown method, backbone or setting, or one that the labels are not made for.
        RunError: The output exists, or cannot be resumed.
    """
    plan = Plan.of(ratings, method, backbone, seed, settings, allow_leaks=allow_leaks, split=split)
    return fit_plan(plan, Path(output), resume=resume, progress=progress)


def fit_plan(
    plan: Plan, output: Path, *, resume: bool = False, progress: Progress | None = None
) -> Run:
    """As `fit`, with everything settled."""
    folder = RunFolder(output)
    if not resume:
        refuse_existing(folder.path)
    # Before anything is written: an unknown backbone should leave nothing behind.
    classifier = _build(plan) if plan.method.kind == "network" else None
    if classifier is not None and plan.settings.amortised:
        check_amortisable(classifier)
    record = plan.record()
    checkpoint = _begin(folder, record, plan, resume=resume)
    started = time.monotonic()
    progress = progress or Progress()
    if classifier is None:
        fitted: Fitted = _count(plan, folder)
        results: dict[str, Any] = {"trainable_parameters": 0}
    else:
        fitted, results = classifier, _train(classifier, plan, folder, progress, checkpoint)
    progress.message("predicting dev and test")
    _predict_and_score(fitted, plan, folder)
    results["seconds"] = round(time.monotonic() - started, 1)
    write_json(folder.record, replace(record, complete=True, results=results).to_dict())
    folder.checkpoint.unlink(missing_ok=True)
    return Run.open(folder.path, fitted)


def is_finished(plan: Plan, output: Path) -> bool:
    """Whether a folder holds the finished run of a plan.

    Raises:
        RunError: It holds a run of something else.
    """
    folder = RunFolder(output)
    if not folder.record.exists():
        return False
    before = RunRecord.from_dict(read_json(folder.record), str(folder.record))
    if changed := _changed(before, plan.record()):
        raise RunError(f"{folder.path} was run with another {changed}")
    return before.complete


def _begin(folder: RunFolder, record: RunRecord, plan: Plan, *, resume: bool) -> Checkpoint | None:
    """Make the folder, or find out where the run in it was stopped."""
    checkpoint = None
    if resume and folder.record.exists():
        _check_same(RunRecord.from_dict(read_json(folder.record), str(folder.record)), record)
        checkpoint = Checkpoint.read(folder.path)
    else:
        folder.create()
    write_json(folder.record, record.to_dict())
    write_json(folder.labels, plan.labels.to_dict())
    write_json(folder.vocabulary, plan.vocabulary.to_dict())
    if plan.people is not None:
        write_json(folder.people, plan.people.to_dict())
    return checkpoint


def _check_same(before: RunRecord, now: RunRecord) -> None:
    if before.complete:
        raise RunError("the run is complete; there is nothing to resume")
    if changed := _changed(before, now):
        raise RunError(f"cannot resume: the run was started with another {changed}")


def _changed(before: RunRecord, now: RunRecord) -> str:
    """What a run was made with differently, in words; nothing where it is the same."""
    old, new = before.to_dict(), now.to_dict()
    differing = [k for k in ("method", "backbone", "seed", "data") if old[k] != new[k]]
    # A setting that came later did not change anything before it was there.
    came_later = {k: v for k, v in Settings.EARLIER.items() if k not in before.settings}
    if find_method(now.method).kind == "counting":  # which it does not concern
        came_later = {name: now.settings[name] for name in came_later}
    was = {**Settings().to_dict(), **came_later, **before.settings}
    settings = [name for name, value in now.settings.items() if was[name] != value]
    advice = [f"--set {name}={came_later[name]}" for name in settings if name in came_later]
    told = f" (it is of an earlier version; go on with {' '.join(advice)})" if advice else ""
    return ", ".join([*differing, *settings]) + told


def _check_fits(settings: Settings, labels: LabelSpace) -> None:
    """Whether the labels are what the settings are for.

    Raises:
        ConfigError: They have no order, or are no sets, and the settings want that.
    """
    if settings.decision == "marginal" and not labels.parts:
        raise ConfigError(
            "decision marginal is for sets of labels, such as a+b (see --join-labels), and these "
            f"are {', '.join(map(str, labels.names))}"
        )
    wanting = {"decision": ("median",), "head": ("cumulative", "cumulative-scale")}
    for name, values in wanting.items():
        if getattr(settings, name) in values and labels.kind != "ordinal":
            raise ConfigError(
                f"{name} {getattr(settings, name)} is for labels on a scale (three or more whole "
                f"numbers), and these are {', '.join(map(str, labels.names))}"
            )


def _count(plan: Plan, folder: RunFolder) -> GlobalMode | AnnotatorMode:
    counter = GlobalMode if plan.method.name == "global-mode" else AnnotatorMode
    fitted = counter.fit(plan.rows("train"), plan.labels)
    write_json(folder.counts, fitted.to_dict())
    return fitted


def _build(plan: Plan) -> AnnotatorClassifier:
    return AnnotatorClassifier.build(
        plan.method,
        plan.settings,
        plan.backbone,
        plan.labels,
        plan.vocabulary,
        plan.seed,
        plan.people,
    )


def not_told(who_is: str, attributes: Sequence[str]) -> ConfigError:
    """The error where attributes are named for what is told none, as "intercept is not"."""
    able = [method.name for method in METHODS.values() if "attributes" in method.told]
    named = ", ".join(attributes)
    return ConfigError(f"{who_is} told attributes ({named}); methods that are: {', '.join(able)}")


def _people(train: pd.DataFrame, method: Method, settings: Settings) -> People | None:
    """What is known of the annotators of training, for a method that is told attributes."""
    names = settings.attribute_names
    if "attributes" not in method.told:
        if names:
            raise not_told(f"{method.name} is not", names)
        return None
    if not names:
        there = [str(name) for name in train if name not in STANDARD_COLUMNS]
        raise ConfigError(
            f"{method.name} needs attributes of annotators: name their columns, as "
            f"--attribute age; columns that may be one: {', '.join(there) or 'none'}"
        )
    return People.of(train, names, source="ratings")


def _train(
    classifier: AnnotatorClassifier,
    plan: Plan,
    folder: RunFolder,
    progress: Progress,
    checkpoint: Checkpoint | None,
) -> dict[str, Any]:
    parameters = classifier.parameter_counts()
    progress.message(
        f"{plan.method.name} on {plan.backbone}: {parameters['trainable_parameters']:,} trainable "
        f"parameters, {parameters['condition_parameters']:,} of them for "
        f"{len(plan.vocabulary):,} annotators"
    )
    train = classifier.examples(plan.learned_from("train"))
    dev = classifier.examples(plan.learned_from("dev"))
    start_at_shares(classifier.model, np.bincount(train.labels, minlength=len(plan.labels)))
    trainer = Trainer(classifier, train, dev, folder.path, plan.seed, progress)
    position = trainer.fit(checkpoint)
    classifier.model.eval()
    found = _calibrate(classifier, dev, plan, progress)
    write_prior(classifier, train, dev, folder.prior, plan.seed)
    classifier.save(folder.path)
    if plan.settings.amortised:
        progress.message("training the set encoder for newcomers")
        write_set_encoder(classifier, [train, dev], folder, plan.seed)
    return {**parameters, "best": position.best, **found}


def _calibrate(
    classifier: AnnotatorClassifier, dev: Examples, plan: Plan, progress: Progress
) -> dict[str, float]:
    """Set the temperature, if the settings want one; gives what it is."""
    if plan.settings.calibration != "temperature":
        return {}
    if not has_logits(classifier.model):
        progress.message("no temperature: the head of this backbone has no name that is known")
        return {}
    # Whatever it learned from, what it predicts is each rating.
    own = dev if plan.method.labels == "own" else classifier.examples(plan.rows("dev"))
    temperature = round(set_temperature(classifier, own), 4)
    progress.message(f"temperature {temperature:.2f}, found on dev")
    return {"temperature": temperature}


def _predict_and_score(fitted: Fitted, plan: Plan, folder: RunFolder) -> None:
    predictions = predict(fitted, plan.rows("dev", "test"), seed=plan.seed)
    write_predictions(predictions, folder.predictions, overwrite=True)
    write_scores(evaluate(predictions), folder.scores, overwrite=True)
