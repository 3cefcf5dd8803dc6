"""Mixtures as users write them: YAML in, a checked `Mixture` out."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyperadapters.errors import ConfigError
from hyperadapters.tasks.catalogue import TASKS, find_task
from hyperadapters.tasks.cells import cell_text
from hyperadapters.tasks.hub import SPLITS
from hyperadapters.tasks.mixture import Mixture, MixturePart, Sampling
from hyperadapters.tasks.names import advice, unknown_names
from hyperadapters.tasks.task import Task
from hyperadapters.tasks.yaml_file import read_yaml

HUB = "hub"
_TOP = ("name", "tasks", "sampling")
_TASK_KEYS = ("kind", "source", "target", "metrics", "labels", "prefix", "references", "split_rule")
_TASK_KEYS += ("generation", "hub")
_PART_KEYS = ("file", "like", "where", "columns", "evaluate_only", *SPLITS)
_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

Entry = dict[str, Any]


def read_mixture(path: str | os.PathLike[str]) -> Mixture:
    """Read a mixture of tasks from a YAML file.

    Paths in it are relative to the file. See the manual for its form; in short::

        tasks:
          cola: cola.parquet                        # a task that is known, and its file
          rte: hub                                  # ... from the hub
          sst2: {file: sst2.csv, train: 2000}       # ... at most 2000 rows to train on
          mine: {file: m.csv, source: "review: {text}", target: stars, labels: {1: bad, 2: good}}
          other: {like: mine, file: o.csv, evaluate_only: true}
        sampling: {temperature: 10}

    Raises:
        ConfigError: The file or something in it cannot be used. Names the file, the task and the
            key, and what was probably meant; all problems of a kind are reported together.
    """
    path = Path(path)
    content = read_yaml(path)
    try:
        return _mixture(content, path)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _mixture(content: Any, path: Path) -> Mixture:
    if content is None:
        raise ConfigError("the file is empty; it needs a table `tasks`")
    if not isinstance(content, dict):
        raise ConfigError("does not hold a table with the key `tasks`")
    _refuse(unknown_names("key", content, _TOP))
    if "tasks" not in content:
        raise ConfigError("the table `tasks` is missing")
    tasks = content["tasks"]
    if not isinstance(tasks, dict) or not tasks:
        raise ConfigError("`tasks` must be a table of task names and what they are read from")
    entries = {_name(key): _entry(key, value) for key, value in tasks.items()}
    if len(entries) < len(tasks):
        raise ConfigError("two tasks have the same name")
    _refuse([p for name, entry in entries.items() for p in _entry_problems(name, entry)])
    parts = _gathered(lambda name: _part(name, entries, path.parent), entries)
    only = [name for name, entry in entries.items() if entry.get("evaluate_only")]
    return Mixture(
        _text("name", content.get("name", path.stem)),
        tuple(part for name, part in parts.items() if name not in only),
        _sampling(content.get("sampling")),
        tuple(parts[name] for name in only),
    )


def _name(key: Any) -> str:
    name = cell_text(key) or ""
    if not name.strip():
        raise ConfigError("a task has an empty name")
    return name


def _entry(key: Any, value: Any) -> Entry:
    """The table of a task; a plain text is its file."""
    if isinstance(value, str):
        return {"file": value}
    if value is None:
        raise ConfigError(f"task {key}: name its file, or `hub`")
    if not isinstance(value, dict):
        raise ConfigError(f"task {key}: must be a file, `hub` or a table, got {value!r}")
    return dict(value)


def _entry_problems(name: str, entry: Entry) -> list[str]:
    problems = unknown_names("key", entry, (*_PART_KEYS, *_TASK_KEYS))
    if not isinstance(entry.get("evaluate_only", False), bool):
        problems.append(f"evaluate_only must be true or false, got {entry['evaluate_only']!r}")
    if not isinstance(entry.get("like", ""), str):
        problems.append(f"like must be the name of a task, got {entry['like']!r}")
    problems += [
        f"{split} must be a whole number of rows, at least 1, got {entry[split]!r}"
        for split in SPLITS
        if split in entry and not _is_count(entry[split])
    ]
    return [f"task {name}: {problem}" for problem in problems]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _part(name: str, entries: Mapping[str, Entry], folder: Path) -> MixturePart:
    entry = entries[name]
    task, conditioned_as = _task(name, entries, ())
    where = _table(name, "where", entry.get("where"))
    columns = _table(name, "columns", entry.get("columns"))
    columns = {str(ours): _text(f"task {name}: columns: {ours}", c) for ours, c in columns.items()}
    _refuse(
        [
            f"task {name}: columns: {problem}"
            for problem in unknown_names("column", columns, _columns_of(task))
        ]
    )
    return MixturePart(
        task,
        _files(name, entry.get("file"), folder, task),
        {split: entry[split] for split in SPLITS if split in entry},
        {str(column): _cells(name, str(column), cells) for column, cells in where.items()},
        columns,
        conditioned_as,
    )


def _task(name: str, entries: Mapping[str, Entry], chain: tuple[str, ...]) -> tuple[Task, str]:
    """The task of an entry, and the name of the one that it is conditioned as."""
    if name in chain:
        raise ConfigError(f"task {name}: is like itself: {' -> '.join((*chain, name))}")
    entry = entries[name]
    fields = {key: entry[key] for key in _TASK_KEYS if key in entry}
    if "labels" in fields:
        fields["labels"] = _labels(name, fields["labels"])
    like = entry.get("like")
    if like is None:
        return _own_task(name, fields), name
    if like in entries and like != name:
        base, conditioned_as = _task(like, entries, (*chain, name))
        # Its rows must look to the model like those that it was trained on.
        base = base.changed(prefix=base.name if base.prefix is None else base.prefix)
    elif like in TASKS:
        base, conditioned_as = find_task(like), name
    elif like == name:
        raise ConfigError(f"task {name}: is like itself")
    else:
        raise ConfigError(f"task {name}: like: unknown task '{like}'; {_near(like, entries)}")
    return base.changed(**fields, name=name), conditioned_as


def _own_task(name: str, fields: Entry) -> Task:
    if name in TASKS:
        return find_task(name).changed(**fields) if fields else TASKS[name]
    needed = [key for key in ("source", "target") if key not in fields]
    if needed:
        near = advice(name, TASKS)
        hint = f"{near} Or " if near.startswith("did") else ""
        raise ConfigError(
            f"unknown task '{name}'; {hint}describe it with `source`, `target`, `labels` and"
            f" `metrics` (missing: {', '.join(needed)}), or say which known one it is `like`"
        )
    kind = fields.get("kind") or ("classification" if "labels" in fields else "text")
    metrics = fields.get("metrics") or _USUAL_METRICS.get(kind)
    return Task.from_dict({**fields, "name": name, "kind": kind, "metrics": metrics})


_USUAL_METRICS = {
    "classification": ["accuracy"],
    "regression": ["pearson", "spearman"],
    "qa": ["exact_match", "token_f1"],
    "text": ["rouge1", "rouge2", "rougeL", "rougeLsum", "length"],
}


def _labels(name: str, given: Any) -> Any:
    """Labels as texts; of a list, every label is its own word."""
    if isinstance(given, list):
        given = {cell: cell for cell in given}
    if not isinstance(given, dict):
        raise ConfigError(f"task {name}: labels must be a table of cell and word, got {given!r}")
    words = {cell_text(cell): cell_text(word) for cell, word in given.items()}
    if None in words or None in words.values():
        raise ConfigError(f"task {name}: labels: a cell or a word is empty")
    if len(words) < len(given):
        raise ConfigError(f"task {name}: labels: two of the cells are the same")
    return words


def _files(name: str, given: Any, folder: Path, task: Task) -> tuple[Path, ...]:
    """The files of a part as they are found from the YAML file; none for the hub."""
    if given is None or given == HUB:
        if task.hub is None:
            raise ConfigError(f"task {name}: is not on the hub; name its `file`")
        return ()
    names = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(file, str) and file.strip() for file in names):
        raise ConfigError(f"task {name}: file must be a file, a list of files or `hub`: {given!r}")
    paths = [folder / file for file in names]
    problems = [f"the file {path} is named twice" for path in set(paths) if paths.count(path) > 1]
    for path in dict.fromkeys(paths):
        if path.suffix.lower() not in _ENDINGS:
            problems.append(f"the ending of {path} is not one of {', '.join(_ENDINGS)} (or `hub`)")
        elif not path.is_file():
            problems.append(f"there is no file {path}{_like_file(path)}")
    _refuse([f"task {name}: {problem}" for problem in problems])
    return tuple(paths)


def _like_file(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    near = advice(path.name, [other.name for other in path.parent.iterdir() if other.is_file()])
    return f"; {near}" if near.startswith("did") else ""


def _sampling(given: Any) -> Sampling:
    if given is None:
        return Sampling()
    if not isinstance(given, dict):
        raise ConfigError("sampling: must be a table of temperature and one_task_per_batch")
    try:
        return Sampling.from_dict(given)
    except ConfigError as error:
        raise ConfigError(f"sampling: {error}") from None


def _columns_of(task: Task) -> tuple[str, ...]:
    """Every column that a task may read."""
    more = ("answers", "answer_starts") if task.kind == "qa" else ()
    references = (task.references,) if task.references else ()
    return tuple(dict.fromkeys((*task.columns, *references, *more, "split", "text_id")))


def _table(name: str, key: str, given: Any) -> dict[Any, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict) or not given:
        raise ConfigError(f"task {name}: {key} must be a table of columns, got {given!r}")
    return given


def _cells(name: str, column: str, given: Any) -> tuple[str, ...]:
    values = given if isinstance(given, list) else [given]
    texts = tuple(dict.fromkeys(cell_text(value) for value in values))
    if not texts or None in texts or any(isinstance(value, dict | list) for value in values):
        raise ConfigError(f"task {name}: where: {column} must be a cell or a list, got {given!r}")
    return tuple(text for text in texts if text is not None)


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: must be a text, got {value!r}")
    return value


def _near(name: str, entries: Mapping[str, Entry]) -> str:
    return advice(name, list(dict.fromkeys((*entries, *TASKS))))


def _gathered(make: Any, names: Mapping[str, Any]) -> dict[str, MixturePart]:
    """What `make` gives for every name; the problems of all are raised together."""
    made: dict[str, MixturePart] = {}
    problems = []
    for name in names:
        try:
            made[name] = make(name)
        except ConfigError as error:
            problems.append(str(error))
    _refuse(problems)
    return made


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ConfigError("; ".join(problems))
