"""Is it known beforehand which texts people will disagree about?

The disagreement of a text is the entropy of its labels. The predicted one is the entropy of the
mean of the probabilities that were predicted for the people who labelled it: it is high where they
are told apart, and also where the model is in doubt about all of them. Texts with a single rating
cannot show disagreement and are left out.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy import sparse

from hyperadapters.evaluation.counts import CodedRows, Metric, ratio, sums_of, text_metric
from hyperadapters.evaluation.soft import distributions, entropy

PerText = Float[np.ndarray, " texts"]
Draws = Float[np.ndarray, "draws texts"]


def disagreement_pearson(rows: CodedRows) -> Metric:
    """Pearson correlation over texts of the predicted with the true disagreement.

    Undefined where all texts are equally disputed, or predicted to be.

    Range -1 to 1, higher is better. `n`: texts with two ratings or more. Source: SciPy,
    ``pearsonr``; of disagreement: Davani et al. 2022.
    """
    texts, true, guess = _disagreement(rows)
    n = len(texts) if _differ(true) and _differ(guess) else 0
    # Around the means of the sample, so that differences of large sums lose no digits.
    x, y = (value - value.mean() if len(texts) else value for value in (true, guess))
    amounts = np.concatenate([np.ones(len(texts)), x, y, x * x, y * y, x * y])
    columns = np.repeat(np.arange(6), len(texts))
    sums = sums_of(np.tile(texts, 6), columns, amounts, (rows.n_texts, 6))
    metric = Metric("disagreement_pearson", sums, _correlation, n, lowest=-1.0)
    return text_metric(rows, metric)


def disagreement_spearman(rows: CodedRows) -> Metric:
    """Spearman's rank correlation over texts of the predicted with the true disagreement.

    Equal values share the mean of their ranks, also where a text is drawn several times.

    Range -1 to 1, higher is better. `n`: texts with two ratings or more. Source: SciPy,
    ``spearmanr``.
    """
    texts, true, guess = _disagreement(rows)
    n = len(texts) if _differ(true) and _differ(guess) else 0

    def finish(weights: Draws) -> Float[np.ndarray, " draws"]:
        x, y = (_ranks(value, weights) for value in (true, guess))
        total = weights.sum(axis=1)
        moments = [(weights * part).sum(axis=1) for part in (x, y, x * x, y * y, x * y)]
        return _correlation(np.stack([total, *moments], axis=1))

    return _of_weights("disagreement_spearman", rows, texts, finish, n, lowest=-1.0)


def disagreement_bias(rows: CodedRows) -> Metric:
    """By how much texts are predicted to be more disputed than they are: mean difference, in nats.

    Below zero a model takes people to be more alike than they are; few ratings of a text have less
    entropy than the probabilities that they were drawn from, which pulls it up.

    Range -`log` to `log` of the number of labels, neither end is better: 0 is. `n`: texts with two
    ratings or more. Source: the calibration in the large of Cox 1958, of the two disagreements.
    """
    texts, true, guess = _disagreement(rows)
    n = len(texts)
    amounts = np.concatenate([guess - true, np.ones(n)])
    sums = sums_of(np.tile(texts, 2), np.repeat(np.arange(2), n), amounts, (rows.n_texts, 2))
    most = math.log(max(2, len(rows.labels)))

    def finish(totals: Float[np.ndarray, "draws 2"]) -> Float[np.ndarray, " draws"]:
        return ratio(totals[:, 0], totals[:, 1])

    metric = Metric("disagreement_bias", sums, finish, n, lowest=-most, highest=most)
    return text_metric(rows, metric)


def contested_auroc(rows: CodedRows) -> Metric:
    """Whether contested texts are found: area under the ROC curve of the predicted disagreement.

    A text is contested if its labels are not unanimous. The value is the chance that a contested
    text is predicted to be more disputed than a unanimous one, 1/2 for a blind guess; ties count
    half. Undefined without texts of both kinds.

    Range 0 to 1, higher is better. `n`: texts with two ratings or more. Source: scikit-learn,
    ``roc_auc_score``.
    """
    texts, true, guess = _disagreement(rows)
    contested = true > 0
    n = len(texts) if contested.any() and not contested.all() else 0

    def finish(weights: Draws) -> Float[np.ndarray, " draws"]:
        above, below = weights * contested, weights * ~contested
        hits = (above * (_up_to(guess, below) - _tied(guess, below) / 2)).sum(axis=1)
        return ratio(hits, above.sum(axis=1) * below.sum(axis=1))

    return _of_weights("contested_auroc", rows, texts, finish, n)


def _disagreement(rows: CodedRows) -> tuple[np.ndarray, PerText, PerText]:
    """Texts with two ratings or more, their true and their predicted disagreement, in nats."""
    truth, guess = distributions(rows)
    texts = np.flatnonzero(np.bincount(rows.text, minlength=rows.n_texts) > 1)
    # Rounded: the order in which rows are summed must not decide what is equal.
    return texts, np.round(entropy(truth[texts]), 9), np.round(entropy(guess[texts]), 9)


def _differ(values: PerText) -> bool:
    return len(values) > 1 and bool(np.ptp(values) > 0)


def _of_weights(
    name: str,
    rows: CodedRows,
    texts: np.ndarray,
    finish: Callable[[Draws], Float[np.ndarray, " draws"]],
    n: int,
    lowest: float = 0.0,
) -> Metric:
    """A metric of ranks, which are no sums: what `finish` gets is how often each text counts."""
    cells = (np.ones(len(texts)), (texts, np.arange(len(texts))))
    sums = sparse.csr_array(cells, shape=(rows.n_texts, len(texts)))
    return text_metric(rows, Metric(name, sums, finish, n, lowest=lowest))


def _correlation(totals: Float[np.ndarray, "draws 6"]) -> Float[np.ndarray, " draws"]:
    """From ``n, x, y, x², y², xy``; NaN where one of the two does not vary."""
    n, x, y, xx, yy, xy = totals.T
    spread_x, spread_y = n * xx - x * x, n * yy - y * y
    # Rounding leaves a little where all values are equal.
    varies = (spread_x > 1e-9 * n * xx) & (spread_y > 1e-9 * n * yy)
    root = np.sqrt(np.where(varies, spread_x, 0.0)) * np.sqrt(np.where(varies, spread_y, 0.0))
    return np.clip(ratio(n * xy - x * y, root), -1, 1)


def _ranks(values: PerText, weights: Draws) -> Draws:
    """Mean ranks, around the middle one, of texts that count as often as their weights say."""
    ranks = _up_to(values, weights) - (_tied(values, weights) - 1) / 2
    return ranks - (weights.sum(axis=1, keepdims=True) + 1) / 2


def _up_to(values: PerText, weights: Draws) -> Draws:
    """Weight of the texts with this value or a lower one."""
    place = np.unique(values, return_inverse=True)[1]
    return np.cumsum(_by_value(place, weights), axis=1)[:, place]


def _tied(values: PerText, weights: Draws) -> Draws:
    """Weight of the texts with this very value."""
    place = np.unique(values, return_inverse=True)[1]
    return _by_value(place, weights)[:, place]


def _by_value(place: np.ndarray, weights: Draws) -> Float[np.ndarray, "draws values"]:
    """Weights added up over texts of the same value, in ascending order of values."""
    n_values = int(place.max()) + 1 if len(place) else 0
    cells = (np.ones(len(place)), (np.arange(len(place)), place))
    return weights @ sparse.csr_array(cells, shape=(len(place), n_values))
