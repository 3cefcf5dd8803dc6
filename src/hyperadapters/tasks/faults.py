"""What can be wrong with a task as it was declared, by a program or in a file.

Everything here takes values as they come, of any type, and returns sentences.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hyperadapters.errors import ConfigError
from hyperadapters.tasks import template
from hyperadapters.tasks.cells import label_text
from hyperadapters.tasks.generation import Generation
from hyperadapters.tasks.hub import Hub
from hyperadapters.tasks.metrics import METRICS
from hyperadapters.tasks.names import unknown_names

KINDS = ("classification", "regression", "qa", "text")
SPLIT_RULES = ("official", "half", "thousand")


def check_keys(where: str, given: Mapping[str, Any], kind: type) -> None:
    """Raise `ConfigError` where a mapping has other keys than a dataclass, or lacks one."""
    declared = dataclasses.fields(kind)
    problems = unknown_names("field", given, [f.name for f in declared])
    needed = [
        f.name
        for f in declared
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    problems += [f"field '{name}' is missing" for name in needed if name not in given]
    if problems:
        raise ConfigError(f"{where}: {'; '.join(problems)}")


def task_problems(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with the fields of a task, all of it; fields with defaults may be absent."""
    needed, optional = ("source", "target"), ("prefix", "references")
    found = [f"{name} must be text" for name in needed if not isinstance(values[name], str)]
    wrong = [name for name in optional if not isinstance(values.get(name), str | None)]
    found += [f"{name} must be text" for name in wrong]
    found += unknown_names("kind", [values["kind"]], KINDS)
    found += unknown_names("split_rule", [values.get("split_rule", "official")], SPLIT_RULES)
    found += _metric_problems(values["metrics"])
    found += _label_problems(values["kind"], values.get("labels"))
    if not isinstance(values.get("generation", Generation()), Generation):
        found.append("generation must be a table of fields")
    if not isinstance(values.get("hub"), Hub | None):
        found.append("hub must be a table of fields")
    return found or _template_problems(values["source"], values["target"], values["kind"])


def _template_problems(source: str, target: str, kind: str) -> list[str]:
    try:
        named = template.fields(source)
        ends = [name for _, name in template.pieces(source)]
    except ConfigError as error:
        return [str(error)]
    if not named:
        return [f"the source {source!r} names no column, as {{text}}"]
    if not target:
        return ["target must name a column"]
    if kind != "qa":
        return []
    if ends[-1] != "context" or ends.count("context") > 1 or ends.count("question") != 1:
        return [
            f"the source {source!r} of a question must name {{question}} once and end with"
            " {context}, the part that is read in windows"
        ]
    return []


def _metric_problems(metrics: Any) -> list[str]:
    if not isinstance(metrics, tuple | list) or not metrics:
        return [f"metrics must be a list of names, got {metrics!r}"]
    found = unknown_names("metric", metrics, METRICS)
    twice = [name for name in dict.fromkeys(map(str, metrics)) if list(metrics).count(name) > 1]
    return found + [f"metric '{name}' is named twice" for name in twice]


def _label_problems(kind: Any, labels: Any) -> list[str]:
    if kind != "classification":
        return [] if labels is None else [f"labels are for a classification, not for {kind}"]
    if not isinstance(labels, Mapping) or not labels:
        return ["a classification needs labels: a table of cell and label word"]
    wrong = [word for word in labels.values() if not isinstance(word, str) or not word.strip()]
    if wrong:
        return [f"label words must be texts that are not empty, got {wrong[0]!r}"]
    if any(label_text(cell) is None for cell in labels):
        return ["a label has an empty cell"]
    cells = [label_text(cell) for cell in labels]
    if len(set(cells)) < len(cells):
        return [f"two labels are of the same cell: {', '.join(map(str, labels))}"]
    if len({word.strip() for word in labels.values()}) < 2:
        return ["a classification needs two different label words"]
    return []
