"""Methods side by side on the same rows: differences, and whether the choice of rows explains them.

Two methods that answer the same rows are compared draw by draw of one bootstrap, so that what
makes rows hard for both cancels out. Ratings of a text are alike, and so are those of a person (for
clustering in two ways see Cameron, Gelbach & Miller 2011): rows are drawn by whole texts and, for
metrics of rows and of single people, by whole annotators as well, and the interval reaches as far
as either of the two. Of several seeds the mean is compared: intervals speak of texts and people,
the spread over seeds stands beside them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
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
)
from hyperadapters.evaluation.classification import accuracy, macro_f1, mae
from hyperadapters.evaluation.counts import CodedRows, Metric
from hyperadapters.evaluation.disagreement import (
    contested_auroc,
    disagreement_pearson,
    disagreement_spearman,
)
from hyperadapters.evaluation.evaluate import metrics_of
from hyperadapters.evaluation.intervals import CONFIDENCE, DRAWS, MAX_CELLS, bootstrap_weights
from hyperadapters.evaluation.lewidi import absolute_distance, error_rate, hamming_loss
from hyperadapters.evaluation.majority import hard_micro_f1, majority_macro_f1, minority_accuracy
from hyperadapters.evaluation.probabilistic import brier, ece, nll
from hyperadapters.evaluation.soft import (
    soft_cross_entropy,
    soft_jensen_shannon,
    soft_manhattan,
    soft_marginal_manhattan,
    soft_wasserstein,
)
from hyperadapters.labels import LabelSpace
from hyperadapters.tables.frames import columns_of
from hyperadapters.tables.predictions import check_predictions, label_space_of

OF_PEOPLE = (
    *(accuracy, macro_f1, nll, brier, ece, mae, minority_accuracy),
    *(annotator_macro_f1, annotator_macro_f1_weighted),
    *(annotator_macro_f1_median, annotator_macro_f1_p10),
    *(annotator_macro_f1_worst_decile, annotator_macro_f1_min),
    *(annotator_error_rate, annotator_nll, annotator_brier, annotator_ece),
)
"""Metrics of rows and of people, in which annotators can be drawn as well as texts."""

COMPARED = (
    *OF_PEOPLE,
    *(soft_manhattan, soft_cross_entropy, soft_jensen_shannon),
    *(soft_wasserstein, soft_marginal_manhattan),
    *(error_rate, absolute_distance, hamming_loss),
    *(majority_macro_f1, hard_micro_f1),
    *(disagreement_pearson, disagreement_spearman, contested_auroc),
)
"""Metrics that methods are compared by."""

COLUMNS = ["method", "baseline", "split", "metric", "difference", "low", "high", "n_seeds"]
_ROW = ["split", "text_id", "annotator"]


def paired_differences(
    predictions: pd.DataFrame,
    baseline: str,
    *,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """By how much methods differ from a baseline, with 95 % intervals over texts and annotators.

    Args:
        predictions: PREDICTIONS of several methods (and seeds) for the same rows; rows without a
            label are left out.
        baseline: The method that the others are compared with.
        metrics: Names of metrics among `COMPARED`; by default all that the labels allow.
        seed: Seed of the bootstrap.
        draws: Number of draws.

    Returns:
        One row for every other method, split and metric: ``method, baseline, split, metric,
        difference`` (method less baseline, mean over seeds), its ends ``low`` and ``high``, and
        ``n_seeds`` of the method. A metric that rests on nothing is NaN.

    Raises:
        DataError: The table is at fault, or methods and seeds do not answer the same rows.
        ConfigError: There is no such baseline, or a metric is not known.
    """
    table = check_predictions(predictions, source="predictions")
    table = table.loc[table["label"].notna()]
    methods = [str(name) for name in dict.fromkeys(table["method"])]
    if baseline not in methods:
        raise ConfigError(f"no predictions of the baseline {baseline!r}; there are {methods}")
    chosen = _chosen(metrics, label_space_of(table))
    records: list[dict[str, object]] = []
    for split, part in table.groupby("split", sort=True):
        coded = _coded(part, methods)
        ours = {name: _draws(coded[name], chosen, seed, draws) for name in methods}
        for name in methods:
            if name != baseline:
                place = {"method": name, "baseline": baseline, "split": split}
                for metric, cell in _differences(ours[name], ours[baseline]).items():
                    found = {"metric": metric, **cell, "n_seeds": len(coded[name])}
                    records.append({**place, **found})
    return pd.DataFrame(records, columns=COLUMNS)


def _chosen(names: Sequence[str] | None, labels: LabelSpace) -> list[Callable[[CodedRows], Metric]]:
    known = {metric.__name__: metric for metric in metrics_of(labels) if metric in COMPARED}
    if names is None:
        return list(known.values())
    if wrong := [name for name in names if name not in known]:
        raise ConfigError(f"cannot compare by {', '.join(wrong)}; known: {', '.join(known)}")
    return [known[name] for name in names]


def _coded(part: pd.DataFrame, methods: Sequence[str]) -> dict[str, list[CodedRows]]:
    """Rows of every method, one table for each seed, all in one order."""
    labels = label_space_of(part)
    found: dict[str, list[CodedRows]] = {name: [] for name in methods}
    rows: pd.DataFrame | None = None
    for key, group in part.groupby(["method", "seed"], sort=True):
        name, seed = cast(tuple[str, int], key)
        ordered = group.sort_values(_ROW).reset_index(drop=True)
        same = columns_of(ordered, [*_ROW, "label"])
        if rows is not None and not rows.equals(same):
            raise DataError(
                "predictions",
                [f"{name}, seed {seed}: not the rows (or not the labels) of the other methods"],
            )
        rows = same if rows is None else rows
        found[str(name)].append(CodedRows.of(ordered, labels))
    if missing := [name for name, seeds in found.items() if not seeds]:
        raise DataError("predictions", [f"{missing[0]} has no rows in some split"])
    return found


Drawn = Mapping[str, tuple[float, list[np.ndarray]]]


def _draws(
    seeds: Sequence[CodedRows],
    metrics: Sequence[Callable[[CodedRows], Metric]],
    seed: int,
    draws: int,
) -> Drawn:
    """Metric → its value, and its values in the draws of texts (and of annotators)."""
    by_text = [[metric(rows) for metric in metrics] for rows in seeds]
    values = {m.name: [float(metric.value) for metric in of] for m, of in _columns(by_text)}
    drawn = {name: [sample] for name, sample in _sampled(by_text, seed, draws).items()}
    of_people = [metric for metric in metrics if metric in OF_PEOPLE]
    if of_people:
        people = [replace(rows, drawn="annotators") for rows in seeds]
        by_person = [[metric(rows) for metric in of_people] for rows in people]
        for name, sample in _sampled(by_person, seed + 1, draws).items():
            drawn[name].append(sample)
    return {name: (float(np.mean(values[name])), drawn[name]) for name in drawn}


def _columns(table: Sequence[Sequence[Metric]]) -> list[tuple[Metric, list[Metric]]]:
    return [(of[0], list(of)) for of in zip(*table, strict=True)]


def _sampled(table: Sequence[Sequence[Metric]], seed: int, draws: int) -> dict[str, np.ndarray]:
    """Metric → mean over seeds in every draw; seeds and methods meet the same draws."""
    columns = _columns(table)
    n = columns[0][0].shape[0]
    widest = max(n, *(metric.shape[1] for metric, _ in columns))
    found: dict[str, list[np.ndarray]] = {metric.name: [] for metric, _ in columns}
    for weights in bootstrap_weights(n, draws, seed, max(1, MAX_CELLS // widest)):
        for metric, of in columns:
            found[metric.name].append(np.mean([one.at(weights) for one in of], axis=0))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _differences(ours: Drawn, theirs: Drawn) -> dict[str, dict[str, float]]:
    found = {}
    for name, (value, drawn) in ours.items():
        base, base_drawn = theirs[name]
        difference = value - base
        ends = [_ends(a - b, difference) for a, b in zip(drawn, base_drawn, strict=True)]
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
        found[name] = {"difference": difference, "low": low, "high": high}
    return found


def _ends(drawn: np.ndarray, difference: float) -> tuple[float, float]:
    """Percentile interval, moved so that its middle is the difference (see `intervals`)."""
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn) or not np.isfinite(difference):
        return float("nan"), float("nan")
    tail = 100 * (1 - CONFIDENCE) / 2
    low, middle, high = np.percentile(drawn, [tail, 50, 100 - tail])
    return (
        float(min(difference, difference + low - middle)),
        float(max(difference, difference + high - middle)),
    )
