import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.data.tasks.splits import LEFT_OUT, divide, draw
from hyperadapters.errors import DataError

RULES = ("official", "half", "thousand")
ROWS = st.lists(st.sampled_from(["train", "dev", "test"]), min_size=1, max_size=300)


def official(train=0, dev=0, test=0):
    return np.array(["train"] * train + ["dev"] * dev + ["test"] * test, dtype=object)


def counts(split):
    names, numbers = np.unique(split.astype(str), return_counts=True)
    return dict(zip(names.tolist(), numbers.tolist(), strict=True))


@given(ROWS, st.sampled_from(RULES))
def test_no_row_is_lost_or_in_two_splits(rows, rule):
    rows = np.array(rows, dtype=object)
    try:
        split, division = divide(rows, rule, source="x")
    except DataError:  # too few rows of train
        return
    assert len(split) == len(rows)
    assert set(split) <= {"train", "dev", "test", LEFT_OUT}
    assert (split == LEFT_OUT).sum() == division.n_left_out
    # Only test rows are ever left out, and none of them is trained or chosen on.
    assert set(rows[split == LEFT_OUT]) <= {"test"}
    assert set(split[rows == "test"]) <= {"test", LEFT_OUT}
    assert not (split[rows == "dev"] == "train").any()


@given(st.integers(1, 400), st.integers(1, 400))
def test_half(n_train, n_dev):
    split, division = divide(official(n_train, n_dev), "half", source="x")
    assert (split == "train").sum() == n_train
    assert (split == "dev").sum() == n_dev // 2
    assert (split == "test").sum() == n_dev - n_dev // 2
    assert division.used == "half"
    assert (split[:n_train] == "train").all()


def test_half_is_the_papers_permutation():
    split, _ = divide(official(5, 277), "half", source="x")
    order = torch.randperm(277, generator=torch.Generator().manual_seed(42)).numpy()
    assert sorted(np.flatnonzero(split == "dev") - 5) == sorted(order[:138])
    assert sorted(np.flatnonzero(split == "test") - 5) == sorted(order[138:])


def test_thousand_is_the_papers_permutation():
    split, division = divide(official(2500, 30), "thousand", source="x")
    order = torch.randperm(2500, generator=torch.Generator().manual_seed(42)).numpy()
    assert sorted(np.flatnonzero(split == "dev")) == sorted(order[:1000])
    assert counts(split) == {"train": 1500, "dev": 1000, "test": 30}
    assert (split[2500:] == "test").all()
    assert division.to_dict() == {"asked": "thousand", "used": "thousand", "left_out": 0}


@pytest.mark.parametrize("rule", ["half", "thousand"])
def test_a_test_split_without_labels_is_left_out(rule):
    split, division = divide(official(1001, 10, 7), rule, source="x")
    assert (split[-7:] == LEFT_OUT).all()
    assert division.n_left_out == 7


def test_official_splits_stay():
    split, division = divide(official(10, 5, 6), "official", source="x")
    assert (split == official(10, 5, 6)).all()
    assert division.used == "official"


def test_official_without_test_is_half():
    split, division = divide(official(10, 5), "official", source="x")
    assert counts(split) == {"train": 10, "dev": 2, "test": 3}
    assert division.to_dict() == {"asked": "official", "used": "half", "left_out": 0}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("n_train", "n_dev"), [(4076, 407), (20_000, 1000), (10, 1), (19, 1)])
def test_without_validation_dev_is_carved_from_train(rule, n_train, n_dev):
    split, division = divide(official(n_train, 0, 30), rule, source="x")
    assert counts(split) == {"train": n_train - n_dev, "dev": n_dev, "test": 30}
    assert division.used == "carved"
    order = torch.randperm(n_train, generator=torch.Generator().manual_seed(42)).numpy()
    assert sorted(np.flatnonzero(split == "dev")) == sorted(order[:n_dev])


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("official", {"dev": 4, "test": 5}),
        ("half", {"dev": 4, "test": 5}),
        ("thousand", {"test": 9}),
    ],
)
def test_validation_alone(rule, wanted):
    split, _ = divide(official(0, 9), rule, source="x")
    assert counts(split) == wanted


@pytest.mark.parametrize("rule", RULES)
def test_test_alone(rule):
    split, division = divide(official(0, 0, 9), rule, source="x")
    assert counts(split) == {"test": 9}
    assert division.used == "official"


def test_train_too_small_for_a_thousand():
    with pytest.raises(DataError) as caught:
        divide(official(1000, 30), "thousand", source="x.csv: task sst2")
    assert str(caught.value) == (
        "x.csv: task sst2: dev is taken from train, which must have more than 1000 rows for that;"
        " it has 1000\nGive the file a dev split of its own, or name another `split_rule`."
    )


def test_train_too_small_to_carve():
    with pytest.raises(DataError, match="must have 10 rows or more for that; it has 9"):
        divide(official(9, 0, 3), "official", source="x")


@given(ROWS, st.integers(1, 50), st.integers(0, 5))
def test_drawn_rows_are_as_many_as_allowed(rows, limit, seed):
    rows = np.array(rows, dtype=object)
    kept = draw(rows, {"train": limit}, seed, "t")
    assert kept[rows != "train"].all()
    assert kept[rows == "train"].sum() == min(limit, (rows == "train").sum())
    assert (kept == draw(rows, {"train": limit}, seed, "t")).all()


def test_seeds_tasks_and_splits_draw_differently():
    rows = official(200, 200)
    limits = {"train": 20, "dev": 20}
    one = draw(rows, limits, 0, "a")
    assert (one != draw(rows, limits, 1, "a")).any()
    assert (one != draw(rows, limits, 0, "b")).any()
    assert (one[:200] != one[200:]).any()


def test_a_larger_draw_contains_the_smaller():
    rows = official(200)
    few, many = (draw(rows, {"train": n}, 0, "a") for n in (10, 50))
    assert not (few & ~many).any()
