"""SCORES of several methods and seeds, side by side: means, spreads, differences to a baseline."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy import stats

from hyperadapters.errors import ConfigError, DataError, Fault
from hyperadapters.evaluation.intervals import CONFIDENCE
from hyperadapters.tables.frames import column_of, columns_of
from hyperadapters.tables.scores import check_scores
from hyperadapters.tasks.names import advice

_PLACES = ["split", "slice", "metric"]


def summarise_runs(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds of every score of every method.

    Args:
        scores: SCORES of any number of methods and seeds.

    Returns:
        Columns ``method, split, slice, metric, mean, std, min, max, seeds``, in the order in which
        methods and scores occur first. `std` is that of a sample, NaN with one seed; `seeds` is
        the number of seeds whose value is not NaN, which alone count.

    Raises:
        DataError: The table is at fault, or has a score twice.
    """
    table = _checked(scores)
    groups = table.groupby(["method", *_PLACES], sort=False)["value"]
    found = groups.agg(["mean", "std", "min", "max", "count"]).reset_index()
    return cast(pd.DataFrame, found.rename(columns={"count": "seeds"}))


def differences(scores: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """By how much each method differs from a baseline, seed by seed.

    A score is compared with the baseline's of the same seed, split, slice and metric, so that what
    the seed decides (the order of the data, the rows drawn) cancels out. The interval is Student's
    for the mean of these differences; it speaks of seeds, not of examples.

    Args:
        scores: SCORES of several methods.
        baseline: The method that the others are compared with.

    Returns:
        Columns ``method, baseline, split, slice, metric, difference, low, high, seeds``, a row for
        every score of the other methods. `difference` is the method's value less the baseline's,
        mean over the `seeds` seeds that both have, NaN where there are none; `low` and `high` are
        the ends of the 95 % interval, NaN with fewer than two seeds.

    Raises:
        DataError: The table is at fault, has a score twice, or a method shares no seed with the
            baseline.
        ConfigError: There is no such baseline, or no other method.
    """
    table = _checked(scores)
    methods = list(dict.fromkeys(column_of(table, "method")))
    if baseline not in methods:
        hint = advice(baseline, methods)
        raise ConfigError(f"the scores have no method {baseline!r} to compare with; {hint}")
    others = [method for method in methods if method != baseline]
    if not others:
        raise ConfigError(f"the scores have only the method {baseline!r}: nothing to compare")
    is_baseline = column_of(table, "method") == baseline
    _check_seeds(table, others, baseline)
    pairs = table.loc[~is_baseline].merge(
        table.loc[is_baseline, ["seed", *_PLACES, "value"]],
        how="left",
        on=["seed", *_PLACES],
        suffixes=("", "_baseline"),
    )
    pairs["difference"] = pairs["value"] - pairs["value_baseline"]
    records = [
        {**dict(zip(["method", *_PLACES], cast(tuple[Any, ...], key), strict=True)), **_mean(group)}
        for key, group in pairs.groupby(["method", *_PLACES], sort=False)["difference"]
    ]
    columns = ["method", "baseline", *_PLACES, "difference", "low", "high", "seeds"]
    return columns_of(pd.DataFrame(records).assign(baseline=baseline), columns)


def _mean(values: pd.Series) -> dict[str, Any]:
    known = values.dropna().to_numpy(np.float64)
    nan = float("nan")
    if not len(known):
        return {"difference": nan, "low": nan, "high": nan, "seeds": 0}
    mean = float(known.mean())
    if len(known) < 2:
        return {"difference": mean, "low": nan, "high": nan, "seeds": 1}
    error = float(known.std(ddof=1)) / np.sqrt(len(known))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(known) - 1)) * error
    return {"difference": mean, "low": mean - reach, "high": mean + reach, "seeds": len(known)}


def _checked(scores: pd.DataFrame) -> pd.DataFrame:
    table = check_scores(scores, source="scores")
    if not len(table):
        raise DataError("scores", ["there are no rows"])
    repeated = table.duplicated(["method", "seed", *_PLACES]).to_numpy(bool)
    if repeated.any():
        rows = tuple((np.flatnonzero(repeated) + 1).tolist())
        what = "the same method, seed, split, slice and metric occur before"
        raise DataError("scores", [Fault(what, rows)])
    return table


def _check_seeds(table: pd.DataFrame, others: Sequence[str], baseline: str) -> None:
    seeds = {
        str(method): sorted({int(seed) for seed in group})
        for method, group in table.groupby("method")["seed"]
    }
    faults = [
        f"method {method!r} has seeds {seeds[method]} and {baseline!r} has {seeds[baseline]}: "
        "none in common, so no pairs to compare"
        for method in others
        if not set(seeds[method]) & set(seeds[baseline])
    ]
    if faults:
        raise DataError("scores", faults)
