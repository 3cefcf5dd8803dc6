"""The formats by name, and what they have in common."""

from collections.abc import Iterable, Sequence

import pandas as pd

from hyperadapters.errors import ConfigError

FORMATS = {
    "lewidi-soft": "LeWiDi 2025, task A: lines of an id and a list of probabilities",
    "lewidi-perspectivist": "LeWiDi 2025, task B: lines of an id and a list of labels",
    "lewidi-2023": "LeWiDi 2023: lines of a majority label and two probabilities",
    "perseval": "PersEval: a CSV of user_id, text_id, label",
}
"""Name of every format, and what its file looks like."""


def check_format(name: str) -> None:
    """Refuse a format that is not known.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in FORMATS:
        raise ConfigError(f"unknown format {name!r}; known: {', '.join(FORMATS)}")


def official_ids(text_id: pd.Series, split: pd.Series | None) -> pd.Series:
    """Ids as the shared task has them, without the ``<split>-`` that our reader adds."""
    if split is None:
        return text_id
    pairs = zip(text_id, split, strict=True)
    return pd.Series([text.removeprefix(f"{part}-") for text, part in pairs], index=text_id.index)


def as_labels(labels: Sequence[str | int], like: Iterable[object]) -> list[str | int]:
    """Labels as integers where those that they belong to are integers, else as text.

    Raises:
        ConfigError: One is no integer though it should be, or occurs twice.
    """
    integers = all(isinstance(name, int) for name in like)
    try:
        found = [int(name) if integers else str(name) for name in labels]
    except ValueError:
        raise ConfigError(
            f"labels must be integers as in the ratings, got {list(labels)}"
        ) from None
    if len(set(found)) != len(found):
        raise ConfigError(f"a label occurs twice in {list(labels)}")
    return found
