"""What was measured, as JSON and as Markdown."""

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

import torch
from benchmarks.speed.bars import BARS
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting

VERSIONS = ("torch", "transformers", "peft", "hyperadapters")
COMMANDS = {
    "cpu": "python -m benchmarks.speed",
    "cuda": "python -m benchmarks.speed --device cuda",
}
Record = dict[str, Any]


def empty(device: str) -> Record:
    """A record without a case."""
    return {"device": device, "cases": {}}


def read(path: Path, device: str) -> Record:
    """The record of a file, or an empty one."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else empty(device)


def write(record: Record, results: Path, markdown: Path) -> None:
    """Write both files."""
    for path, text in ((results, json.dumps(record, indent=1) + "\n"), (markdown, table(record))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def add(record: Record, case: str, rows: list[Row], setting: Setting) -> None:
    """Put the rows of a case in the place of earlier ones, with where they were measured."""
    record["cases"][case] = {
        "rows": [row.to_dict() for row in rows],
        "hardware": ", ".join(filter(None, (hardware(setting.device), setting.beside))),
        "threads": setting.threads,
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
    }


def hardware(device: str) -> str:
    """The processor, and the GPU where it is used."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} threads"
    return f"{torch.cuda.get_device_name()}; {processor}" if device == "cuda" else processor


def table(record: Record, note: str = "") -> str:
    """The record as Markdown.

    Args:
        record: What was measured.
        note: A sentence above the table.
    """
    bars = BARS[record["device"]]
    lines = [
        "# Speed on a GPU" if record["device"] == "cuda" else "# Speed",
        "",
        f"Made by `{COMMANDS[record['device']]}`. Both sides of a ratio are measured one after the "
        "other in one process (memory: each in a fresh one), pair by pair; what stands above and "
        "below the line is the median of each side.",
        *([note] if note else []),
        "",
        "| ratio | median | min | max | pairs | bar | holds | above | below |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    shapes: list[str] = []
    for case in record["cases"].values():
        for row in case["rows"]:
            if row["shapes"] not in shapes:
                shapes.append(row["shapes"])
            lines.append(_line(row, bars, shapes.index(row["shapes"]) + 1))
    lines += ["", *(f"{number}. {text}" for number, text in enumerate(shapes, start=1)), ""]
    lines += _circumstances(record)
    return "\n".join(lines).rstrip() + "\n"


def _line(row: dict[str, Any], bars: dict[str, Any], number: int) -> str:
    bar = bars.get(row["name"])
    holds = "" if bar is None else ("yes" if bar.holds(row["median"]) else "**no**")
    ratios = " | ".join(f"{row[name]:.2f}" for name in ("median", "min", "max"))
    sides = " | ".join(f"{row[side]:.4g} {row['unit']}" for side in ("first", "second"))
    n_pairs = len(row["measured"]["first"])
    what = f"{row['ratio']} ({number})"
    return f"| {what} | {ratios} | {n_pairs} | {bar or ''} | {holds} | {sides} |"


def _circumstances(record: Record) -> list[str]:
    """Where the cases were measured; most often all of them at one place."""
    places: dict[str, list[str]] = {}
    for name, case in record["cases"].items():
        versions = ", ".join(f"{name} {version}" for name, version in case["versions"].items())
        places.setdefault(f"{case['hardware']}; {versions}.", []).append(name)
    if len(places) == 1:
        return [f"Measured on {place}" for place in places]
    return [f"{', '.join(names)}: measured on {place}" for place, names in places.items()]
