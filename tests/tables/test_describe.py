import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.data import SplitDescription, describe, read_annotations


def table(rows, split=None):
    frame = pd.DataFrame(rows, columns=["text_id", "annotator", "label"])
    frame["text"] = "text " + frame["text_id"]
    return frame if split is None else frame.assign(split=split)


ROWS = [("1", "a", 0), ("1", "b", 1), ("2", "a", 1), ("2", "b", 1), ("3", "a", 0)]


def test_counts():
    found = describe(table(ROWS))
    assert (found.rows, found.texts, found.annotators) == (5, 3, 2)
    assert found.rows_per_annotator == (2, 2.5, 3)
    assert found.ratings_per_text == pytest.approx(5 / 3)
    assert found.label_shares == {0: 0.4, 1: 0.6}
    assert found.label_kind == "nominal"
    assert found.contested == 0.5
    assert found.splits == ()
    assert found.leaks == 0


def test_splits():
    found = describe(table([*ROWS, ("4", "c", 1)], ["train", "train", "dev", "dev", "dev", "test"]))
    assert found.splits == (
        SplitDescription("train", 2, 1, 2, 0, 0),
        SplitDescription("dev", 3, 2, 2, 0, 0),
        SplitDescription("test", 1, 1, 1, 1, 1),
    )


def test_leaks_count_texts():
    frame = table(ROWS, ["train", "test", "dev", "dev", "dev"])
    assert describe(frame).leaks == 1


def test_words_are_nominal():
    found = describe(table([("1", "a", "no"), ("1", "b", "yes"), ("2", "a", "perhaps")]))
    assert found.label_kind == "nominal"
    assert list(found.label_shares) == ["no", "perhaps", "yes"]


@pytest.mark.parametrize(
    "rows",
    [
        [("1", "a", 0), ("2", "a", 1)],
        [("1", "a", 0), ("1", "b", 0), ("2", "a", 1)],
    ],
)
def test_alpha_may_be_undefined(rows):
    assert describe(table(rows)).alpha is None


def test_contested_may_be_undefined():
    assert describe(table([("1", "a", 0), ("2", "a", 1)])).contested is None


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("1234"), st.sampled_from("abc")), st.integers(-1, 3), min_size=5
    ).filter(lambda ratings: len(set(ratings.values())) > 2)
)
def test_alpha_is_that_of_the_whole_matrix(ratings):
    found = describe(table([(*key, label) for key, label in ratings.items()]))
    assert found.label_kind == "ordinal"
    matrix = [[ratings.get((text, who), np.nan) for text in "1234"] for who in "abc"]
    try:
        with np.errstate(all="raise"):
            wanted = krippendorff.alpha(matrix, level_of_measurement="ordinal")
    except (ValueError, FloatingPointError):
        return
    if found.alpha is not None:
        assert found.alpha == pytest.approx(wanted)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "alpha"),
    [
        ("md_agreement", 0.36),
        ("hs_brexit", 0.35),
        ("convabuse", 0.65),
        ("csc_devtest", 0.35),
        ("paraphrase", 0.53),
        ("popquorn_offensiveness", 0.29),
        ("dense_toxicity", 0.55),
        ("hatecheck", 0.93),
    ],
)
def test_real_agreement(real_data, name, alpha):
    frame = read_annotations(real_data / "perspectives" / f"{name}.parquet", allow_leaks=True)
    assert describe(frame).alpha == pytest.approx(alpha, abs=0.0051)


@pytest.mark.real
def test_real_agreement_without_those_who_do_not_know(real_data):
    frame = read_annotations(real_data / "perspectives" / "crehate.parquet")
    assert describe(frame[frame["label"] < 2]).alpha == pytest.approx(0.37, abs=0.005)


@pytest.mark.real
def test_real_unseen_annotators(real_data):
    frame = read_annotations(real_data / "perspectives" / "md_agreement.parquet", allow_leaks=True)
    test = describe(frame).splits[-1]
    assert (test.name, test.annotators, test.unseen_annotators) == ("test", 246, 148)
    assert test.unseen_rows / test.rows == pytest.approx(0.31, abs=0.005)
