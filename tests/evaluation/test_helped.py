import numpy as np
import pandas as pd
import pytest

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation import helped_and_hurt
from hyperadapters.evaluation.helped import COLUMNS


def rows_of(who, probabilities, label=1):
    return [(f"t{i}", who, label, p) for i, p in enumerate(probabilities)]


@pytest.fixture
def two(table):
    """x is better under `a` in nll and accuracy, y worse in nll alone, z equal; w has one row."""
    better = {"a": 0.9, "b": 0.2}, {"a": 0.6, "b": 0.8}, {"a": 0.7, "b": 0.7}
    parts = []
    for name in "ab":
        rows = [
            row for who, p in zip("xyz", better, strict=True) for row in rows_of(who, [p[name]] * 5)
        ]
        rows += rows_of("w", [0.1 if name == "a" else 0.9])
        parts.append(table(rows, method=name))
    return pd.concat(parts, ignore_index=True)


def test_shares_by_hand(two):
    found = helped_and_hurt(two, "b").set_index("metric")
    assert helped_and_hurt(two, "b").columns.tolist() == COLUMNS
    third = pytest.approx(1 / 3)
    assert found.loc["nll", ["better", "worse", "equal"]].tolist() == [third] * 3
    assert found.loc["accuracy", ["better", "worse", "equal"]].tolist() == [
        third,
        0,
        pytest.approx(2 / 3),
    ]
    assert found["n_annotators"].tolist() == [3, 3] and found["n_seeds"].tolist() == [1, 1]
    assert (found["method"] == "a").all() and (found["baseline"] == "b").all()
    everyone = helped_and_hurt(two, "b", min_rows=1).set_index("metric")
    assert everyone.loc["accuracy", ["better", "worse", "equal"]].tolist() == [0.25, 0.25, 0.5]


def test_better_and_worse_change_places_with_the_methods(two):
    ours, theirs = helped_and_hurt(two, "b"), helped_and_hurt(two, "a")
    assert ours["better"].tolist() == theirs["worse"].tolist()
    assert ours["equal"].tolist() == theirs["equal"].tolist()


def test_the_mean_over_shared_seeds_decides(table):
    # In seed 0 x gains little, in seed 1 x loses much; seed 2 of the baseline has no partner.
    parts = [
        table(rows_of("x", [p] * 5), method=m, seed=s)
        for m, s, p in (("a", 0, 0.55), ("b", 0, 0.5), ("a", 1, 0.1), ("b", 1, 0.9), ("b", 2, 0.01))
    ]
    (nll, _) = helped_and_hurt(pd.concat(parts), "b").to_dict("records")
    assert (nll["better"], nll["worse"], nll["n_seeds"]) == (0, 1, 2)
    alone = pd.concat([parts[0], parts[4]])
    (nll, _) = helped_and_hurt(alone, "b").to_dict("records")
    assert np.isnan(nll["better"]) and nll["n_seeds"] == 0


def test_the_interval_is_that_of_a_share(table):
    rng = np.random.default_rng(0)
    gains = rng.random(200) < 0.7
    parts = []
    for name in "ab":
        rows = [
            row
            for i, gain in enumerate(gains)
            for row in rows_of(f"p{i:03}", [0.5 if name == "b" else 0.4 + 0.2 * gain] * 5)
        ]
        parts.append(table(rows, method=name))
    (nll, _) = helped_and_hurt(pd.concat(parts), "b", draws=1000).to_dict("records")
    share = gains.mean()
    error = 1.96 * np.sqrt(share * (1 - share) / 200)
    assert nll["better"] == share
    assert nll["better_low"] == pytest.approx(share - error, abs=0.015)
    assert nll["better_high"] == pytest.approx(share + error, abs=0.015)


def test_nobody_with_enough_rows_is_nan(two):
    found = helped_and_hurt(two, "b", min_rows=6)
    assert found["better"].isna().all() and (found["n_annotators"] == 0).all()


def test_what_is_refused(two):
    with pytest.raises(ConfigError, match="no predictions of the baseline 'c'"):
        helped_and_hurt(two, "c")
    with pytest.raises(DataError, match="a, seed 0: not the rows"):
        helped_and_hurt(two.iloc[1:], "b")
