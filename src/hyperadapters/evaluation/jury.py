r"""VERDICTS: what a jury of weighted people would say of each text.

With weights w_j and probabilities p_j of juror j the jury's distribution is Σ w_j p_j / Σ w_j, and
its verdict the label that most of the weight is predicted to give (Gordon et al. 2022, *Jury
Learning*, https://arxiv.org/abs/2202.02950, likewise ask chosen people of a model of single
annotators). Only PREDICTIONS are looked at, of this library or any other.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import sparse

from hyperadapters.errors import DataError
from hyperadapters.evaluation.jurors import choose_jurors
from hyperadapters.labels import Decision, LabelSpace
from hyperadapters.tables.frames import column_of
from hyperadapters.tables.predictions import check_predictions, label_space_of

LEVEL = 0.9
DRAWS = 1000
NORMAL_90 = 1.6448536269514722
"""A central 90 % interval of a Gaussian reaches so many standard deviations to either side."""

_TEXTS_AT_ONCE = 2048
_TINY = 1e-6


def jury(
    predictions: pd.DataFrame,
    jurors: Mapping[str, float | int] | None = None,
    *,
    decision: Decision = "mode",
    seed: int = 0,
) -> pd.DataFrame:
    """The verdicts of a jury.

    Args:
        predictions: PREDICTIONS; rows by others than the jurors are left out. Columns
            ``low_<label>`` and ``high_<label>``, 90 % intervals of a row's probabilities, are
            added to the doubt where they are there and filled (see `Run.predict`).
        jurors: Id → weight, see `choose_jurors`; by default everybody, equally.
        decision: The verdict: ``"mode"``, the label of the largest share of the weight (of equal
            shares that of the higher probability, then the first), ``"median"`` of these shares,
            for labels on a scale, or ``"marginal"``, for sets of labels: the set that the jurors
            differ least from.
        seed: Of the draws, which are the same for every text.

    Returns:
        VERDICTS, one row for every text that one of the jurors has a prediction for, in the order
        of the table, of each method, seed and split:

        - `text_id`, `n_jurors`: how many of the jurors are heard;
        - `verdict`;
        - `dissent`: the share of the weight that is predicted to say otherwise;
        - `entropy` of these shares, divided by the logarithm of the number of labels;
        - `disagreement`: how often the answers of two jurors who are drawn by weight (perhaps the
          same) differ, 1 - Σ p_<label>²;
        - ``p_<label>``: the jury's probability of a label;
        - ``low_<label>``, ``high_<label>``: its 90 % interval, over juries of as many people drawn
          with replacement from this one, each drawn with their weight, and over what is not
          known of single people where the predictions say that; missing for a juror alone of whom
          nothing of the kind is said;
        - ``share_<label>``: the share of the weight that is predicted to give a label;
        - `split, method, seed`.

    Raises:
        ConditionError: A juror is not in the table.
        ConfigError: A weight is not a positive number; the median of labels without an order, or
            the marginal of labels that are no sets.
        DataError: The table is at fault, or intervals are not.
    """
    table = check_predictions(predictions, source="predictions")
    labels = label_space_of(table)
    people = set(column_of(table, "annotator"))
    weights = choose_jurors(people, jurors)
    kept = table.loc[table["annotator"].isin(weights)]
    return verdicts_of(kept, weights, labels, decision=decision, seed=seed)


def verdicts_of(
    predictions: pd.DataFrame,
    weights: Mapping[str, float],
    labels: LabelSpace,
    *,
    decision: Decision = "mode",
    seed: int = 0,
) -> pd.DataFrame:
    """As `jury`, of a piece of checked PREDICTIONS by jurors alone.

    Args:
        predictions: The piece: all rows of some texts.
        weights: Id → weight of the whole jury.
        labels: The labels.
        decision: See `jury`.
        seed: See `jury`.
    """
    drawn = _Draws.of(weights, seed)
    place = ["split", "method", "seed"]
    parts = []
    for key, rows in predictions.groupby(place, sort=False):
        part = _verdicts(rows, drawn, labels, decision)
        parts.append(part.assign(**dict(zip(place, cast(tuple[Any, ...], key), strict=True))))
    return pd.concat(parts, ignore_index=True)


class _Draws:
    """The weights of the jurors in the jury itself and in juries drawn from it.

    Attributes:
        place: Id → number.
        weights: Of the jury itself, shape ``(jurors,)``.
        drawn: Of the drawn ones, shape ``(jurors, draws)``.
        noise: A standard normal number for each, shape ``(draws,)``.
    """

    def __init__(
        self,
        place: Mapping[str, int],
        weights: Float[np.ndarray, " jurors"],
        drawn: Float[np.ndarray, "jurors draws"],
        noise: Float[np.ndarray, " draws"],
    ) -> None:
        self.place, self.weights, self.drawn, self.noise = place, weights, drawn, noise

    @classmethod
    def of(cls, weights: Mapping[str, float], seed: int) -> "_Draws":
        names = sorted(weights)
        values = np.array([weights[name] for name in names], np.float64)
        rng = np.random.default_rng(seed)
        n = len(names)
        counts = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS).T.astype(np.float64)
        return cls(
            {name: number for number, name in enumerate(names)},
            values,
            values[:, None] * counts,
            rng.standard_normal(DRAWS),
        )


def _verdicts(
    rows: pd.DataFrame, jury: _Draws, labels: LabelSpace, decision: Decision
) -> pd.DataFrame:
    text, names = pd.factorize(column_of(rows, "text_id"))
    who = column_of(rows, "annotator").map(jury.place).to_numpy(np.int64)
    n_texts = len(names)
    p = rows[list(labels.columns)].to_numpy(np.float64)
    chosen = labels.encode(column_of(rows, "predicted"))
    weight = jury.weights[who]
    total = np.bincount(text, weight, n_texts)
    mean = np.stack([np.bincount(text, weight * c, n_texts) for c in p.T], axis=1)
    mean /= total[:, None]
    cells = np.bincount(text * len(labels) + chosen, weight, n_texts * len(labels))
    shares = cells.reshape(n_texts, len(labels)) / total[:, None]
    verdict = _decided(shares, mean, labels, decision)
    low, high = _intervals(text, who, p, _spreads(rows, labels), mean, jury)
    out: dict[str, Any] = {
        "text_id": names,
        "n_jurors": np.bincount(text, minlength=n_texts),
        "verdict": labels.decode(verdict),
        # Not -0.0, nor what is left of a sum of shares.
        "dissent": np.abs(np.round(1.0 - shares[np.arange(n_texts), verdict], 12)),
        "entropy": _entropy(shares),
        "disagreement": 1.0 - (mean**2).sum(axis=1),
    }
    for name, values in (("p", mean), ("low", low), ("high", high), ("share", shares)):
        out |= {f"{name}_{label}": values[:, i] for i, label in enumerate(labels.names)}
    frame = pd.DataFrame(out)
    return frame.astype(
        dict.fromkeys(["text_id", *([] if labels.is_integer else ["verdict"])], "str")
    )


def _decided(
    shares: Float[np.ndarray, "texts labels"],
    mean: Float[np.ndarray, "texts labels"],
    labels: LabelSpace,
    decision: Decision,
) -> Int[np.ndarray, " texts"]:
    if decision == "median":
        return labels.decide(shares, decision)
    if decision == "marginal":  # equal shares are told apart by the probabilities
        return labels.decide((shares + _TINY * mean) / (1 + _TINY), decision)
    # Weights add up in another order in another table: shares are equal up to rounding.
    return np.lexsort((-mean, -np.round(shares, 12)), axis=1)[:, 0]


def _spreads(rows: pd.DataFrame, labels: LabelSpace) -> Float[np.ndarray, "rows labels"]:
    """Standard deviations that the intervals of rows stand for; 0 where there is none.

    Raises:
        DataError: An interval is not two numbers in order.
    """
    ends = []
    for side in ("low", "high"):
        names = [f"{side}_{name}" for name in labels.names]
        if not set(names) <= set(rows):
            return np.zeros((len(rows), len(labels)))
        numbers = rows[names].apply(pd.to_numeric, errors="coerce")
        ends.append(numbers.to_numpy(np.float64, na_value=np.nan))
    width = ends[1] - ends[0]
    if (width < 0).any() or np.isinf(width).any():
        raise DataError("predictions", ["an interval low_<label> to high_<label> is not in order"])
    return np.nan_to_num(width) / (2 * NORMAL_90)


def _intervals(
    text: Int[np.ndarray, " rows"],
    who: Int[np.ndarray, " rows"],
    p: Float[np.ndarray, "rows labels"],
    spread: Float[np.ndarray, "rows labels"],
    mean: Float[np.ndarray, "texts labels"],
    jury: _Draws,
) -> tuple[Float[np.ndarray, "texts labels"], Float[np.ndarray, "texts labels"]]:
    low, high = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    shape = (len(mean), len(jury.weights))
    # What is said of single people, or several of them, make a text's interval.
    says = np.bincount(text, minlength=len(mean)) > 1
    heard = sparse.csr_matrix((np.ones(len(text)), (text, who)), shape)
    for label, column in enumerate(p.T):
        given = sparse.csr_matrix((column, (text, who)), shape)
        variance = sparse.csr_matrix((spread[:, label] ** 2, (text, who)), shape)
        doubted = np.bincount(text, spread[:, label], len(mean)) > 0
        for texts in _blocks(np.flatnonzero(says | doubted)):
            total = heard[texts] @ jury.drawn
            empty = total == 0
            total[empty] = np.nan
            values = (given[texts] @ jury.drawn) / total
            if doubted[texts].any():
                # A juror who is drawn twice is the same person twice.
                values += np.sqrt(variance[texts] @ jury.drawn**2) / total * jury.noise
            tail = (1 - LEVEL) / 2
            ends = np.nanquantile(values, [tail, 1 - tail], axis=1)
            low[texts, label] = np.clip(np.minimum(ends[0], mean[texts, label]), 0, 1)
            high[texts, label] = np.clip(np.maximum(ends[1], mean[texts, label]), 0, 1)
    return low, high


def _blocks(texts: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        yield texts[start : start + _TEXTS_AT_ONCE]


def _entropy(shares: Float[np.ndarray, "texts labels"]) -> Float[np.ndarray, " texts"]:
    logarithms = np.log(np.where(shares > 0, shares, 1.0))
    return np.abs((shares * logarithms).sum(axis=1)) / np.log(shares.shape[1])
