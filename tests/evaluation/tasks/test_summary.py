import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation.tasks import differences, summarise_runs


def table(rows, **place):
    """SCORES from (method, seed, value)."""
    methods, seeds, values = zip(*rows, strict=True)
    columns = {"split": "test", "slice": "all", "metric": "average", **place}
    numbers = {"value": values, "low": math.nan, "high": math.nan, "n": 9}
    return pd.DataFrame({"method": methods, "seed": seeds, **columns, **numbers})


def records(frame):
    return list(frame.itertuples(index=False, name=None))


def test_a_summary_by_hand():
    rows = [("ours", 0, 0.5), ("plain", 0, 0.25), ("ours", 1, 0.6), ("ours", 2, 0.7)]
    found = summarise_runs(table(rows))
    assert list(found.columns) == [
        *("method", "split", "slice", "metric", "mean", "std", "min", "max", "seeds")
    ]
    place = ("test", "all", "average")
    first, second = records(found)
    assert first == ("ours", *place, pytest.approx(0.6), pytest.approx(0.1), 0.5, 0.7, 3)
    assert second == ("plain", *place, 0.25, pytest.approx(math.nan, nan_ok=True), 0.25, 0.25, 1)


def test_what_rests_on_nothing_has_no_mean():
    found = summarise_runs(table([("ours", 0, math.nan), ("b", 0, 0.5), ("b", 1, math.nan)]))
    assert found["seeds"].tolist() == [0, 1]
    assert found["mean"].tolist() == pytest.approx([math.nan, 0.5], nan_ok=True)


def test_places_are_kept_apart_and_in_order():
    rows = [("m", seed, seed / 10) for seed in (0, 1)]
    parts = [
        table(rows, slice="u"),
        table(rows, slice="t", metric="f1"),
        table(rows, slice="t"),
        table(rows, slice="t", split="dev"),
    ]
    found = summarise_runs(pd.concat(parts, ignore_index=True))
    assert records(found[["split", "slice", "metric"]]) == [
        ("test", "u", "average"),
        ("test", "t", "f1"),
        ("test", "t", "average"),
        ("dev", "t", "average"),
    ]
    assert (found["seeds"] == 2).all()


def test_differences_by_hand():
    rows = [("plain", 0, 0.5), ("plain", 1, 0.6), ("plain", 2, 0.9)]
    rows += [("ours", 2, 0.95), ("ours", 0, 0.6), ("ours", 1, 0.75)]
    found = differences(table(rows), "plain")
    assert list(found.columns) == [
        *("method", "baseline", "split", "slice", "metric", "difference", "low", "high", "seeds")
    ]
    # 0.1, 0.15, 0.05: mean 0.1, sample std 0.05; t of 2 degrees of freedom at 97.5 %: 4.3027
    reach = 4.30265 * 0.05 / math.sqrt(3)
    [row] = records(found)
    assert row == (
        *("ours", "plain", "test", "all", "average", pytest.approx(0.1)),
        *(pytest.approx(0.1 - reach, rel=1e-5), pytest.approx(0.1 + reach, rel=1e-5), 3),
    )


def test_one_seed_has_no_interval():
    [row] = records(differences(table([("plain", 0, 0.5), ("ours", 0, 0.6)]), "plain"))
    assert row[5:] == pytest.approx((0.1, math.nan, math.nan, 1), nan_ok=True)


def test_only_seeds_that_both_have_are_compared():
    rows = [("plain", 0, 0.5), ("plain", 1, 0.5), ("ours", 1, 0.6), ("ours", 2, 0.9)]
    [row] = records(differences(table(rows), "plain"))
    assert (row[5], row[-1]) == (pytest.approx(0.1), 1)
    with pytest.raises(DataError, match=r"method 'ours' has seeds \[2\] and 'plain' has \[0, 1\]"):
        differences(table([*rows[:2], rows[3]]), "plain")


def test_scores_that_the_baseline_lacks_are_not_hidden():
    both = table([("plain", 0, 0.5), ("ours", 0, 0.6)])
    more = table([("ours", 0, 0.7)], slice="t")
    found = differences(pd.concat([both, more], ignore_index=True), "plain")
    assert found["slice"].tolist() == ["all", "t"]
    assert found["seeds"].tolist() == [1, 0]
    assert found["difference"].isna().tolist() == [False, True]


def test_baselines_that_are_not_there():
    rows = table([("plain", 0, 0.5), ("ours", 0, 0.6)])
    with pytest.raises(ConfigError, match=r"no method 'plan' to compare with; did you mean 'plai"):
        differences(rows, "plan")
    with pytest.raises(ConfigError, match="the scores have only the method 'plain'"):
        differences(rows[:1], "plain")


@pytest.mark.parametrize("function", [summarise_runs, lambda scores: differences(scores, "m")])
def test_faults_of_the_table_are_reported(function):
    twice = table([("m", 0, 0.5), ("m", 1, 0.5), ("m", 0, 0.6)])
    with pytest.raises(DataError, match=r"scores: the same method, seed, .* before \(row 3\)"):
        function(twice)
    with pytest.raises(DataError, match="scores: column 'metric' is missing"):
        function(twice.drop(columns="metric"))
    with pytest.raises(DataError, match="scores: there are no rows"):
        function(twice.iloc[:0])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 1)] * 2), min_size=2, max_size=6))
def test_differences_as_the_paired_t_test_says(pairs):
    rows = [("plain", seed, low) for seed, (low, _) in enumerate(pairs)]
    rows += [("ours", seed, high) for seed, (_, high) in enumerate(pairs)]
    [row] = records(differences(table(rows), "plain"))
    away = [high - low for low, high in pairs]
    assert row[5] == pytest.approx(sum(away) / len(away), abs=1e-12)
    if max(away) - min(away) > 1e-6:  # SciPy warns of differences that do not vary
        one, other = ([side for side in sides] for sides in zip(*pairs, strict=True))
        wanted = stats.ttest_rel(other, one).confidence_interval()
        assert row[6:8] == pytest.approx((wanted.low, wanted.high), abs=1e-9)
