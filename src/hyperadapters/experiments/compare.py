"""Methods × seeds on the same ratings and splits: a run for each, one table for all."""

import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from hyperadapters.data import SplitBy
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.experiments.comparison import Table, tabulate
from hyperadapters.experiments.comparison_page import html, markdown
from hyperadapters.experiments.fit import Plan, fit_plan, is_finished, not_told
from hyperadapters.experiments.folder import read_json, refuse_existing, write_json
from hyperadapters.experiments.grid import ERROR, CompareFolder, cell_name, check_grid, kept_cells
from hyperadapters.experiments.record import versions
from hyperadapters.experiments.run import Run
from hyperadapters.methods import Settings, find_method
from hyperadapters.tables import write_scores
from hyperadapters.training import Progress


@dataclass(frozen=True)
class MethodComparison:
    """What a comparison of methods found.

    Attributes:
        folder: Where it lies.
        scores: SCORES of all cells.
        differences: Paired differences from each metric's best method, see `paired_differences`.
        table: Mean and spread over seeds of every method, and what is best.
        people: Whom each method helps and hurts against `text-only` and `intercept`, see
            `helped_and_hurt`.
        failed: Cell → why there is no score of it.
    """

    folder: CompareFolder
    scores: pd.DataFrame
    differences: pd.DataFrame
    table: Table
    people: pd.DataFrame
    failed: Mapping[str, str] = field(default_factory=dict)


