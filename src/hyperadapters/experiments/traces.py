"""Whether a run folder still names somebody."""

import json
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from hyperadapters.errors import RunError

_OUR_COLUMNS = ("text_id", "label", "predicted", "split", "method", "source")
"""Columns of PREDICTIONS that say nothing of who is asked."""


def check_forgotten(folder: Path, names: Collection[str], ordinary: Collection[str]) -> None:
    """Search every file of a folder for ids: whole strings of JSON, cells, words in quotes.

    Args:
        folder: The folder.
        names: The ids.
        ordinary: Strings that may stand anywhere although they are ids too, such as labels. They
            are not looked past where ids stand (vocabulary, people, counts, predictions).

    Raises:
        RunError: An id is there still; names the files, and not the id.
    """
    wanted = set(names)
    found = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and _names_one(path, wanted, set(ordinary))
    )
    if found:
        raise RunError(f"somebody who was to be forgotten is still named in {', '.join(found)}")


def _names_one(path: Path, wanted: set[str], ordinary: set[str]) -> bool:
    if path.name in _PLACES:
        return bool(wanted & {str(name) for name in _PLACES[path.name](_json(path))})
    if path.suffix == ".parquet":
        return bool(wanted & set(_cells(path)))
    try:
        found = set(_strings_of(path, wanted))
    except (ValueError, struct.error):  # it is not what its ending says
        found = set(_in_quotes_or_cells(path, wanted))
    return bool((wanted - ordinary) & found)


def _strings_of(path: Path, wanted: set[str]) -> Iterator[str]:
    if path.suffix == ".json":
        yield from _strings(_json(path))
    elif path.suffix == ".jsonl":
        for line in path.read_text(encoding="utf-8").splitlines():
            yield from _strings(json.loads(line))
    elif path.suffix == ".safetensors":
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            yield from _strings(json.loads(file.read(length)))
    else:
        yield from _in_quotes_or_cells(path, wanted)


def _in_quotes_or_cells(path: Path, wanted: set[str]) -> Iterator[str]:
    content = b"\n" + path.read_bytes() + b"\n"
    for name in wanted:
        quoted = [f"{mark}{name}{mark}" for mark in "\"'`"]
        cells = [f"{a}{name}{b}" for a in ",\t\n" for b in (",", "\t", "\n", "\r")]
        if any(text.encode() in content for text in (*quoted, *cells)):
            yield name


def _strings(data: Any) -> Iterator[str]:
    """All strings of a JSON value, keys included."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield key
            yield from _strings(value)
    elif isinstance(data, list):
        for value in data:
            yield from _strings(value)


def _cells(path: Path) -> Iterator[str]:
    table = pd.read_parquet(path)
    for name in table.columns.difference(list(_OUR_COLUMNS)):
        if not pd.api.types.is_numeric_dtype(table[name]):
            yield from table[name].dropna().astype(str).unique()


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


_PLACES = {
    "vocabulary.json": lambda data: data["names"],
    "people.json": lambda data: data["values"],
    "counts.json": lambda data: [*data.get("annotators", []), *_people_counted(data)],
    "labels.json": lambda data: [],
}
"""Files of which it is known where ids stand in them."""


def _people_counted(data: dict[str, Any]) -> list[str]:
    return list(data["counts"]) if isinstance(data["counts"], dict) else []
