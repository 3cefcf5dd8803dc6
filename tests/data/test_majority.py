import numpy as np
import pandas as pd
import pytest

from hyperadapters.data import with_majority_labels


def ratings(*rows, split="train"):
    columns = ["text_id", "annotator", "label"]
    return pd.DataFrame(rows, columns=columns).assign(split=split)


def test_each_row_has_the_label_of_most():
    table = ratings(("x", "a", 1), ("y", "a", 0), ("x", "b", 1), ("x", "c", 0), ("y", "b", 0))
    found = with_majority_labels(table)
    assert found["label"].tolist() == [1, 0, 1, 1, 0]
    pd.testing.assert_frame_equal(found.drop(columns="label"), table.drop(columns="label"))
    assert table["label"].tolist() == [1, 0, 1, 0, 0]


def test_ties_go_to_what_is_more_frequent_in_all_and_then_to_the_first_name():
    tied = [("x", "a", "no"), ("x", "b", "yes")]
    assert with_majority_labels(ratings(*tied))["label"].tolist() == ["no", "no"]
    more = ratings(*tied, ("y", "a", "yes"))
    assert with_majority_labels(more)["label"].tolist() == ["yes", "yes", "yes"]


def test_splits_are_apart_and_rows_without_a_label_stay_so():
    table = pd.concat(
        [
            ratings(("x", "a", 1.0), ("x", "b", np.nan), ("z", "a", np.nan)),
            ratings(("x", "a", 0.0), ("x", "b", 0.0), split="dev"),
        ],
        ignore_index=True,
    )
    found = with_majority_labels(table)["label"]
    assert found.isna().tolist() == [False, True, True, False, False]
    assert found.dropna().tolist() == [1, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    rows = [(f"t{t}", f"a{a}", int(rng.integers(3))) for t in range(6) for a in range(4)]
    table = ratings(*rows)
    mixed = table.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(
        with_majority_labels(mixed).sort_index(), with_majority_labels(table)
    )
