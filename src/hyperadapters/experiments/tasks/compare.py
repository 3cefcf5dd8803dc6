"""Recipes × seeds on one mixture: a run for each, one table for all."""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from hyperadapters.backbones import BUILT_IN_SEQ2SEQ
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.experiments.folder import read_json, refuse_existing, write_json
from hyperadapters.experiments.grid import ERROR, CompareFolder, cell_name, check_grid, kept_cells
from hyperadapters.experiments.record import versions
from hyperadapters.experiments.tasks.data import MixtureData
from hyperadapters.experiments.tasks.fit import Plan, fit_data
from hyperadapters.experiments.tasks.folder import TaskFolder
from hyperadapters.experiments.tasks.record import TaskRecord
from hyperadapters.experiments.tasks.run import TaskRun
from hyperadapters.experiments.tasks.summary import Summary, markdown, summarise
from hyperadapters.tables import write_scores
from hyperadapters.tasks import Mixture
from hyperadapters.training import Progress


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        folder: Where it lies.
        scores: SCORES of all cells.
        summary: Mean and spread over seeds of every recipe.
        failed: Cell → why there is no score of it.
    """

    folder: CompareFolder
    scores: pd.DataFrame
    summary: Summary
    failed: Mapping[str, str] = field(default_factory=dict)


def compare_tasks(
    mixture: Mixture | str | PathLike[str],
    recipes: Sequence[str],
    seeds: Sequence[int],
    output: str | PathLike[str],
    *,
    backbone: str = BUILT_IN_SEQ2SEQ,
    resume: bool = False,
    command: str = "",
    progress: Progress | None = None,
    **settings: Any,
) -> Comparison:
    """Train every recipe with every seed on the same splits, and put the scores side by side.

    Cells that are finished are kept and those that were stopped go on where they were, so that the
    same call with ``resume=True`` never repeats work; recipes and seeds may be added then. Those
    that are not named again stay in scores and table where they are finished and have the same
    mixture, backbone and settings. A cell that fails does not stop the others: they are run and
    written to the table first.

    Args:
        mixture: The mixture, or its YAML file.
        recipes: Names of recipes.
        seeds: Seeds.
        output: The folder, which must not exist yet: run folders ``<recipe>/seed-<n>``,
            `scores.json` (SCORES of all), `table.md`, `compare.json`.
        backbone: See `fit_tasks`.
        resume: Go on with a comparison that was stopped.
        command: The command to show below the table.
        progress: Who watches.
        **settings: Fields of `TaskSettings`, for all recipes alike.

    Raises:
        ConfigError: Unknown recipes, backbone or settings, or none at all.
        DataError: The data cannot be used.
        RunError: The output exists or is of another comparison; or cells failed (names each with
            its reason, after the others are done).
    """
    plans = _grid(recipes, seeds, backbone, settings)
    folder = CompareFolder(Path(output))
    if not (resume and folder.record.exists()):
        refuse_existing(folder.path)
    data = MixtureData.read(mixture)
    finished = [plan for plan in plans if _is_finished(folder, plan, data)]
    watching = progress or Progress()

    def finished_before(recipe: str, seed: int) -> Plan | None:
        plan = Plan.of(recipe, backbone, seed, settings)
        return plan if _is_finished(folder, plan, data) else None

    before = read_json(folder.record) if folder.record.exists() else {}
    asked = {_cell_name(plan) for plan in plans}
    kept = list(kept_cells(folder, asked, before.get("recipes", ()), finished_before, watching))
    finished, plans = [*finished, *kept], [*plans, *kept]
    record = {
        **{"kind": "comparison", "recipes": list(dict.fromkeys(p.recipe for p in plans))},
        **{"seeds": list(dict.fromkeys(p.seed for p in plans)), "backbone": backbone},
        **{"settings": dict(settings), "mixture": data.mixture.name},
        **{"command": command, "versions": versions()},
    }
    failed: dict[str, str] = {}
    for number, plan in enumerate(plans, start=1):
        name = f"{_cell_name(plan)} ({number} of {len(plans)})"
        if plan in finished:
            watching.message(f"{name} is finished")
            continue
        watching.message(name)
        if reason := _run_cell(folder, plan, data, {**record, "failed": failed}, watching):
            failed[_cell_name(plan)] = reason
            watching.message(f"{name} failed: {reason}")
    return _collected(folder, plans, record, failed)


def _grid(
    recipes: Sequence[str], seeds: Sequence[int], backbone: str, changes: dict[str, Any]
) -> list[Plan]:
    """All cells, seed by seed, so that every recipe has a score early."""
    check_grid(recipe=recipes, seed=seeds)
    return [Plan.of(recipe, backbone, seed, changes) for seed in seeds for recipe in recipes]


def _cell_name(plan: Plan) -> str:
    return cell_name(plan.recipe, plan.seed)


def _cell(folder: CompareFolder, plan: Plan) -> TaskFolder:
    """The run folder of a cell."""
    return TaskFolder(folder.cell(plan.recipe, plan.seed))


def _is_finished(folder: CompareFolder, plan: Plan, data: MixtureData) -> bool:
    """Whether a cell is complete.

    Raises:
        RunError: There is a run of something else, or a finished one without its scores.
    """
    cell = _cell(folder, plan)
    if not cell.record.exists():
        return False
    before = TaskRecord.from_dict(read_json(cell.record), str(cell.record))
    if changed := plan.record(data).differences(before):
        raise RunError(f"{cell.path} was run with another {', '.join(changed)}")
    if before.complete and not cell.scores.exists():
        raise RunError(
            f"{cell.path} is complete but has no {cell.scores.name}; remove the folder, and "
            "--resume makes it again"
        )
    return before.complete


def _run_cell(
    folder: CompareFolder,
    plan: Plan,
    data: MixtureData,
    record: dict[str, Any],
    progress: Progress,
) -> str:
    """Run a cell; returns why it failed, or nothing.

    Raises:
        ConfigError: It cannot even begin, and neither has any other: then nothing is written.
    """
    cell = _cell(folder, plan)

    def begins() -> None:
        folder.path.mkdir(parents=True, exist_ok=True)
        write_json(folder.record, record)

    try:
        fit_data(data, plan, cell.path, resume=True, progress=progress, begins=begins)
    except Exception as error:  # out of memory, say: what is done and what comes next is not lost
        if isinstance(error, ConfigError) and not folder.path.exists():
            raise ConfigError(f"{plan.recipe}: {error}") from error
        if cell.path.is_dir():
            (cell.path / ERROR).write_text(traceback.format_exc(), encoding="utf-8")
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    (cell.path / ERROR).unlink(missing_ok=True)
    return ""


def _collected(
    folder: CompareFolder, plans: Sequence[Plan], record: dict[str, Any], failed: dict[str, str]
) -> Comparison:
    """Scores and table of all cells that are done.

    Raises:
        RunError: Cells failed.
    """
    runs = [TaskRun.open(_cell(folder, p).path) for p in plans if _cell_name(p) not in failed]
    why = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
    if not runs:
        raise RunError(f"every cell failed: {why}")
    write_json(folder.record, {**record, "failed": failed})
    scores = pd.concat([run.scores for run in runs], ignore_index=True)
    write_scores(scores, folder.scores, overwrite=True)
    summary = summarise(scores, [run.record for run in runs], runs[0].known)
    folder.table.write_text(markdown(summary, record, failed), encoding="utf-8")
    if failed:
        raise RunError(
            f"{len(failed)} of {len(plans)} cells failed, the others are in {folder.table}: {why}"
        )
    return Comparison(folder, scores, summary, failed)
