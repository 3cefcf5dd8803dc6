"""How it was made: command, settings, versions."""

from collections.abc import Mapping
from typing import Any

from hyperadapters.reports.folders import Folder
from hyperadapters.reports.markup import Markup, code, element, items, joined, table
from hyperadapters.reports.picture import Section
from hyperadapters.reports.source import Source


def made_by(source: Source) -> Section:
    """Command, settings and versions of the runs."""
    return made_by_folder(source.folder, source.run.record)


def made_by_folder(folder: Folder, record: Mapping[str, Any]) -> Section:
    """Command, settings and versions.

    Args:
        folder: Where the runs lie.
        record: What `run.json` of the run says whose settings are shown.
    """
    lines: list[object] = []
    if folder.comparison.get("command"):
        lines.append(joined(["Command: ", code(folder.comparison["command"])]))
    elif folder.is_run:
        lines.append("The run does not hold its command; its settings are below.")
    lines.append(f"Backbone: {record.get('backbone', 'none')}")
    versions = ", ".join(f"{name} {v}" for name, v in record.get("versions", {}).items())
    lines.append(f"Versions: {versions}")
    kinds = {str(run.record.get("versions")) for run in folder.runs}
    if len(kinds) > 1:
        lines.append("Not all runs were made with these versions.")
    parts: list[Markup] = [items(lines)]
    settings = [(name, str(value)) for name, value in record.get("settings", {}).items()]
    if settings:
        name = record.get("method", record.get("recipe", ""))
        shown = table(f"Settings of {name}, seed {record['seed']}", ["setting", "value"], settings)
        parts.append(element("details", element("summary", "Every setting"), shown))
    commands = {name: c for name, c in folder.comparison.get("cells", {}).items() if c}
    if commands:
        each = element("pre", "\n".join(commands.values()), tabindex="0")
        parts.append(element("details", element("summary", "Each run by itself"), each))
    return Section("made-by", "How it was made", parts)
