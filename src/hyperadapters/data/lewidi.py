"""JSON files of the Learning With Disagreements shared tasks (LeWiDi).

2023 layout: `"annotations": "0,0,1"` beside `"annotators": "Ann1,Ann2,Ann3"`, and `"text"` a
string. 2025 layout: `"annotations": {"Ann1": "-3", ...}`, and `"text"` an object, mostly of two
fields. Soft labels can be computed from the annotations, so they are not read.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from hyperadapters.data.formats import RawTable, read_text
from hyperadapters.data.several_labels import joined
from hyperadapters.errors import DataError, Fault
from hyperadapters.tables.annotations import STANDARD_COLUMNS
from hyperadapters.tables.faults import RowOrigin

ATTRIBUTES_ENDING = "_annotators_meta.json"

# A whole string, or a comma before a closing bracket; strings come first, so that a comma inside
# one is never taken for the other.
_STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


class _ItemError(Exception):
    """What is wrong with one item."""


def is_attributes_file(path: Path) -> bool:
    """Whether a file bears the name under which LeWiDi publishes attributes of annotators."""
    return path.name.lower().endswith(ATTRIBUTES_ENDING)


def read_lewidi(path: Path) -> RawTable:
    """The ratings in a LeWiDi JSON file of either layout.

    Returns:
        Columns `text_id, text, annotator, label`, and where the file has them `text_pair, split,
        lang`. The `text_id` is `<split>-<key>`, because keys repeat from file to file.
        A text of one or more than two fields becomes one text with a line for each field. Several
        labels by one annotator (VariErrNLI: ``"neutral,contradiction"``) become one,
        ``contradiction+neutral``, see `joined`.

    Raises:
        DataError: Not JSON, not ratings, or items that cannot be used; lists them by their keys.
    """
    items = _read_object(path)
    if not any(isinstance(item, dict) and "annotations" in item for item in items.values()):
        raise DataError(
            str(path),
            ["no item has 'annotations', so this is no LeWiDi file of ratings"],
            "Attributes of annotators are read from a file that is named *" + ATTRIBUTES_ENDING,
        )
    names: list[str] = []
    rows: list[dict[str, Any]] = []
    bad: dict[str, list[str]] = {}
    for key, item in items.items():
        try:
            ratings = list(_ratings(key, item))
        except _ItemError as fault:
            bad.setdefault(str(fault), []).append(key)
        else:
            names += [key] * len(ratings)
            rows += ratings
    if bad:
        raise DataError(str(path), [Fault(what, tuple(k), "item") for what, k in bad.items()])
    frame = pd.DataFrame(rows, dtype=object)
    return RawTable(frame, RowOrigin.of(str(path), names, "item"), is_standard=True)


def read_annotator_attributes(path: Path) -> pd.DataFrame:
    """Attributes of annotators from a `*_annotators_meta.json` file; trailing commas may stand.

    Returns:
        One row for each annotator (index), one column for each attribute, names in lower case with
        underscores.

    Raises:
        DataError: Not such a file, or an attribute has the name of one of our columns.
    """
    people = _read_object(path, trailing_commas=True)
    wrong = tuple(key for key, person in people.items() if not isinstance(person, dict))
    if wrong:
        fault = Fault("the attributes of an annotator must be a JSON object", wrong, "annotator")
        raise DataError(str(path), [fault])
    frame = pd.DataFrame.from_dict(people, orient="index", dtype=object)
    frame.columns = [re.sub(r"\W+", "_", str(name).strip().lower()) for name in frame.columns]
    frame.index = frame.index.astype(str).str.strip()
    clash = [name for name in frame.columns if name in STANDARD_COLUMNS]
    if clash or not frame.columns.is_unique:
        what = (
            f"an attribute may not be called {clash[0]}" if clash else "an attribute occurs twice"
        )
        raise DataError(str(path), [what])
    return frame


def _read_object(path: Path, trailing_commas: bool = False) -> dict[str, Any]:
    """The JSON object in a file, not empty."""
    text = read_text(path)
    if trailing_commas:
        text = _STRING_OR_TRAILING_COMMA.sub(lambda match: match.group(1) or "", text)
    try:
        content = json.loads(text)
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(str(path), ["holds half a character (a lone surrogate)"]) from None
    except (ValueError, RecursionError) as error:
        hint = "One JSON object a line is read from a file that is named *.jsonl."
        raise DataError(str(path), [f"is not JSON: {error}"], hint) from None
    if not isinstance(content, dict) or not content:
        what = "holds no LeWiDi items: a JSON object of items by their keys was expected"
        hint = "Other JSON data is read as JSON lines (one object a line, *.jsonl)."
        raise DataError(str(path), [what], hint)
    return content


def _ratings(key: str, item: Any) -> Iterator[dict[str, Any]]:
    """One row for each rating of an item."""
    if not isinstance(item, dict):
        raise _ItemError("the item is not a JSON object")
    if "text" not in item:
        raise _ItemError("the item has no 'text'")
    split = item.get("split")
    shared = {"text_id": f"{split}-{key}" if split else key, **_text(item["text"])}
    shared |= {name: item[name] for name in ("split", "lang") if name in item}
    for annotator, label in _labels(item):
        yield {**shared, "annotator": annotator, "label": label}


def _text(text: Any) -> dict[str, Any]:
    if not isinstance(text, dict):
        return {"text": text}
    if len(text) == 2:
        return dict(zip(("text", "text_pair"), text.values(), strict=True))
    # A conversation of several turns (ConvAbuse); turns that are not there are left out.
    return {"text": "\n".join(f"{name}: {turn}" for name, turn in text.items() if turn)}


def _one_label(label: Any) -> Any:
    """A label as it stands, or several in one; what is no label is found by whoever checks it."""
    several = label.split(",") if isinstance(label, str) and "," in label else label
    if not isinstance(several, list):
        return label
    words = [str(one).strip() for one in several]
    if not words or not all(words):
        raise _ItemError("an annotator has an empty label")
    try:
        return joined(words)
    except ValueError as error:
        raise _ItemError(str(error)) from None


def _labels(item: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Annotator and label of every rating, from either layout."""
    annotations = item.get("annotations")
    if not annotations:
        raise _ItemError("the item has no annotations (a test file without its labels?)")
    if isinstance(annotations, dict):
        return ((name, _one_label(label)) for name, label in annotations.items())
    labels = [label.strip() for label in str(annotations).split(",")]
    annotators = [name.strip() for name in str(item.get("annotators") or "").split(",")]
    if len(labels) != len(annotators):
        raise _ItemError("the item does not have as many annotators as annotations")
    return zip(annotators, labels, strict=True)
