import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.labels import LabelSpace
from hyperadapters.tables import predictions_frame
from hyperadapters.tables.aggregates import added, aggregates_of, moments_of

SPACES = [LabelSpace(("fine", "toxic")), LabelSpace((0, 1, 2, 4), "ordinal"), LabelSpace((0, 1))]


def slowly(frame, labels):
    """The aggregates by their definitions, text by text."""
    rows = []
    for text_id, part in frame.groupby("text_id", sort=False):
        row = {"text_id": text_id, "n_annotators": len(part)}
        row |= {name: part[name].mean() for name in labels.columns}
        shares = {name: (part["predicted"] == name).mean() for name in labels.names}
        row |= {f"share_{name}": share for name, share in shares.items()}
        row["predicted"] = max(labels.names, key=lambda k: (shares[k], row[f"p_{k}"]))
        row["entropy"] = -sum(s * np.log(s) for s in shares.values() if s) / np.log(len(labels))
        pairs = list(itertools.product(part["predicted"], repeat=2))
        row["disagreement"] = np.mean([a != b for a, b in pairs])
        row |= {f"std_{name}": part[f"p_{name}"].std(ddof=0) for name in labels.names}
        if labels.is_integer:
            expected = sum(name * part[f"p_{name}"] for name in labels.names)
            row |= {"expected_mean": expected.mean(), "expected_std": expected.std(ddof=0)}
        rows.append(row)
    return pd.DataFrame(rows)


@st.composite
def predictions(draw):
    labels = draw(st.sampled_from(SPACES))
    keys = [(t, a) for t in range(4) for a in range(5)]
    pairs = draw(st.lists(st.sampled_from(keys), min_size=1, unique=True))
    cells = st.lists(st.integers(1, 6), min_size=len(labels), max_size=len(labels))
    weights = np.array([draw(cells) for _ in pairs], float)
    cuts = draw(st.lists(st.integers(0, len(pairs)), max_size=4).map(sorted))
    return labels, pairs, weights / weights.sum(axis=1, keepdims=True), cuts


@given(predictions())
def test_aggregates_by_their_definitions(given):
    labels, pairs, p, cuts = given
    frame = predictions_frame([f"t{t}" for t, _ in pairs], [f"a{a}" for _, a in pairs], p, labels)
    bounds = [0, *cuts, len(frame)]
    pieces = [frame.iloc[a:b] for a, b in itertools.pairwise(bounds) if a < b]
    found = aggregates_of(added([moments_of(piece, labels) for piece in pieces]), labels)
    wanted = slowly(frame, labels)
    assert list(found) == list(wanted)
    # Means of equal values may differ in the last digit, and with them who wins a tie.
    tied = [_tied(row, labels) for _, row in wanted.iterrows()]
    columns = [name for name in wanted if name != "predicted"]
    pd.testing.assert_frame_equal(found[columns], wanted[columns], check_dtype=False, atol=1e-9)
    same = (found["predicted"].astype(str) == wanted["predicted"].astype(str)).to_numpy()
    assert (same | np.array(tied)).all()


def _tied(row, labels):
    scores = sorted((row[f"share_{k}"], row[f"p_{k}"]) for k in labels.names)
    first, second = scores[-1], scores[-2]
    return np.isclose(first[0], second[0]) and np.isclose(first[1], second[1])


def test_a_known_text():
    labels = LabelSpace((0, 1))
    p = np.array([[0.2, 0.8], [0.6, 0.4], [0.6, 0.4], [0.4, 0.6]])
    frame = predictions_frame(["t"] * 4, list("abcd"), p, labels)
    (row,) = aggregates_of(moments_of(frame, labels), labels).to_dict("records")
    assert row["share_0"] == row["share_1"] == 0.5
    assert row["predicted"] == 1  # equal shares, higher mean
    assert row["entropy"] == pytest.approx(1.0)
    assert row["disagreement"] == 0.5
    assert row["expected_mean"] == pytest.approx(0.55)
    assert row["expected_std"] == pytest.approx(row["std_1"]) == pytest.approx(p[:, 1].std())


def test_everybody_agrees_exactly():
    labels = LabelSpace(("fine", "toxic"))
    frame = predictions_frame(["t"] * 3, list("abc"), np.array([[0.9, 0.1]] * 3), labels)
    (row,) = aggregates_of(moments_of(frame, labels), labels).to_dict("records")
    assert row["entropy"] == row["disagreement"] == row["std_fine"] == 0
    assert str(row["entropy"]) == "0.0"
    assert "expected_mean" not in row
