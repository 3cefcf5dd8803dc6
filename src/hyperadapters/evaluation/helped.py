"""Whom a method helps and whom it hurts: each annotator's scores beside those of a baseline."""

from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation.annotators import MIN_ROWS
from hyperadapters.evaluation.detail import annotator_scores
from hyperadapters.evaluation.intervals import CONFIDENCE, DRAWS, bootstrap_weights
from hyperadapters.tables.frames import column_of, columns_of
from hyperadapters.tables.predictions import check_predictions

COMPARED = {"nll": -1.0, "accuracy": 1.0}
"""What people are compared by, and the sign of a gain."""

OUTCOMES = ("better", "worse", "equal")
COLUMNS = [
    *("method", "baseline", "split", "metric"),
    *(name for outcome in OUTCOMES for name in (outcome, f"{outcome}_low", f"{outcome}_high")),
    *("n_annotators", "n_seeds"),
]
_SAME = 1e-9


def helped_and_hurt(
    predictions: pd.DataFrame,
    baseline: str,
    *,
    min_rows: int = MIN_ROWS,
    seed: int = 0,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Shares of annotators who are predicted better, worse and equally well than by a baseline.

    The two methods are compared seed by seed on the same rows; somebody is better off if the mean
    over seeds of the difference is better than zero.

    Args:
        predictions: PREDICTIONS of several methods (and seeds) for the same rows; rows without a
            label are left out.
        baseline: The method that the others are compared with.
        min_rows: Labelled rows that an annotator needs to count.
        seed: Seed of the bootstrap.
        draws: Number of draws.

    Returns:
        One row for every other method, split and ``metric`` (``nll``, ``accuracy``): ``method,
        baseline, split``; the shares ``better, worse, equal`` from 0 to 1 with the ends of their
        95 % bootstrap intervals over annotators (``better_low, better_high`` and so on);
        ``n_annotators``, and ``n_seeds`` that both methods have. NaN where nobody has enough rows,
        or no seed is shared.

    Raises:
        DataError: The table is at fault, or in a seed the rows (or labels) are not those of the
            baseline.
        ConfigError: There is no such baseline.
    """
    table = check_predictions(predictions, source="predictions")
    methods = [str(name) for name in dict.fromkeys(table["method"])]
    if baseline not in methods:
        raise ConfigError(f"no predictions of the baseline {baseline!r}; there are {methods}")
    _check_rows(table, baseline)
    people = annotator_scores(table)
    people = people.loc[people["n"] >= min_rows]
    splits = sorted(dict.fromkeys(table.loc[table["label"].notna(), "split"]))
    records = []
    for split in splits:
        part = people.loc[people["split"] == split]
        for method in methods:
            if method != baseline:
                place = {"method": method, "baseline": baseline, "split": split}
                records += _compare(part, method, baseline, place, seed, draws)
    return pd.DataFrame(records, columns=COLUMNS)


def _check_rows(table: pd.DataFrame, baseline: str) -> None:
    """Raise where a method has a seed of the baseline without answering the same rows."""
    cells = table.loc[table["label"].notna()].sort_values(["split", "text_id", "annotator"])
    names = ["split", "text_id", "annotator", "label"]
    rows = {
        key: columns_of(part, names).reset_index(drop=True)
        for key, part in cells.groupby(["method", "seed"], sort=True)
    }
    for (method, seed), found in rows.items():  # pyright: ignore[reportGeneralTypeIssues]
        wanted = rows.get((baseline, seed))
        if wanted is not None and not wanted.equals(found):
            what = f"{method}, seed {seed}: not the rows (or not the labels) of {baseline}"
            raise DataError("predictions", [what])


def _compare(
    people: pd.DataFrame,
    method: str,
    baseline: str,
    place: dict[str, Any],
    seed: int,
    draws: int,
) -> list[dict[str, Any]]:
    """One record for each metric."""
    records = []
    for metric, sign in COMPARED.items():
        values = people.pivot_table(
            index="annotator", columns=["method", "seed"], values=metric, sort=True
        )
        ours, theirs = (
            cast(pd.DataFrame, values[name]) if name in values else pd.DataFrame()
            for name in (method, baseline)
        )
        shared = [s for s in ours if s in theirs]
        gain = np.empty(0)
        if shared:
            pairs = [column_of(ours, s) - column_of(theirs, s) for s in shared]
            gain = sign * np.mean([pair.to_numpy(np.float64) for pair in pairs], axis=0)
        cells = _shares(gain, seed, draws)
        counts = {"n_annotators": len(gain), "n_seeds": len(shared)}
        records.append({**place, "metric": metric, **cells, **counts})
    return records


def _shares(gain: Float[np.ndarray, " people"], seed: int, draws: int) -> dict[str, float]:
    """Share of every outcome, with its percentile interval over people."""
    better, worse = gain > _SAME, gain < -_SAME
    hits = np.stack([better, worse, ~better & ~worse]).astype(np.float64)
    n = len(gain)
    if not n:
        return {name: float("nan") for name in COLUMNS[4:-2]}
    drawn = np.concatenate([w @ hits.T / n for w in bootstrap_weights(n, draws, seed, draws)])
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail], axis=0)
    cells: dict[str, float] = {}
    for i, name in enumerate(OUTCOMES):
        share = float(hits[i].mean())
        ends = (float("nan"), float("nan"))
        if n > 1:
            ends = (min(share, float(low[i])), max(share, float(high[i])))
        cells |= {name: share, f"{name}_low": ends[0], f"{name}_high": ends[1]}
    return cells
