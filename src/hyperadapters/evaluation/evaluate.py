"""PREDICTIONS to SCORES: every metric, for every method, seed, split and slice."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, cast, get_args

import pandas as pd

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation.annotators import (
    annotator_brier,
    annotator_ece,
    annotator_error_rate,
    annotator_macro_f1,
    annotator_macro_f1_median,
    annotator_macro_f1_min,
    annotator_macro_f1_p10,
    annotator_macro_f1_weighted,
    annotator_macro_f1_worst_decile,
    annotator_nll,
    coverage_annotators,
    coverage_rows,
)
from hyperadapters.evaluation.classification import accuracy, macro_f1, mae
from hyperadapters.evaluation.counts import CodedRows, Drawn, Metric
from hyperadapters.evaluation.disagreement import (
    contested_auroc,
    disagreement_bias,
    disagreement_pearson,
    disagreement_spearman,
)
from hyperadapters.evaluation.intervals import intervals as intervals_of
from hyperadapters.evaluation.lewidi import absolute_distance, error_rate, hamming_loss
from hyperadapters.evaluation.majority import (
    hard_micro_f1,
    majority_macro_f1,
    minority_accuracy,
)
from hyperadapters.evaluation.probabilistic import brier, ece, nll
from hyperadapters.evaluation.soft import (
    soft_cross_entropy,
    soft_jensen_shannon,
    soft_manhattan,
    soft_marginal_manhattan,
    soft_wasserstein,
)
from hyperadapters.labels import LabelSpace
from hyperadapters.tables.prediction_faults import SOURCES, column
from hyperadapters.tables.predictions import check_predictions, label_space_of
from hyperadapters.tables.scores import SCORES_COLUMNS

Better = Literal["higher", "lower", "neither"]

METRICS: dict[Callable[[CodedRows], Metric], Better] = {
    accuracy: "higher",
    macro_f1: "higher",
    annotator_macro_f1: "higher",
    annotator_macro_f1_weighted: "higher",
    annotator_macro_f1_median: "higher",
    annotator_macro_f1_p10: "higher",
    annotator_macro_f1_worst_decile: "higher",
    annotator_macro_f1_min: "higher",
    annotator_error_rate: "lower",
    annotator_nll: "lower",
    annotator_brier: "lower",
    annotator_ece: "lower",
    error_rate: "lower",
    nll: "lower",
    brier: "lower",
    ece: "lower",
    soft_manhattan: "lower",
    soft_cross_entropy: "lower",
    soft_jensen_shannon: "lower",
    soft_wasserstein: "lower",
    soft_marginal_manhattan: "lower",
    minority_accuracy: "higher",
    majority_macro_f1: "higher",
    hard_micro_f1: "higher",
    disagreement_pearson: "higher",
    disagreement_spearman: "higher",
    contested_auroc: "higher",
    disagreement_bias: "neither",
    mae: "lower",
    absolute_distance: "lower",
    hamming_loss: "lower",
    coverage_annotators: "neither",
    coverage_rows: "neither",
}
"""Every metric in the order of SCORES, and which direction is better."""

OF_SCALES = (mae, absolute_distance, soft_wasserstein)
"""Metrics that only labels on a scale have."""

OF_SETS = (hamming_loss, soft_marginal_manhattan)
"""Metrics that only labels have some of which are sets."""


def metrics_of(labels: LabelSpace) -> list[Callable[[CodedRows], Metric]]:
    """The metrics that such labels have, in the order of `METRICS`."""
    left_out = () if labels.kind == "ordinal" else OF_SCALES
    left_out += () if labels.parts else OF_SETS
    return [metric for metric in METRICS if metric not in left_out]


BETTER: dict[str, Better] = {metric.__name__: better for metric, better in METRICS.items()}
"""Which direction is better, by the name of the metric in SCORES."""


def evaluate(
    predictions: pd.DataFrame,
    *,
    intervals: bool = True,
    seed: int = 0,
    labels: LabelSpace | None = None,
    resample: str = "texts",
) -> pd.DataFrame:
    """Score predictions against the labels that each person gave.

    Rows without a label are left out. Slice ``all`` holds every other row; where annotators of
    several sources occur, each source (``known``, ``adapted``, ``population``) is a slice too. The
    metrics and their conventions are described with the functions in `METRICS`; a metric that
    rests on nothing (no minority rows, nobody with 5 rows) is NaN with `n` 0.

    Args:
        predictions: PREDICTIONS of any number of methods, seeds and splits.
        intervals: Whether to bootstrap 95 % intervals (200 draws); else they are NaN.
        seed: Seed of the bootstrap.
        labels: The labels and whether they are a scale; by default as the p_ columns say, three
            or more integers being a scale.
        resample: What the bootstrap draws: whole ``"texts"`` (how sure are the values for other
            texts and these people), or whole ``"annotators"`` (for other people and these texts;
            metrics of what the people of a text say together have no such interval).

    Returns:
        SCORES, sorted by method, seed and split.

    Raises:
        DataError: The table is at fault, no row has a label, or `labels` are not those of its p_
            columns.
        ConfigError: `resample` is neither of the two.
    """
    if resample not in get_args(Drawn):
        wanted = " or ".join(get_args(Drawn))
        raise ConfigError(f"cannot resample {resample!r}; wanted {wanted}")
    table = check_predictions(predictions, source="predictions")
    if not column(table, "label").notna().to_numpy(bool).any():
        raise DataError("predictions", ["no row has a label, so there is nothing to score"])
    labels = _labels(table, labels)
    records: list[dict[str, Any]] = []
    places = ["method", "seed", "split"]
    for key, group in table.groupby(places, sort=True):
        place = dict(zip(places, cast(tuple[Any, ...], key), strict=True))
        for name, rows in _slices(group):
            scores = _scores(CodedRows.of(rows, labels, cast(Drawn, resample)), intervals, seed)
            records += [{**place, "slice": name, **score} for score in scores]
    return pd.DataFrame(records, columns=list(SCORES_COLUMNS))


def _labels(table: pd.DataFrame, labels: LabelSpace | None) -> LabelSpace:
    found = label_space_of(table)
    if labels is None:
        return found
    if set(labels.columns) != set(found.columns):
        wanted, got = ", ".join(labels.columns), ", ".join(found.columns)
        raise DataError("predictions", [f"the probability columns are {got}, wanted {wanted}"])
    return labels


def _slices(group: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    labelled = group.loc[group["label"].notna()]
    yield "all", labelled
    sources = column(labelled, "source").to_numpy(object)
    found = [source for source in SOURCES if source in sources]
    if len(found) > 1:
        for source in found:
            yield source, labelled.loc[sources == source]


def _scores(rows: CodedRows, with_intervals: bool, seed: int) -> list[dict[str, Any]]:
    metrics = [metric(rows) for metric in metrics_of(rows.labels)]
    nothing = [(float("nan"), float("nan"))] * len(metrics)
    ends = intervals_of(metrics, seed=seed) if with_intervals else nothing
    return [
        {"metric": metric.name, "value": metric.value, "low": low, "high": high, "n": metric.n}
        for metric, (low, high) in zip(metrics, ends, strict=True)
    ]