def compare(
    ratings: pd.DataFrame,
    methods: Sequence[str],
    seeds: Sequence[int],
    output: str | PathLike[str],
    *,
    backbone: str = "minilm",
    jobs: int = 1,
    resume: bool = False,
    allow_leaks: bool = False,
    split: SplitBy | None = None,
    command: str = "",
    redo: Callable[[str, int], str] | None = None,
    progress: Progress | None = None,
    settings_of: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> MethodComparison:
    """Train every method with every seed on the same splits, and put the scores side by side.

    Cells that are finished are kept and those that were stopped go on where they were, so that the
    same call with ``resume=True`` never repeats work; methods and seeds may be added then. Those
    that are not named again stay in scores and tables where they are finished and have the same
    ratings, backbone and settings. A cell that fails does not stop the others: they are run and
    written to the table first.

    Args:
        ratings: ANNOTATIONS, see `fit`.
        methods: Names of methods.
        seeds: Seeds.
        output: The folder, which must not exist yet: run folders ``<method>/seed-<n>``,
            `scores.json` (SCORES of all), `differences.json`, `helped_and_hurt.json`, `table.md`,
            `table.html`, `compare.json`.
        backbone: See `fit`.
        jobs: Processes that run cells at the same time; they share the processor's cores.
        resume: Go on with a comparison that was stopped.
        allow_leaks: Go on although a text stands in more than one split.
        split: How rows are divided, see `fit`.
        command: The command to show below the table.
        redo: Method and seed → the command that makes this cell alone.
        progress: Who watches; with several processes it hears when cells begin and end.
        settings_of: Method → fields of `Settings` for it alone, over those for all.
        **settings: Fields of `Settings`, for all methods alike; `attributes` for those that are
            told any.

    Raises:
        ConfigError: Unknown methods, backbone or settings, or none at all; attributes though none
            of the methods is told any.
        DataError: The ratings cannot be used.
        RunError: The output exists or is of another comparison; or cells failed (names each with
            its reason, after the others are done).
    """
    check_grid(method=methods, seed=seeds)
    if jobs < 1:
        raise ConfigError(f"jobs must be at least 1, got {jobs}")
    own = {name: dict(of) for name, of in (settings_of or {}).items()}
    if missing := sorted(own.keys() - set(methods)):
        raise ConfigError(f"settings of {', '.join(missing)}, which is not among the methods")
    folder = CompareFolder(Path(output))
    before = read_json(folder.record) if resume and folder.record.exists() else {}
    _check_told([*methods, *before.get("methods", ())], settings)

    def planned(method: str, seed: int, of: Mapping[str, Any]) -> Plan:
        changes = {**heard(method, settings), **of}
        how: dict[str, Any] = {"allow_leaks": allow_leaks, "split": split}
        return Plan.of(ratings, method, backbone, seed, changes, **how)

    if not before:
        refuse_existing(folder.path)
    asked = [planned(method, seed, own.get(method, {})) for seed in seeds for method in methods]
    left = [plan for plan in asked if not is_finished(plan, _cell(folder, plan))]
    watching = progress or Progress()
    own = {**before.get("settings_of", {}), **{name: own.get(name, {}) for name in methods}}

    def finished_before(method: str, seed: int) -> Plan | None:
        plan = planned(method, seed, own.get(method, {}))
        return plan if is_finished(plan, _cell(folder, plan)) else None

    names_asked, order = {_name(plan) for plan in asked}, before.get("methods", ())
    kept = list(kept_cells(folder, names_asked, order, finished_before, watching))
    plans = [*asked, *kept]
    names = dict.fromkeys(plan.method.name for plan in plans)
    record = {
        **{"kind": "comparison", "methods": list(names)},
        **{"seeds": list(dict.fromkeys(plan.seed for plan in plans)), "backbone": backbone},
        "settings": dict(settings),
        "settings_of": {name: own[name] for name in names if own.get(name)},
        "data": plans[0].record().data,
        **{"command": command, "versions": versions()},
        "cells": {_name(p): redo(p.method.name, p.seed) if redo else "" for p in asked}
        | {_name(p): before.get("cells", {}).get(_name(p), "") for p in kept},
    }
    folder.path.mkdir(parents=True, exist_ok=True)
    write_json(folder.record, record)
    for plan in plans:
        if plan not in left:
            watching.message(f"{_name(plan)} is finished")
    failed = dict(_run(folder, left, jobs, watching))
    return _collected(folder, plans, record, failed)


def _check_told(methods: Sequence[str], settings: Mapping[str, Any]) -> None:
    """Refuse attributes of which nothing would be told."""
    own = {name: value for name, value in settings.items() if name == "attributes"}
    named = Settings().changed(own).attribute_names
    if named and not any("attributes" in find_method(name).told for name in methods):
        raise not_told(f"none of {', '.join(methods)} is", named)


def heard(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that concern a method: attributes are for those that are told any."""
    told = "attributes" in find_method(method).told
    return {name: value for name, value in settings.items() if told or name != "attributes"}


def _name(plan: Plan) -> str:
    return cell_name(plan.method.name, plan.seed)


def _cell(folder: CompareFolder, plan: Plan) -> Path:
    return folder.cell(plan.method.name, plan.seed)


def _run(
    folder: CompareFolder, plans: Sequence[Plan], jobs: int, progress: Progress
) -> Iterator[tuple[str, str]]:
    """Run cells; gives those that failed, with the reason."""
    if jobs == 1 or len(plans) < 2:
        for number, plan in enumerate(plans, start=1):
            progress.message(f"{_name(plan)} ({number} of {len(plans)})")
            if reason := _run_cell(plan, _cell(folder, plan), progress):
                progress.message(f"{_name(plan)} failed: {reason}")
                yield _name(plan), reason
        return
    # Spawned, not forked: threads of PyTorch do not survive a fork.
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting = {
            pool.submit(_run_apart, plan, _cell(folder, plan), threads): plan for plan in plans
        }
        for number, done in enumerate(as_completed(waiting), start=1):
            plan, reason = waiting[done], done.result()
            told = f"failed: {reason}" if reason else "is finished"
            progress.message(f"{_name(plan)} {told} ({number} of {len(plans)})")
            if reason:
                yield _name(plan), reason


def _run_apart(plan: Plan, output: Path, threads: int) -> str:
    """Run a cell in a process of its own, with its share of the cores."""
    import torch

    torch.set_num_threads(threads)
    return _run_cell(plan, output, Progress())


def _run_cell(plan: Plan, output: Path, progress: Progress) -> str:
    """Run a cell; returns why it failed, or nothing."""
    try:
        fit_plan(plan, output, resume=True, progress=progress)
    except Exception as error:  # out of memory, say: what is done and what comes next is not lost
        output.mkdir(parents=True, exist_ok=True)
        (output / ERROR).write_text(traceback.format_exc(), encoding="utf-8")
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    (output / ERROR).unlink(missing_ok=True)
    return ""


def _collected(
    folder: CompareFolder, plans: Sequence[Plan], record: dict[str, Any], failed: dict[str, str]
) -> MethodComparison:
    """Scores and tables of all cells that are done.

    Raises:
        RunError: Cells failed.
    """
    done = [plan for plan in plans if _name(plan) not in failed]
    runs = [Run.open(_cell(folder, plan)) for plan in done]
    why = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
    write_json(folder.record, {**record, "failed": failed})
    if not runs:
        raise RunError(f"every cell failed: {why}")
    scores = pd.concat([run.scores for run in runs], ignore_index=True)
    write_scores(scores, folder.scores, overwrite=True)
    predictions = pd.concat([run.predictions for run in runs], ignore_index=True)
    table, differences, people = tabulate(scores, predictions, [run.record for run in runs])
    for path, frame in ((folder.differences, differences), (folder.people, people)):
        # JSON has no NaN.
        write_json(path, frame.astype(object).where(frame.notna(), None).to_dict("records"))
    shown = read_json(folder.record)
    folder.table.write_text(markdown(table, shown), encoding="utf-8")
    folder.page.write_text(html(table, shown), encoding="utf-8")
    if failed:
        raise RunError(
            f"{len(failed)} of {len(plans)} cells failed, the others are in {folder.table}: {why}"
        )
    return MethodComparison(folder, scores, differences, table, people, failed)
