"""Uncertainty from the choice of texts: a bootstrap that draws whole texts with their ratings.

Ratings of one text are alike, so rows are not drawn by themselves (a cluster bootstrap: Davison
and Hinkley 1997, section 3.8). Who is scored stays as in the sample. Metrics whose rows are drawn
by annotators (`CodedRows.drawn`) speak of other people instead, and the texts stay.

Resampling is biased for some metrics: a draw holds fewer different texts, so people lose their rare
labels, and macro-F1 over the labels present rises (popquorn, annotator-mode: value .305, draws .35
to .39); bins of ece get noisier. Plain percentiles would lie beside the value. They are therefore
moved by the bias that the draws themselves show, so that their median falls on the value.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from hyperadapters.evaluation.counts import Metric

DRAWS = 200
CONFIDENCE = 0.95
MAX_CELLS = 4_000_000
"""Numbers held at a time, 32 MB; more draws than fit are taken in turns."""

Interval = tuple[float, float]


def intervals(metrics: Sequence[Metric], *, seed: int = 0, draws: int = DRAWS) -> list[Interval]:
    """95 % percentile intervals of metrics of the same rows, centred on the values.

    All metrics see the same draws. An interval always holds the value, and stays within the range
    of the metric.

    Args:
        metrics: Metrics whose sums have the same texts.
        seed: Equal seeds and texts give equal draws.
        draws: Number of bootstrap samples.

    Returns:
        Lower and upper end of each; NaN where the metric is undefined, rests on fewer than two
        texts, or does not vary with them.
    """
    values: list[list[np.ndarray]] = [[] for _ in metrics]
    able = [i for i, metric in enumerate(metrics) if metric.varies and metric.n > 0]
    n_texts = metrics[0].shape[0] if metrics else 0
    if n_texts >= 2 and able:
        widest = max(n_texts, *(metrics[i].shape[1] for i in able))
        for weights in bootstrap_weights(n_texts, draws, seed, max(1, MAX_CELLS // widest)):
            for i in able:
                values[i].append(metrics[i].at(weights))
    return [_interval(metric, found) for metric, found in zip(metrics, values, strict=True)]


def bootstrap_weights(
    n_texts: int, draws: int, seed: int, at_once: int
) -> Iterator[Float[np.ndarray, "some_draws texts"]]:
    """How often each text occurs in each draw of as many texts, some draws at a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        drawn = generator.integers(n_texts, size=(count, n_texts))
        drawn += n_texts * np.arange(count)[:, None]  # one stretch of cells for each draw
        cells = np.bincount(drawn.ravel(), minlength=count * n_texts)
        yield cells.reshape(count, n_texts).astype(np.float64)


def _interval(metric: Metric, found: list[np.ndarray]) -> Interval:
    values = np.concatenate(found) if found else np.empty(0)
    values = values[np.isfinite(values)]  # a draw may hold no row that counts
    if not len(values):
        return float("nan"), float("nan")
    tail = 100 * (1 - CONFIDENCE) / 2
    low, middle, high = np.percentile(values, [tail, 50, 100 - tail])
    value = metric.value
    # Never beyond the range, nor (by rounding) beyond the value itself.
    return (
        min(value, max(metric.lowest, float(value + low - middle))),
        max(value, min(metric.highest, float(value + high - middle))),
    )
