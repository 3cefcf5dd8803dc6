"""`--families-table PATH`: which identity holds for which family, from the tests that ran.

A test says by `@pytest.mark.identity(column)` what it shows, and by a parameter with an attribute
`family` for whom. With pytest-xdist the workers send their reports, and the controller writes.
"""

import json
import platform
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

COLUMNS = (
    "batched = single",
    "zero start",
    "saved = loaded",
    "exported = adapter",
    "checkpointing",
    "generation",
    "removed",
)
NOT_RUN = "not run"
PROPERTY = "families table"


@dataclass
class Record:
    """What one phase of one test says of a family."""

    family: str
    column: str
    outcome: str  # "passed", "failed" or the reason why it was skipped
    order: int = 0  # where the family stands among the collected tests
    not_applicable: Mapping[str, str] = field(default_factory=dict)


def aggregate(records: Iterable[Record]) -> dict[str, dict[str, str]]:
    """Family → column → cell; no cell is empty."""
    outcomes: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    reasons: dict[tuple[str, str], str] = {}
    order: dict[str, int] = {}
    for record in records:
        outcomes[record.family, record.column].append(record.outcome)
        order[record.family] = record.order
        for column, reason in record.not_applicable.items():
            reasons[record.family, column] = reason
    return {
        family: {
            column: _cell(outcomes[family, column], reasons.get((family, column), NOT_RUN))
            for column in COLUMNS
        }
        for family in sorted(order, key=lambda name: (order[name], name))
    }


def _cell(outcomes: list[str], otherwise: str) -> str:
    if not outcomes:
        return otherwise
    if "failed" in outcomes:
        return "FAILED"
    skipped = "; ".join(dict.fromkeys(reason for reason in outcomes if reason != "passed"))
    if "passed" not in outcomes:
        return skipped
    return f"yes ({skipped})" if skipped else "yes"


def render(table: Mapping[str, Mapping[str, str]], command: str, versions: str) -> str:
    """The table as Markdown, under the command and the versions that made it."""
    lines = [
        "# Families of models",
        "",
        f"Made by `{command}`",
        f"with {versions}.",
        "",
        "| family | " + " | ".join(COLUMNS) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    for family, cells in table.items():
        lines.append(f"| {family} | " + " | ".join(cells[column] for column in COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--families-table", metavar="PATH", help="write the families' table there")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "identity(column): a column of the families' table")
    path = config.getoption("--families-table")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer(config, Path(path)), "families-table-writer")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order: dict[str, int] = {}
    for item in items:
        marker = item.get_closest_marker("identity")
        if marker is None:
            continue
        column = marker.args[0]
        if column not in COLUMNS:
            raise pytest.UsageError(f"{item.nodeid}: no column {column!r} in the families' table")
        parameters: dict[str, Any] = getattr(item, "callspec").params  # noqa: B009
        case = next(value for value in parameters.values() if hasattr(value, "family"))
        facts = {
            "family": case.family,
            "column": column,
            "order": order.setdefault(case.family, len(order)),
            "not_applicable": dict(case.not_applicable),
        }
        # Text, for that is what every plugin that looks at reports can carry.
        item.user_properties.append((PROPERTY, json.dumps(facts)))


class _Writer:
    def __init__(self, config: pytest.Config, path: Path) -> None:
        self.command = shlex.join(["python", "-m", "pytest", *config.invocation_params.args])
        self.path = path
        self.records: list[Record] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts = dict(report.user_properties).get(PROPERTY)
        if facts is not None and (report.when == "call" or not report.passed):
            outcome = _reason(report) if report.skipped else report.outcome
            self.records.append(Record(outcome=outcome, **json.loads(str(facts))))

    def pytest_sessionfinish(self) -> None:
        if not self.records:
            return
        names = ("torch", "transformers", "peft")
        versions = [f"{name} {version(name)}" for name in names]
        versions.append(f"Python {platform.python_version()}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = render(aggregate(self.records), self.command, ", ".join(versions))
        self.path.write_text(text, encoding="utf-8")


def _reason(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
