"""AGGREGATES: what all the people who were asked would say of a text, in one row.

Columns: `text_id`, `n_annotators`; `p_<label>`, the mean probability of a label over the people;
`share_<label>`, the share of the people of whom it is predicted; `predicted`, the label of the
highest share (of equal shares that of the higher mean probability, then the first); `entropy` of
the shares, divided by the logarithm of the number of labels, so that 0 is one voice and 1 an even
split; `disagreement`, 1 - sum of squared shares: how often two people drawn at random (perhaps the
same) differ; `std_<label>`, the standard deviation of the probability over the people (divided by
their number); of integer labels also `expected_mean` and `expected_std`, mean and standard
deviation over the people of the label that each is expected to give.

They are made of *moments*, a table with one row per text that can be added up, so that the rows of
a text may come in several pieces.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from hyperadapters.labels import LabelSpace
from hyperadapters.tables.frames import column_of, columns_of

_EXPECTED = "expected"


def moments_of(predictions: pd.DataFrame, labels: LabelSpace) -> pd.DataFrame:
    """What the aggregates of some PREDICTIONS are made of, one row per text.

    Args:
        predictions: Columns `text_id`, `predicted` and ``p_<label>``.
        labels: The labels.

    Returns:
        `text_id`, `n`, and for every label the number of people it is predicted of, and mean and
        sum of squared deviations of its probability; texts in the order of their first rows.
    """
    values = _values(predictions, labels)
    text, names = pd.factorize(column_of(predictions, "text_id"))
    n = np.bincount(text)
    table: dict[str, Any] = {"text_id": names, "n": n}
    chosen = column_of(predictions, "predicted").to_numpy()
    for name in labels.names:
        table[f"count_{name}"] = np.bincount(text, chosen == name).astype(np.int64)
    for key, column in values.items():
        mean = np.bincount(text, column) / n
        table[f"mean_{key}"] = mean
        table[f"squares_{key}"] = np.bincount(text, (column - mean[text]) ** 2)
    return pd.DataFrame(table)


def added(pieces: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Moments of all rows from those of some rows each.

    As in Chan, Golub & LeVeque 1979: squared deviations are moved to the common mean, which loses
    no digits as a difference of large sums would.
    """
    table = pd.concat(list(pieces), ignore_index=True)
    if not table["text_id"].duplicated().any():
        return table
    text, names = pd.factorize(column_of(table, "text_id"))
    n = column_of(table, "n").to_numpy()
    total = np.bincount(text, n)
    out: dict[str, Any] = {"text_id": names, "n": total.astype(np.int64)}
    for name in table.columns[2:]:
        column = column_of(table, name).to_numpy()
        kind, _, key = str(name).partition("_")
        if kind == "mean":
            out[name] = np.bincount(text, n * column) / total
        elif kind == "squares":
            moved = n * (column_of(table, f"mean_{key}").to_numpy() - out[f"mean_{key}"][text]) ** 2
            out[name] = np.bincount(text, column + moved)
        else:
            out[name] = np.bincount(text, column).astype(np.int64)
    return pd.DataFrame(out)


def aggregates_of(moments: pd.DataFrame, labels: LabelSpace) -> pd.DataFrame:
    """AGGREGATES, one row per text; see the module for the columns."""
    n = column_of(moments, "n").to_numpy()
    counts = columns_of(moments, [f"count_{name}" for name in labels.names]).to_numpy(np.float64)
    means = columns_of(moments, [f"mean_{name}" for name in labels.columns]).to_numpy()
    shares = counts / n[:, None]
    first = np.lexsort((-means, -shares), axis=1)[:, 0]
    keys = [*labels.columns, *([_EXPECTED] if labels.is_integer else [])]
    std = {key: np.sqrt(column_of(moments, f"squares_{key}").to_numpy() / n) for key in keys}
    names = labels.names
    table: dict[str, Any] = {"text_id": moments["text_id"], "n_annotators": n}
    table |= dict(zip(labels.columns, means.T, strict=True))
    table |= {f"share_{name}": share for name, share in zip(names, shares.T, strict=True)}
    table["predicted"] = labels.decode(first)
    table["entropy"] = _entropy(shares)
    table["disagreement"] = 1.0 - (shares**2).sum(axis=1)
    table |= {f"std_{name}": std[key] for name, key in zip(names, labels.columns, strict=True)}
    if labels.is_integer:
        table["expected_mean"] = moments[f"mean_{_EXPECTED}"]
        table["expected_std"] = std[_EXPECTED]
    frame = pd.DataFrame(table)
    texts = ["text_id"] if labels.is_integer else ["text_id", "predicted"]
    return frame.astype(dict.fromkeys(texts, "str"))


def _values(predictions: pd.DataFrame, labels: LabelSpace) -> dict[str, np.ndarray]:
    values = {name: column_of(predictions, name).to_numpy(np.float64) for name in labels.columns}
    if labels.is_integer:
        scale = zip(labels.names, labels.columns, strict=True)
        values[_EXPECTED] = np.sum([int(k) * values[name] for k, name in scale], axis=0)
    return values


def _entropy(shares: Float[np.ndarray, "texts labels"]) -> Float[np.ndarray, " texts"]:
    logarithms = np.log(np.where(shares > 0, shares, 1.0))
    # Not -0.0 where all agree.
    return np.abs((shares * logarithms).sum(axis=1)) / np.log(shares.shape[1])
