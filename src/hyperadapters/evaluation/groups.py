"""Does a model serve some groups of people worse than others?

People are drawn again within their group, texts stay. A permutation test asks how often people
who are shuffled between the groups make a gap as large as the one that was found (Good 2005,
chapter 3). Groups of few people are not shown: their numbers would be noise, and might tell about
single people.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from hyperadapters.errors import DataError
from hyperadapters.evaluation.annotators import annotator_error_rate
from hyperadapters.evaluation.attributes import values_by_annotator
from hyperadapters.evaluation.classification import accuracy, macro_f1
from hyperadapters.evaluation.counts import CodedRows, Metric, mean_metric
from hyperadapters.evaluation.intervals import CONFIDENCE, DRAWS, MAX_CELLS
from hyperadapters.evaluation.places import Place, places_of
from hyperadapters.evaluation.probabilistic import brier, ece, nll

LEAST_PEOPLE = 10
"""People that a group needs to be shown."""

PERMUTATIONS = 1000
NOT_GIVEN = "not given"
_SAME = 1e-12

_PLACE = ["method", "seed", "split", "attribute"]
SCORE_COLUMNS = [
    *_PLACE,
    "group",
    "metric",
    "value",
    "low",
    "high",
    "n_annotators",
    "n",
    "suppressed",
]
GAP_COLUMNS = [*_PLACE, "metric", "gap", "low", "high", "p_value", "lowest", "highest", "n_groups"]


class GroupScores(NamedTuple):
    """What `group_scores` found.

    Attributes:
        scores: One row for every method, seed, split, attribute, group and metric: ``value`` with
            the ends of its interval, ``n_annotators`` and ``n`` (rows that the group has), and
            whether the group is ``suppressed``, its values being NaN.
        gaps: One row for every method, seed, split, attribute and metric: the ``gap`` between the
            groups with the ``lowest`` and the ``highest`` value, the interval of the difference of
            these two, ``p_value`` and ``n_groups`` that were compared.
    """

    scores: pd.DataFrame
    gaps: pd.DataFrame


def false_positive_rate(rows: CodedRows) -> Metric:
    """Share of the rows with the first of two labels that are predicted to have the second."""
    return _rate_of_misses("false_positive_rate", rows, 0)


def false_negative_rate(rows: CodedRows) -> Metric:
    """Share of the rows with the second of two labels that are predicted to have the first."""
    return _rate_of_misses("false_negative_rate", rows, 1)


OF_GROUPS = (accuracy, macro_f1, annotator_error_rate, nll, brier, ece)
OF_TWO_LABELS = (false_positive_rate, false_negative_rate)


def group_scores(
    predictions: pd.DataFrame,
    attributes: pd.DataFrame,
    by: str | Sequence[str],
    *,
    least_people: int = LEAST_PEOPLE,
    seed: int = 0,
    draws: int = DRAWS,
    permutations: int = PERMUTATIONS,
) -> GroupScores:
    """How well the people of each group are predicted, and the largest gap between groups.

    Metrics are `accuracy`, `macro_f1`, `nll`, `brier` and `ece` of the pooled rows of a group,
    `annotator_error_rate`, the mean over its people, and with two labels the rates of false
    positives (the second label being positive) and false negatives.

    Args:
        predictions: PREDICTIONS; rows without a label are left out.
        attributes: A table with a column ``annotator`` and columns of attributes, one row for each
            annotator or many (such as ANNOTATIONS) that agree.
        by: The attributes; every value of one is a group, and of ``"gender+age"`` every pair of
            values that occurs (unless a column has that name). People without a value, or without
            one of those taken together, are the group ``"not given"``, which has scores but is
            left out of the gaps.
        least_people: Groups of fewer people are suppressed.
        seed: Seed of the bootstrap and of the permutations.
        draws: Number of bootstrap draws; people are drawn within their group.
        permutations: Number of permutations of people between the groups.

    Returns:
        Two tables, see `GroupScores`. With fewer than two groups there is no gap: NaN.

    Raises:
        DataError: A table is at fault, no annotator is in both, or somebody has several values.
        ConfigError: An attribute is not there, or none is named.
    """
    names = [by] if isinstance(by, str) else list(by)
    values = values_by_annotator(attributes, names)
    scores: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    for place in places_of(predictions, drawn="annotators"):
        metrics = [metric(place.rows) for metric in _metrics(place.rows)]
        for name in names:
            groups = _groups(place, values[name], least_people)
            key = {**place.key, "attribute": name}
            rng = np.random.default_rng(seed)
            drawn = {group.name: group.draws(rng, draws) for group in groups if group.is_shown}
            scores += [{**key, **row} for row in _score_rows(groups, metrics, drawn)]
            compared = [g for g in groups if g.is_shown and g.name != NOT_GIVEN]
            shuffled = _Shuffled(compared, permutations, rng)
            gaps += [{**key, **_gap(compared, m, drawn, shuffled)} for m in metrics]
    return GroupScores(
        pd.DataFrame(scores, columns=SCORE_COLUMNS), pd.DataFrame(gaps, columns=GAP_COLUMNS)
    )


@dataclass(frozen=True)
class _Group:
    """The people with one value of an attribute.

    Attributes:
        name: The value.
        people: Indices of the annotators.
        n_rows: Number of their rows.
        n_annotators: Number of annotators in all.
        is_shown: Whether there are enough of them.
    """

    name: str
    people: Int[np.ndarray, " people"]
    n_rows: int
    n_annotators: int
    is_shown: bool

    @property
    def weights(self) -> Float[np.ndarray, "1 annotators"]:
        """Everyone in the group once, nobody else."""
        return _counts(self.people[None], self.n_annotators)

    def draws(self, rng: np.random.Generator, draws: int) -> Float[np.ndarray, "draws annotators"]:
        """How often each annotator is drawn, as many from the group as it has."""
        chosen = rng.integers(len(self.people), size=(draws, len(self.people)))
        return _counts(self.people[chosen], self.n_annotators)


class _Shuffled:
    """Values of groups whose people were shuffled, the sizes of the groups being kept."""

    def __init__(self, groups: Sequence[_Group], times: int, rng: np.random.Generator) -> None:
        people = [group.people for group in groups]
        self._ends = np.cumsum([len(part) for part in people])[:-1]
        everyone = np.concatenate(people) if people else np.empty(0, dtype=np.int64)
        n = len(everyone)
        self._n_annotators = groups[0].n_annotators if groups else 0
        self._orders = rng.permuted(np.tile(everyone, (times, 1)), axis=1) if n else everyone[None]

    def gaps(self, metric: Metric) -> Float[np.ndarray, " permutations"]:
        """The gap of the metric in every permutation."""
        return np.concatenate([_spread(values) for values in self._values(metric)])

    def _values(self, metric: Metric) -> Iterator[Float[np.ndarray, "groups some"]]:
        at_once = max(1, MAX_CELLS // max(self._n_annotators, metric.shape[1]))
        for start in range(0, len(self._orders), at_once):
            parts = np.split(self._orders[start : start + at_once], self._ends, axis=1)
            yield np.stack([metric.at(_counts(part, self._n_annotators)) for part in parts])


def _metrics(rows: CodedRows) -> Sequence[Callable[[CodedRows], Metric]]:
    return (*OF_GROUPS, *OF_TWO_LABELS) if len(rows.labels) == 2 else OF_GROUPS


def _rate_of_misses(name: str, rows: CodedRows, label: int) -> Metric:
    having = rows.label == label
    missed = 1 - rows.correct[having]
    return mean_metric(name, rows.unit[having], missed, rows.n_units)


def _groups(place: Place, values: pd.Series, least_people: int) -> list[_Group]:
    if not np.isin(place.annotators, values.index.to_numpy(object)).any():
        raise DataError("attributes", ["none of the annotators of the predictions is in the table"])
    mine = values.reindex(place.annotators).fillna(NOT_GIVEN).to_numpy(object)
    rows = np.bincount(place.rows.annotator, minlength=place.rows.n_annotators)
    # The group of those who said nothing comes last.
    names = sorted(set(mine), key=lambda name: (name == NOT_GIVEN, name))
    groups = []
    for name in names:
        people = np.flatnonzero(mine == name)
        shown = len(people) >= least_people
        groups.append(_Group(name, people, int(rows[people].sum()), len(mine), shown))
    return groups


def _score_rows(
    groups: Sequence[_Group], metrics: Sequence[Metric], drawn: dict[str, np.ndarray]
) -> Iterator[dict[str, Any]]:
    nan = float("nan")
    for group in groups:
        counts = {"n_annotators": len(group.people), "n": group.n_rows}
        for metric in metrics:
            value, low, high = nan, nan, nan
            if group.is_shown:
                value = float(metric.at(group.weights)[0])
                low, high = _ends(metric.at(drawn[group.name]), value)
                low, high = max(low, metric.lowest), min(high, metric.highest)
            cells = {"value": value, "low": low, "high": high}
            name = {"group": group.name, "metric": metric.name}
            yield {**name, **cells, **counts, "suppressed": not group.is_shown}


def _gap(
    groups: Sequence[_Group], metric: Metric, drawn: dict[str, np.ndarray], shuffled: _Shuffled
) -> dict[str, Any]:
    nan = float("nan")
    nothing = {"gap": nan, "low": nan, "high": nan, "p_value": nan, "lowest": "", "highest": ""}
    values = np.array([float(metric.at(group.weights)[0]) for group in groups])
    defined = np.flatnonzero(np.isfinite(values))
    cells: dict[str, Any] = {"metric": metric.name, **nothing, "n_groups": len(defined)}
    if len(defined) < 2:
        return cells
    least, most = (groups[int(defined[f(values[defined])])] for f in (np.argmin, np.argmax))
    gap = float(np.ptp(values[defined]))
    low, high = _ends(metric.at(drawn[most.name]) - metric.at(drawn[least.name]), gap)
    chance = shuffled.gaps(metric)
    as_large = int((chance >= gap - _SAME).sum())
    cells |= {"gap": gap, "low": low, "high": high, "lowest": least.name, "highest": most.name}
    return cells | {"p_value": (1 + as_large) / (1 + len(chance))}


def _spread(values: Float[np.ndarray, "groups draws"]) -> Float[np.ndarray, " draws"]:
    """Highest less lowest of the values that are defined; -inf where there are none."""
    highest = np.where(np.isnan(values), -np.inf, values).max(axis=0)
    lowest = np.where(np.isnan(values), np.inf, values).min(axis=0)
    return np.where(
        np.isfinite(lowest), highest - np.where(np.isfinite(lowest), lowest, 0), -np.inf
    )


def _ends(drawn: np.ndarray, value: float) -> tuple[float, float]:
    """Percentile interval, moved so that its middle is the value (see `intervals`)."""
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn) or not np.isfinite(value):
        return float("nan"), float("nan")
    tail = 100 * (1 - CONFIDENCE) / 2
    low, middle, high = np.percentile(drawn, [tail, 50, 100 - tail])
    return min(value, float(value + low - middle)), max(value, float(value + high - middle))


def _counts(
    people: Int[np.ndarray, "draws people"], n_annotators: int
) -> Float[np.ndarray, "draws annotators"]:
    """How often each annotator stands in each row."""
    draws = len(people)
    cells = people + n_annotators * np.arange(draws)[:, None]
    counts = np.bincount(cells.ravel(), minlength=draws * n_annotators)
    return counts.reshape(draws, n_annotators).astype(np.float64)
