"""A finished run, opened again."""

import hashlib
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas as pd
from safetensors import SafetensorError

from hyperadapters.baselines import mode_from_dict
from hyperadapters.conditions import Vocabulary
from hyperadapters.data.people import People
from hyperadapters.data.readers import with_text_ids
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.experiments.export import export_people
from hyperadapters.experiments.folder import RunFolder, read_json
from hyperadapters.experiments.forget import forget_people
from hyperadapters.experiments.people import PeopleOfRun
from hyperadapters.experiments.record import RunRecord, versions
from hyperadapters.inference import (
    ALL,
    Answers,
    Fitted,
    Question,
    Texts,
    as_table,
    targets_of,
    write_answers,
)
from hyperadapters.labels import Decision, LabelSpace
from hyperadapters.methods import AnnotatorClassifier, Settings, find_method
from hyperadapters.methods.full import FILE as BACKBONE_FILE
from hyperadapters.tables import read_predictions, read_scores

if TYPE_CHECKING:
    from hyperadapters.adaptation import Intervals

_DAMAGE = (
    *(OSError, SafetensorError, ValueError, RuntimeError),
    *(AttributeError, KeyError, TypeError),
)
"""What reading a file of another content than expected ends in."""


class Run(PeopleOfRun):
    """A trained method with its folder.

    Args:
        folder: Where it lies.
        record: What `run.json` says.
        labels: Its label space.
        vocabulary: The annotators it knows.
        fitted: The fitted method, if it is at hand; otherwise it is loaded when first needed.
    """

    def __init__(
        self,
        folder: RunFolder,
        record: RunRecord,
        labels: LabelSpace,
        vocabulary: Vocabulary,
        fitted: Fitted | None = None,
    ) -> None:
        self.folder = folder
        self.record = record
        self.labels = labels
        self.vocabulary = vocabulary
        self._fitted = fitted

    @classmethod
    def open(cls, path: str | PathLike[str], fitted: Fitted | None = None) -> "Run":
        """Open a run folder.

        Raises:
            RunError: It is not a run folder, or the run was never finished.
        """
        folder = RunFolder(Path(path))
        record = RunRecord.from_dict(read_json(folder.record), str(folder.record))
        if not record.complete:
            raise RunError(f"{folder.path} was not finished; train again with --resume")
        try:
            labels = LabelSpace.from_dict(read_json(folder.labels))
            vocabulary = Vocabulary.from_dict(read_json(folder.vocabulary))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{folder.path} is damaged: {error}") from error
        return cls(folder, record, labels, vocabulary, fitted)

    @property
    def decision(self) -> Decision:
        """How one label is chosen; methods that count stay with the mode, whatever was asked."""
        if find_method(self.record.method).kind == "counting":
            return "mode"
        return cast(Decision, self.record.settings.get("decision", "mode"))

    @property
    def fitted(self) -> Fitted:
        """The fitted method.

        Raises:
            RunError: Its files are missing or damaged.
        """
        if self._fitted is None:
            self._fitted = self._load()
        return self._fitted

    @property
    def people(self) -> People | None:
        """What the run knows of its annotators; `None` where it is told no attributes.

        Raises:
            RunError: Its file is missing or is not JSON.
        """
        if "attributes" not in find_method(self.record.method).told:
            return None
        return People.from_dict(read_json(self.folder.people))

    @property
    def adapted(self) -> list[str]:
        """The annotators who came after training, see `adapt`."""
        return [name for name in self.vocabulary.names if name in self.record.adapted]

    @property
    def reads_pairs(self) -> bool:
        """Whether a text is a pair of texts."""
        return bool(self.record.data.get("pairs", False))

    @property
    def scores(self) -> pd.DataFrame:
        """SCORES of the dev and test splits."""
        return read_scores(self.folder.scores)

    @property
    def predictions(self) -> pd.DataFrame:
        """PREDICTIONS of the dev and test splits."""
        return read_predictions(self.folder.predictions)

    def predict(
        self,
        texts: Texts,
        annotators: str | Sequence[str] = ALL,
        *,
        intervals: bool = False,
    ) -> pd.DataFrame:
        """What annotators would say of texts.

        Args:
            texts: Texts, pairs ``(first, second)`` if the run was trained on pairs, or a table
                with the columns `text`, for pairs `text_pair`, and perhaps `text_id`,
                `annotator`, `label`.
            annotators: ``"all"`` whom the run knows, ``"population"``, ``"rows"`` (those of the
                table), or a list of ids.
            intervals: Whether to add `low_<label>` and `high_<label>`, 90 % intervals: of people
                whom the run was adapted to, and of strangers; missing for people of training.

        Returns:
            PREDICTIONS; rows by people the run does not know have ``source = population``.

        Raises:
            ConditionError: An id in the list is unknown to the run.
            ConfigError: Intervals by a method that has none.
            DataError: There is no text, a text is empty, single texts stand where the run reads
                pairs (or the other way round), or a label is not one of the run's.
        """
        question = self._question(texts, annotators)
        added = self._intervals() if intervals else None
        answers = Answers(self.fitted, question, seed=self.record.seed, intervals=added)
        return pd.concat(list(answers), ignore_index=True)

    def predict_to(
        self,
        output: str | PathLike[str] | None,
        texts: Texts,
        annotators: str | Sequence[str] = ALL,
        *,
        aggregate: str | PathLike[str] | None = None,
        resume: bool = False,
        progress: Callable[[int, int], None] | None = None,
        intervals: bool = False,
    ) -> Question:
        """What annotators would say of texts, written to a file in bounded memory.

        Rows stand in the order of the texts, of a text in that of the annotators (``"all"``: of
        the vocabulary). What is finished is kept in a hidden folder beside the file until all is.

        Args:
            output: File of the PREDICTIONS: .parquet, .csv or .jsonl; `None` for none.
            texts: As for `predict`.
            annotators: As for `predict`.
            aggregate: File of one row per text, see `hyperadapters.tables.aggregates`.
            resume: Go on with the same job, where it was stopped.
            progress: Is told how many rows are done, and of how many.
            intervals: As for `predict`.

        Returns:
            What was asked; its length is the number of rows.

        Raises:
            ConditionError: An id in the list is unknown to the run.
            ConfigError: No file is named, or one twice; intervals by a method that has none.
            DataError: There is no text, a text is empty, a label is not one of the run's, a
                pair of text and annotator occurs twice, or different texts have one id.
            RunError: A file is there already or cannot be written, or the job cannot be resumed.
        """
        targets_of(output, aggregate)
        question = self._question(texts, annotators)
        count = _Counter(len(question), progress)
        added, asked = (self._intervals(), {"intervals": "yes"}) if intervals else (None, {})
        answers = Answers(
            self.fitted, question, seed=self.record.seed, tick=count.add, intervals=added
        )
        write_answers(
            *(answers, self.labels),
            output=output,
            aggregate=aggregate,
            made_of={"run": self._fingerprint(), **_fingerprints(question), **asked},
            resume=resume,
            done=count.skip,
        )
        return question

    def export(
        self,
        annotators: str | Sequence[str],
        output: str | PathLike[str],
        *,
        include_head: bool = True,
        resume: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Path]:
        """Adapters of people as ordinary PEFT LoRA folders, see `hyperadapters.export_lora`.

        What a person changes in the head is written into the head that goes along.

        Args:
            annotators: An id or ``"population"``, whose adapter becomes `output` itself; a list of
                ids or ``"all"``: one sub-folder for each, named by the id.
            output: The folder.
            include_head: Whether to write the classification head too.
            resume: Leave folders alone that hold an adapter already.
            progress: Is told how many folders are done, and how many there are.

        Returns:
            The folders.

        Raises:
            ConditionError: An id is unknown to the run.
            ConfigError: The method has no LoRA of these people, or none that would be equal to
                what it does.
            RunError: The output exists.
        """
        return export_people(
            *(self, annotators, Path(output)),
            include_head=include_head,
            resume=resume,
            progress=progress,
        )

    def adapt(
        self,
        ratings: pd.DataFrame,
        output: str | PathLike[str] | None = None,
        *,
        known: str = "error",
        amortised: bool = False,
        steps: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "Run":
        """Learn annotators whom the run has never seen from their few labels.

        Nothing but the vectors of these people is learned, of each from their own rows alone, and
        nobody else's answers change. People whom the run was adapted to before are learned anew: no
        texts are kept in a run, so pass all their labels again, not only the latest.

        Args:
            ratings: ANNOTATIONS of these people: columns `text, annotator, label`, perhaps
                `text_id`, `text_pair` and attributes.
            output: The new run folder; by default the run's with ``-adapted`` behind its name.
            known: What is done with annotators of the training data: ``"error"`` refuses them,
                ``"skip"`` leaves their rows out, ``"replace"`` learns them anew from these rows.
            amortised: Whether vectors come from the run's set encoder in one pass, for runs that
                were trained with ``amortised=True``.
            steps: Newton steps at most, from the population or where the set encoder ends; by
                default until nothing changes, and none with `amortised`.
            progress: Is told how many people are done, and of how many.

        Returns:
            The new run: this one and the new people, whose answers have ``source = adapted``.

        Raises:
            ConfigError: The method has no vector of an annotator that could be learned, or the run
                no set encoder where one is asked for.
            DataError: The ratings cannot be used, or the run was trained on somebody in them.
            RunError: The output exists or cannot be written.
        """
        from hyperadapters.experiments.adapt import adapt_run

        how = {"amortised": amortised, "steps": steps}
        return adapt_run(self, ratings, output, known=known, progress=progress, **how)

    def _intervals(self) -> "Intervals":
        from hyperadapters.experiments.adapt import intervals_of

        return intervals_of(self)

    def forget(
        self, annotators: str | Sequence[str], output: str | PathLike[str] | None = None
    ) -> "Run":
        """The run without some people: without their parameters, attributes, predictions, ids.

        What the shared parameters learned from their ratings stays; see ``docs/people.md``.

        Args:
            annotators: An id, or several.
            output: Folder of the new run; `None` puts it in the place of this one, whose files
                are gone then, and this object must not be used any more.

        Raises:
            ConditionError: An id is unknown to the run.
            RunError: The output exists, nobody would be left, or an id is still found in a file
                of the new folder.
        """
        fresh = Run.open(self.folder.path)
        return Run.open(forget_people(fresh, annotators, None if output is None else Path(output)))

    def _question(self, texts: Texts, annotators: str | Sequence[str]) -> Question:
        table = with_text_ids(as_table(texts, pairs=self.reads_pairs))
        return Question(table, annotators, self.vocabulary, self.labels)

    def _fingerprint(self) -> str:
        """Of everything that the answers of the run depend on."""
        folder, found = self.folder, hashlib.sha256(versions()["hyperadapters"].encode())
        names = ("adapter_model.safetensors", BACKBONE_FILE)
        weights = (*(folder.path / name for name in names), folder.counts)
        about = (folder.record, folder.labels, folder.vocabulary, folder.people, folder.prior)
        for file in (*about, folder.posterior, *weights):
            if file.is_file():
                found.update(hashlib.sha256(file.read_bytes()).digest())
        return found.hexdigest()

    def _load(self) -> Fitted:
        method = find_method(self.record.method)
        try:
            if method.kind == "counting":
                return mode_from_dict(read_json(self.folder.counts))
            classifier = AnnotatorClassifier.load(
                self.folder.path,
                method,
                Settings(**{**Settings.EARLIER, **self.record.settings}),
                self.record.backbone,
                self.labels,
                self.vocabulary,
                self.people,
            )
            classifier.adapted[self.vocabulary.indices(self.adapted)] = True
            return classifier
        except _DAMAGE as error:
            if isinstance(error, ConfigError):
                raise
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise RunError(f"{self.folder.path} cannot be loaded: {first}") from error


def load(path: str | PathLike[str]) -> Run:
    """Open a finished run folder; the model is loaded when it is first needed.

    Raises:
        RunError: It is not a run folder, or the run was never finished.
    """
    return Run.open(path)


class _Counter:
    """Rows that are done, and those that were done before."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def add(self, n_rows: int) -> None:
        """Some more rows are done."""
        self.skip(n_rows)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def skip(self, n_rows: int) -> None:
        """Some rows were done before; nothing is told of them yet."""
        self._done += n_rows


def _fingerprints(question: Question) -> dict[str, str]:
    given = question.table.to_csv(index=False)
    asked = "" if question.names is None else "\x1f".join(question.names)
    digests = (hashlib.sha256(t.encode(errors="surrogatepass")).hexdigest() for t in (given, asked))
    return dict(zip(("input", "choice of annotators"), digests, strict=True))
