"""A finished run on tasks, opened again."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from accelerate import Accelerator
from safetensors import SafetensorError

from hyperadapters.backbones.load import quietly
from hyperadapters.data.tasks import read_task_file
from hyperadapters.errors import ConditionError, ConfigError, DataError, RunError
from hyperadapters.evaluation.tasks import evaluate_tasks
from hyperadapters.experiments.folder import read_json
from hyperadapters.experiments.tasks.answers import answered, tokens_of, truncation_lines
from hyperadapters.experiments.tasks.folder import TaskFolder
from hyperadapters.experiments.tasks.known import KnownTasks
from hyperadapters.experiments.tasks.record import TaskRecord
from hyperadapters.methods.recipes import TaskModel, TaskSettings, find_recipe
from hyperadapters.tables import read_scores
from hyperadapters.tables.frames import column_of, rows_of
from hyperadapters.tables.task_predictions import read_task_predictions
from hyperadapters.tasks import Task
from hyperadapters.training import Progress

_DAMAGE = (
    *(OSError, SafetensorError, ValueError, RuntimeError),
    *(AttributeError, KeyError, TypeError),
)
"""What reading a file of another content than expected ends in."""


class TaskRun:
    """A model trained on a mixture of tasks, with its folder.

    Args:
        folder: Where it lies.
        record: What `run.json` says.
        known: Its tasks.
        task_model: The model, if it is at hand; otherwise it is loaded when first needed.
    """

    def __init__(
        self,
        folder: TaskFolder,
        record: TaskRecord,
        known: KnownTasks,
        task_model: TaskModel | None = None,
    ) -> None:
        self.folder = folder
        self.record = record
        self.known = known
        self._task_model = task_model

    @classmethod
    def open(cls, path: str | PathLike[str], task_model: TaskModel | None = None) -> "TaskRun":
        """Open a run folder.

        Raises:
            RunError: It is not the folder of a run on tasks, or the run was never finished.
        """
        folder = TaskFolder(Path(path))
        record = TaskRecord.from_dict(read_json(folder.record), str(folder.record))
        if not record.complete:
            raise RunError(f"{folder.path} was not finished; train again with --resume")
        data = read_json(folder.tasks)
        try:
            known = KnownTasks.from_dict(data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{folder.tasks} is damaged: {_first_line(error)}") from error
        if list(known.order) != record.tasks:
            raise RunError(f"{folder.path} is damaged: run.json and tasks.json disagree on tasks")
        return cls(folder, record, known, task_model)

    @property
    def task_model(self) -> TaskModel:
        """The model.

        Raises:
            RunError: Its files are missing or damaged.
        """
        if self._task_model is None:
            self._task_model = self._load()
        return self._task_model

    @property
    def scores(self) -> pd.DataFrame:
        """SCORES of the dev and test splits."""
        return read_scores(self.folder.scores)

    @property
    def predictions(self) -> pd.DataFrame:
        """TASK PREDICTIONS of the dev and test splits."""
        return read_task_predictions(self.folder.predictions)

    def predict(
        self,
        task: str,
        rows: pd.DataFrame | str | PathLike[str],
        *,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """What the model answers.

        Args:
            task: Name of one of the run's tasks.
            rows: A table or file (CSV, TSV, JSON lines, Parquet) with the columns that the task's
                template names; answers need not be known.
            progress: Who watches.

        Returns:
            TASK PREDICTIONS, one row for every row in their order.

        Raises:
            ConditionError: The run does not know the task.
            DataError: The rows cannot be used; names file, rows and columns.
        """
        found = self.known.find(task)
        columns = self.known.columns.get(task)
        if isinstance(rows, pd.DataFrame):
            examples = _read_frame(found, rows, columns)
        else:
            examples = read_task_file(found, rows, need_target=False, columns=columns)
        model, known = self.task_model, self.known
        tokens = tokens_of(model, examples, known, with_targets=False)
        for line in truncation_lines(tokens, examples, model.settings):
            (progress or Progress()).message(line)
        seed = self.record.seed
        return answered(model, examples, known, seed=seed, tokens=tokens, progress=progress)

    def score(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """SCORES of answers of which the right ones are known; of other rows nothing is said.

        Args:
            predictions: TASK PREDICTIONS of the run's tasks, such as `predict` makes.

        Raises:
            DataError: Of no row the right answer is known, or the table cannot be used.
        """
        rows = rows_of(predictions, column_of(predictions, "label").notna())
        if not len(rows):
            raise DataError("predictions", ["the right answer is known of no row"])
        only = self.known.evaluation_only
        return evaluate_tasks(rows, self.known.tasks, evaluation_only=only)

    def _load(self) -> TaskModel:
        record = self.record
        find_recipe(record.recipe)
        try:
            with quietly():
                model = TaskModel.load(
                    self.folder.path,
                    record.recipe,
                    TaskSettings().changed(record.settings),
                    record.backbone,
                    self.known.order,
                )
        except _DAMAGE as error:
            if isinstance(error, ConfigError | ConditionError | RunError):
                raise
            raise RunError(f"{self.folder.path} cannot be loaded: {_first_line(error)}") from error
        Accelerator().prepare_model(model.model, evaluation_mode=True)
        return model


def load_tasks(path: str | PathLike[str]) -> TaskRun:
    """Open the folder of a finished run on tasks; the model is loaded when it is first needed.

    Raises:
        RunError: It is not such a folder, or the run was never finished.
    """
    return TaskRun.open(path)


def _read_frame(task: Task, rows: pd.DataFrame, columns: Mapping[str, str] | None) -> pd.DataFrame:
    """A table goes the way of a file, so that both are checked alike."""
    if not len(rows):
        raise DataError("table", ["there are no rows"])
    twice = rows.columns[rows.columns.duplicated()].unique().tolist()
    if twice:
        raise DataError("table", [f"column '{name}' occurs twice" for name in twice])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.jsonl"
        rows.to_json(path, orient="records", lines=True, force_ascii=False, double_precision=15)
        try:
            return read_task_file(task, path, need_target=False, columns=columns)
        except DataError as error:
            raise DataError("table", error.faults, error.hint) from None


def _first_line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return (str(error).strip() or type(error).__name__).splitlines()[0]
