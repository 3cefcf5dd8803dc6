"""What is known of annotators, attribute by attribute, or several attributes taken together."""

from collections.abc import Sequence

import pandas as pd

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tables.frames import column_of
from hyperadapters.tables.prediction_faults import as_text

TOGETHER = "+"
"""Between attributes whose values are taken together, and between these values."""


def values_by_annotator(attributes: pd.DataFrame, names: Sequence[str]) -> dict[str, pd.Series]:
    """Attribute → value by annotator, both as text; people without a value are not in it.

    Args:
        attributes: A table with a column ``annotator`` and columns of attributes; see
            `group_scores`.
        names: The attributes; in ``"gender+age"`` two are taken together, unless a column has that
            name.

    Raises:
        DataError: Somebody has several values of an attribute; of attributes taken together nobody
            has all, or a value holds what stands between them.
        ConfigError: An attribute is not there, or none is named.
    """
    if not names:
        raise ConfigError("no attribute is named to group people by")
    columns = {name: _columns(attributes, name) for name in names}
    wanted = ["annotator", *dict.fromkeys(c for parts in columns.values() for c in parts)]
    missing = [name for name in wanted if name not in attributes]
    if missing:
        there = ", ".join(map(str, attributes.columns))
        raise ConfigError(f"the attributes have no column {missing[0]!r}; there are {there}")
    people = as_text(column_of(attributes, "annotator").reset_index(drop=True))
    found, faults = {}, []
    for name in wanted[1:]:
        values = as_text(column_of(attributes, name).reset_index(drop=True)).str.strip()
        pairs = pd.DataFrame({"annotator": people, "value": values.mask(values == "")})
        pairs = pairs.dropna().drop_duplicates()
        twice = sorted(set(pairs.loc[pairs["annotator"].duplicated(), "annotator"]))
        if twice:
            faults.append(f"annotator {twice[0]!r} has several values of {name!r}")
        found[name] = pairs.set_index("annotator")["value"]
    if faults:
        raise DataError("attributes", faults)
    return {name: _together(name, [found[c] for c in parts]) for name, parts in columns.items()}


def _columns(attributes: pd.DataFrame, name: str) -> list[str]:
    """The columns that an attribute stands for: its own, or those that are taken together."""
    if name in attributes:
        return [name]
    parts = [part.strip() for part in name.split(TOGETHER)]
    if not all(parts) or len(set(parts)) < len(parts):
        raise ConfigError(
            f"wanted different attributes with {TOGETHER!r} between them, got {name!r}"
        )
    return parts


def _together(name: str, parts: Sequence[pd.Series]) -> pd.Series:
    """Values of several attributes as one; who lacks any has none."""
    joined, *others = parts
    between = f" {TOGETHER} "
    for part in parts if others else ():
        if holding := [value for value in part if between in value]:
            what = (
                f"{name}: the value {holding[0]!r} holds {between!r}, which stands between values"
            )
            raise DataError("attributes", [what])
    for part in others:
        joined = (joined + between).add(part).dropna()
    if others and joined.empty:
        raise DataError("attributes", [f"{name}: nobody has a value of each"])
    return joined
