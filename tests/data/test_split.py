import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.data import assign_splits, read_annotations
from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tables import find_leaks


def table(n_texts, split=None):
    """Two ratings for each of n texts."""
    texts = [f"text number {i}" for i in range(n_texts) for _ in range(2)]
    frame = pd.DataFrame({"text_id": texts, "text": texts})
    frame["annotator"] = ["a", "b"] * n_texts
    frame["label"] = [0, 1] * n_texts
    return frame if split is None else frame.assign(split=split)


def shares_of(frame):
    return frame["split"].value_counts(normalize=True).to_dict()


def test_shares():
    shares = shares_of(assign_splits(table(3000)))
    assert shares == pytest.approx({"train": 0.7, "dev": 0.1, "test": 0.2}, abs=0.02)


def test_train_alone_is_divided_like_no_split():
    pd.testing.assert_frame_equal(assign_splits(table(99, "train")), assign_splits(table(99)))


def test_known_places_never_change():
    split = assign_splits(table(12), (0.5, 0.25, 0.25)).set_index("text")["split"]
    places = "train train train test train dev test dev train test dev test"
    assert split.tolist()[::2] == places.split()


def test_dev_is_taken_from_train():
    frame = table(3000)
    frame["split"] = ["test" if i < 1000 else "train" for i in range(6000)]
    done = assign_splits(frame)
    assert (done["split"] == "test").equals(frame["split"] == "test")
    assert (done["split"] == "dev").sum() / 5000 == pytest.approx(1 / 8, abs=0.02)


def test_test_is_taken_from_train():
    frame = table(3000)
    frame["split"] = ["dev" if i < 1000 else "train" for i in range(6000)]
    assert (assign_splits(frame)["split"] == "test").sum() / 5000 == pytest.approx(2 / 9, abs=0.02)


def test_complete_splits_stay():
    frame = table(3)
    frame["split"] = ["train", "train", "dev", "dev", "test", "test"]
    done = assign_splits(frame)
    pd.testing.assert_frame_equal(done, frame)
    assert done is not frame


def test_share_zero_wants_no_such_split():
    assert set(assign_splits(table(200), (0.8, 0, 0.2))["split"]) == {"train", "test"}
    frame = table(2).assign(split=["train", "train", "test", "test"])
    assert assign_splits(frame, (0.8, 0.0, 0.2)).equals(frame)


def test_too_few_texts():
    with pytest.raises(DataError, match="2 different texts are too few: no text falls to split"):
        assign_splits(table(2))


def test_no_train():
    with pytest.raises(DataError, match=r"no row has split 'train'; there is \['dev'\]"):
        assign_splits(table(3, "dev"))


@pytest.mark.parametrize(
    "shares", [(1, 1, 1), (0.5, 0.5), (0, 0.5, 0.5), (1.2, -0.1, -0.1), (float("nan"), 0, 1)]
)
def test_shares_that_are_none(shares):
    with pytest.raises(ConfigError, match="shares must be three numbers"):
        assign_splits(table(3), shares)


@given(st.permutations(range(80)))
def test_order_of_rows_does_not_matter(order):
    frame = table(40)
    mixed = assign_splits(frame.iloc[order])
    assert mixed.sort_index().equals(assign_splits(frame))


@given(st.lists(st.integers(0, 30), min_size=200, max_size=200), st.integers(0, 3))
def test_a_text_is_never_in_two_splits(texts, n_spaces):
    shown = [f"Text{' ' * (1 + i % 2)}{t}" + " " * n_spaces for i, t in enumerate(texts)]
    frame = pd.DataFrame({"text": shown, "text_id": [str(i) for i in range(200)]})
    frame["annotator"], frame["label"] = "a", 0
    try:
        done = assign_splits(frame)
    except DataError:
        return
    assert find_leaks(done) == []


@given(st.integers(60, 90))
def test_places_do_not_depend_on_other_texts(n_texts):
    few, many = assign_splits(table(60)), assign_splits(table(n_texts))
    assert many["split"].tolist()[: len(few)] == few["split"].tolist()


@pytest.mark.real
def test_real_table_without_split(real_data):
    frame = read_annotations(real_data / "perspectives" / "convabuse.parquet", allow_leaks=True)
    done = assign_splits(frame.drop(columns="split"))
    assert find_leaks(done) == []
    assert set(done["split"]) == {"train", "dev", "test"}
