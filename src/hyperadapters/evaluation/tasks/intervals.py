"""Uncertainty from the choice of examples: a bootstrap of whole rows, as in `evaluation.intervals`.

All metrics of a task see the same draws, and tasks are drawn independently of one another, so that
the average over tasks has an interval too.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from hyperadapters.evaluation.counts import Metric
from hyperadapters.evaluation.intervals import (
    CONFIDENCE,
    DRAWS,
    MAX_CELLS,
    Interval,
    bootstrap_weights,
)

Draws = Float[np.ndarray, " draws"]


def draws_of(
    metrics: Sequence[Metric], n_rows: int, *, seed: int, task: str, draws: int = DRAWS
) -> list[Draws]:
    """Values of metrics of the same rows in bootstrap samples of as many rows.

    Args:
        metrics: Metrics whose sums have the same rows.
        n_rows: Number of rows.
        seed: Equal seeds, tasks and rows give equal draws, whatever other tasks there are.
        task: Name of the task, which has draws of its own.
        draws: Number of bootstrap samples.

    Returns:
        One array for each metric; empty where there are fewer than two rows.
    """
    if n_rows < 2:
        return [np.empty(0) for _ in metrics]
    # A hash that is the same in every process, which that of Python's texts is not.
    own_seed = zlib.crc32(f"{seed} {task}".encode())
    values: list[list[np.ndarray]] = [[] for _ in metrics]
    widest = max(n_rows, *(metric.shape[1] for metric in metrics))
    for weights in bootstrap_weights(n_rows, draws, own_seed, max(1, MAX_CELLS // widest)):
        for found, metric in zip(values, metrics, strict=True):
            found.append(metric.at(weights))
    return [np.concatenate(found) for found in values]


def interval_of(value: float, found: Draws, *, lowest: float, highest: float) -> Interval:
    """95 % percentile interval, moved so that the median of the draws falls on the value.

    Resampling is biased for some metrics (`evaluation.intervals` says why); moved, the interval
    always holds the value. It stays within the range of the metric.

    Args:
        value: The metric on the sample.
        found: The metric in bootstrap samples.
        lowest: Lower end of the range of the metric.
        highest: Upper end.

    Returns:
        Lower and upper end; NaN without draws.
    """
    if not len(found):
        return float("nan"), float("nan")
    tail = 100 * (1 - CONFIDENCE) / 2
    low, middle, high = np.percentile(found, [tail, 50, 100 - tail])
    return (
        min(value, max(lowest, float(value + low - middle))),
        max(value, min(highest, float(value + high - middle))),
    )
