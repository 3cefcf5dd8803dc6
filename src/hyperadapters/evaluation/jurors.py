"""Who sits on a jury, and with what weight."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from hyperadapters.errors import ConditionError, ConfigError, DataError
from hyperadapters.tables.frames import column_of

Chosen = Mapping[str, float | int] | Sequence[str]
"""Ids with weights, or ids alone, each of weight 1."""

Wanted = Mapping[str, str | Sequence[str]]
"""Attribute → the value wanted, or several of which any will do."""


def choose_jurors(
    people: Collection[str],
    jurors: Chosen | None = None,
    *,
    where: Wanted | None = None,
    draw: int | None = None,
    seed: int = 0,
    attributes: pd.DataFrame | None = None,
) -> dict[str, float]:
    """The people of a jury: those who are named, and those of a group or drawn from it.

    With nothing said it is everybody. `where` and `draw` add people of weight 1 to those who are
    named: all of a group, or some of it drawn at random without replacement, of whom nobody is
    among the named.

    Args:
        people: Ids that there are.
        jurors: Who is named, perhaps with weights.
        where: Who belongs to the group: people with these values of these attributes, all of them.
        draw: How many of the group (without `where`: of everybody) are drawn.
        seed: Of the draw.
        attributes: A table with a column ``annotator`` and the attributes; needed by `where`.

    Returns:
        Id → weight, sorted by id.

    Raises:
        ConditionError: Somebody who is named is not among the people.
        ConfigError: A weight is not a positive number, an attribute is not there, nobody belongs to
            the group, or there are fewer people than are to be drawn.
        DataError: Somebody has several values of an attribute.
    """
    named = _weights(jurors)
    unknown = sorted(set(named) - set(people))
    if unknown:
        shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        some = ", ".join(sorted(people)[:3])
        raise ConditionError(f"unknown jurors: {shown}; there are {len(people)}, such as {some}")
    if named and where is None and draw is None:
        return dict(sorted(named.items()))
    group = set(people) if where is None else _with_values(people, where, attributes)
    pool = sorted(group - set(named))
    if draw is not None:
        if not 0 < draw <= len(pool):
            raise ConfigError(f"{draw} jurors cannot be drawn from {len(pool)} people")
        drawn = np.random.default_rng(seed).choice(len(pool), draw, replace=False)
        pool = [pool[place] for place in drawn]
    chosen = {**dict.fromkeys(pool, 1.0), **named}
    if not chosen:
        raise ConfigError("there is nobody who could be a juror")
    return dict(sorted(chosen.items()))


def _weights(jurors: Chosen | None) -> dict[str, float]:
    if jurors is None:
        return {}
    if isinstance(jurors, str):
        jurors = [jurors]
    given = jurors if isinstance(jurors, Mapping) else dict.fromkeys(jurors, 1.0)
    if not given:
        raise ConfigError("nobody is named who could be a juror; leave it out for everybody")
    for name, weight in given.items():
        if not (math.isfinite(weight) and weight > 0):
            raise ConfigError(f"the weight of juror {name} must be a positive number, got {weight}")
    return {str(name): float(weight) for name, weight in given.items()}


def _with_values(
    people: Collection[str], where: Wanted, attributes: pd.DataFrame | None
) -> set[str]:
    """People who have the wanted values of all the attributes."""
    if attributes is None or "annotator" not in attributes:
        raise ConfigError("jurors cannot be chosen by attributes where no attributes are given")
    found = set(people)
    who = column_of(attributes, "annotator").astype(str)
    for name, wanted in where.items():
        if name not in attributes:
            there = ", ".join(str(n) for n in attributes if n != "annotator") or "none"
            raise ConfigError(f"there is no attribute {name!r}; there are: {there}")
        values = _as_text(column_of(attributes, name))
        told = pd.DataFrame({"who": who, "value": values}).dropna().drop_duplicates()
        if told["who"].duplicated().any():
            raise DataError("attributes", [f"somebody has several values of {name!r}"])
        any_of = {wanted} if isinstance(wanted, str) else set(wanted)
        strange = sorted(any_of - set(told["value"]))
        if strange:
            there = ", ".join(sorted(set(told["value"]))[:8])
            raise ConfigError(f"nobody has {name}={strange[0]}; values that occur: {there}")
        found &= set(told["who"][told["value"].isin(sorted(any_of))])
    if not found:
        told = ", ".join(
            f"{n}={v if isinstance(v, str) else ' or '.join(v)}" for n, v in where.items()
        )
        raise ConfigError(f"none of the {len(people)} people has {told}")
    return found


def _as_text(values: pd.Series) -> pd.Series:
    """Values as they are written on the command line; missing where empty."""
    numbers = pd.api.types.is_float_dtype(values)

    def text(value: object) -> str | None:
        if pd.isna(value) or value == "":  # pyright: ignore[reportGeneralTypeIssues]
            return None
        whole = numbers and float(value).is_integer()  # pyright: ignore[reportArgumentType]
        return str(int(value)) if whole else str(value)  # pyright: ignore[reportArgumentType]

    return values.map(text).astype(object)
