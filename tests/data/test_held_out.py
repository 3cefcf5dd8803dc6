"""Splits by annotator, and by annotator and text."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hyperadapters as ha
from hyperadapters.data import SplitBy, assign_splits
from hyperadapters.data.held_out import check_disjoint, held_out
from hyperadapters.errors import ConfigError, DataError


def table(n_texts=60, n_people=12):
    rows = [
        (f"t{t}", f"text {t}", f"a{p}", (t + p) % 2)
        for t in range(n_texts)
        for p in range(n_people)
    ]
    return pd.DataFrame(rows, columns=["text_id", "text", "annotator", "label"])


def parts(frame, column):
    return {name: set(rows[column]) for name, rows in frame.groupby("split")}


@settings(max_examples=25)
@given(st.integers(2, 12), st.integers(0, 1000), st.sampled_from(["annotator", "both"]))
def test_nobody_is_in_two_places(folds, seed, by):
    frame = table()
    out = [held_out(frame, SplitBy(by, f, folds, seed)) for f in range(folds)]
    assert frozenset.union(*out) == set(frame["annotator"]) and sum(map(len, out)) == 12
    assert max(map(len, out)) - min(map(len, out)) <= 1
    done = assign_splits(frame, by=by, fold=folds - 1, folds=folds, seed=seed)
    people, texts = parts(done, "annotator"), parts(done, "text")
    assert people["test"] == out[-1]
    assert people["train"] == people["dev"] == set(frame["annotator"]) - out[-1]
    assert not texts["train"] & texts["dev"]
    if by == "both":
        assert not texts["test"] & (texts["train"] | texts["dev"])
    else:
        assert len(done) == len(frame) and texts["test"] == set(frame["text"])


def test_the_order_of_the_rows_does_not_matter():
    frame = table()
    how = SplitBy("both", 1, 4, seed=3)
    assert held_out(frame, how) == held_out(frame.sample(frac=1, random_state=0), how)
    assert held_out(frame, how) != held_out(frame, SplitBy("both", 1, 4, seed=4))
    # Which texts are dev has nothing to do with the fold.
    dev = [parts(assign_splits(frame, by="annotator", fold=f), "text")["dev"] for f in range(5)]
    assert all(texts == dev[0] == parts(assign_splits(frame), "text")["dev"] for texts in dev)


def test_rows_that_are_in_no_split_are_left_out():
    frame = table()
    by_text = assign_splits(frame)
    out = by_text["annotator"].isin(held_out(frame, SplitBy("both")))
    done = assign_splits(frame, by="both")
    assert list(done.index) == list(range(len(done)))
    wanted = by_text[(by_text["split"] == "test") == out].reset_index(drop=True)
    pd.testing.assert_frame_equal(done, wanted)


def test_splits_of_the_table_stay():
    frame = table()
    number = frame["text_id"].str[1:].astype(int)
    frame["split"] = np.select([number < 10, number < 20], ["test", "dev"], "train")
    done = assign_splits(frame, by="both")
    assert parts(done, "text")["test"] == {f"text {i}" for i in range(10)}
    done = assign_splits(frame, by="annotator")
    assert parts(done, "text")["dev"] == {f"text {i}" for i in range(10, 20)}


def test_a_column_says_whose_fold_is_which():
    frame = table()
    frame["part"] = frame["annotator"].str[1:].astype(float) % 3
    assert held_out(frame, SplitBy("annotator", 1, "part")) == {"a1", "a4", "a7", "a10"}
    done = assign_splits(frame, by="both", fold="2", folds="part")
    assert parts(done, "annotator")["test"] == {"a2", "a5", "a8", "a11"}
    with pytest.raises(ConfigError, match="no annotator is in fold 7; column 'part' has"):
        assign_splits(frame, by="both", fold=7, folds="part")
    with pytest.raises(DataError, match="no column 'prt'"):
        assign_splits(frame, by="both", folds="prt")
    for wrong in (None, 9.0):
        frame.loc[0, "part"] = wrong
        with pytest.raises(DataError, match="does not tell one fold of a0"):
            assign_splits(frame, by="both", folds="part")
    with pytest.raises(ConfigError, match="nobody would be left"):
        assign_splits(frame.assign(part="x"), by="both", fold="x", folds="part")


def test_splits_that_are_not_disjoint():
    frame = table(6)
    frame["split"] = np.repeat(["test", "dev", "train", "train", "test", "train"], 12)
    frame["text"] = frame["text_id"].map(lambda name: "same" if name in ("t0", "t2") else name)
    with pytest.raises(DataError, match="the same text stands in test and elsewhere"):
        assign_splits(frame, by="both")
    assert len(assign_splits(frame, by="both", allow_leaks=True))
    check_disjoint(assign_splits(frame, by="annotator"), "annotator")
    with pytest.raises(DataError, match="the same annotator stands in test"):
        check_disjoint(frame, "annotator")


def test_mistakes():
    with pytest.raises(ConfigError, match="one of text, annotator, both, got 'people'"):
        SplitBy("people")
    with pytest.raises(ConfigError, match="at least 2"):
        SplitBy("both", 0, 1)
    for fold in (5, -1, "x"):
        with pytest.raises(ConfigError, match="fold must be from 0 to 4"):
            SplitBy("both", fold, 5)
    with pytest.raises(DataError, match="3 annotators are too few for 5 folds"):
        assign_splits(table(60, 3), by="annotator")
    few = table(60, 12)
    only = few[(few["annotator"] != "a0") | (few["text_id"] == "t1")]
    only = only.assign(split=np.where(only["text_id"] == "t0", "test", "train"), part="x")
    only.loc[only["annotator"] == "a0", "part"] = "y"
    with pytest.raises(DataError, match="no row falls to split test when the annotators of fold y"):
        assign_splits(only, by="both", fold="y", folds="part")
    assert ha.SplitBy is SplitBy
