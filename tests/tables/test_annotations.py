from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.errors import DataError
from hyperadapters.tables import check_annotations, find_leaks, normalise_text
from hyperadapters.tables.texts import text_keys


def table(**columns):
    """Four good rows, with columns replaced or (None) removed."""
    good = {
        "text_id": ["1", "1", "2", "2"],
        "text": ["one", "one", "two", "two"],
        "annotator": ["a", "b", "a", "b"],
        "label": [0, 1, 1, 1],
    }
    columns = {name: values for name, values in (good | columns).items() if values is not None}
    return pd.DataFrame({n: pd.Series(v, dtype=object) for n, v in columns.items()})


def faults_of(frame, **options):
    with pytest.raises(DataError) as caught:
        check_annotations(frame, **options)
    return caught.value.faults


def only_fault(frame, **options):
    (fault,) = faults_of(frame, **options)
    return fault


def test_good_table_gets_the_promised_types():
    checked = check_annotations(table(age=[20, 30, 20, 30]).set_index(pd.Index([7, 7, 8, 9])))
    assert list(checked) == ["text_id", "text", "annotator", "label", "age"]
    assert checked.index.tolist() == [0, 1, 2, 3]
    assert checked["label"].dtype == np.int64
    for column in ("text_id", "text", "annotator"):
        assert pd.api.types.is_string_dtype(checked[column])


def test_the_given_table_stays_as_it_was():
    frame = table(annotator=[17.0, " b", 17.0, "b"], split=["val"] * 4)
    before = frame.copy(deep=True)
    check_annotations(frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("column", "option"),
    [
        ("text", "--text"),
        ("text_id", "--item"),
        ("annotator", "--annotator"),
        ("label", "--label"),
    ],
)
def test_missing_column_names_the_others_and_the_option(column, option):
    fault = only_fault(table(**{column: None}))
    others = ", ".join(name for name in table() if name != column)
    assert str(fault) == f"no column '{column}'; the columns are {others}; name yours with {option}"


@pytest.mark.parametrize("near", ["Label", "labels", "rating"])
def test_missing_column_suggests_a_near_miss(near):
    fault = only_fault(table().rename(columns={"label": near}))
    assert f"did you mean '{near}'? name yours with --label" in str(fault)


def test_a_table_without_columns():
    assert len(faults_of(pd.DataFrame())) == 5


@pytest.mark.parametrize("empty", ["", "  \n\t", "\u200b\ufeff", None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("column", ["text_id", "text", "annotator", "label"])
def test_empty_cells(column, empty):
    values = table()[column].tolist()
    fault = only_fault(table(**{column: [*values[:3], empty]}), first_row=2)
    assert fault.what == f"column '{column}' is empty"
    assert fault.rows == (5,)


@pytest.mark.parametrize("value", [5, ["one"], {"text": "one"}, b"one", True])
def test_texts_must_be_text(value):
    fault = only_fault(table(text=["one", "one", "two", value]))
    assert fault.what == "column 'text' holds something that is not text"
    assert fault.rows == (4,)


def test_lone_surrogates_are_refused():
    fault = only_fault(table(text=["one", "one", "two", "\ud800"]))
    assert (fault.what, fault.rows) == (
        "column 'text' holds half a character (a lone surrogate)",
        (4,),
    )


@pytest.mark.parametrize("value", [["a"], {"a": 1}, float("inf")])
def test_ids_must_be_names_or_numbers(value):
    fault = only_fault(table(annotator=["a", "b", "a", value]))
    assert fault.what == "column 'annotator' holds something that is no name or number"
    assert fault.rows == (4,)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([17, 18, 17.0, 18.0], ["17", "18", "17", "18"]),
        (["17.0", "18", "17.0", "18"], ["17", "18", "17", "18"]),
        (["1.0", "1.1", "1.0", "1.1"], ["1.0", "1.1", "1.0", "1.1"]),
        ([" a", "b\u200b", "a\t", "\ufeffb"], ["a", "b", "a", "b"]),
        ([2**60 + 1, "b", 2**60 + 1, "b"], [str(2**60 + 1), "b", str(2**60 + 1), "b"]),
        ([1.5, Decimal(3), 1.5, Decimal(3)], ["1.5", "3", "1.5", "3"]),
    ],
)
def test_annotator_ids(given, wanted):
    assert check_annotations(table(annotator=given))["annotator"].tolist() == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["0", "1", "1.0", " 1 "], [0, 1, 1, 1]),
        ([True, False, True, True], [1, 0, 1, 1]),
        (["True", "false", "TRUE", "true"], [1, 0, 1, 1]),
        ([0.0, 1.0, 1, "-3"], [0, 1, 1, -3]),
        (["yes", " no", "yes ", "None"], ["yes", "no", "yes", "None"]),
        ([str(2**62 + 1), 0, 1, "1e2"], [2**62 + 1, 0, 1, 100]),
        (["true", "maybe", "false", "NA"], ["true", "maybe", "false", "NA"]),
    ],
)
def test_labels(given, wanted):
    labels = check_annotations(table(label=given))["label"]
    assert labels.tolist() == wanted
    assert labels.dtype == np.int64 or pd.api.types.is_string_dtype(labels)


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (0.5, "label is a fractional number"),
        ("0.5", "label is a fractional number"),
        (np.inf, "label is not a finite number"),
        ("-inf", "label is not a finite number"),
        ("NaN", "label is not a finite number"),
        (2**63, "label is a whole number of more than 64 bits"),
        ("9" * 5000, "label is a whole number of more than 64 bits"),
        ([1], "label is neither a number nor a word"),
        ([[1], [1, 2]], "label is neither a number nor a word"),
        (pd.Timestamp("2024-01-01"), "label is neither a number nor a word"),
    ],
)
def test_labels_that_cannot_be_used(bad, what):
    fault = only_fault(table(label=[0, 1, bad, 1]))
    assert fault.what.startswith(what)
    assert fault.rows == (3,)


def test_mixed_labels_name_the_rows_of_the_fewer():
    fault = only_fault(table(label=[0, 1, "toxic", 1]))
    assert str(fault) == "labels mix numbers and words, e.g. 0 and 'toxic' (row 3)"


def test_one_label_is_not_enough_to_learn_from():
    frame = table(label=[1, 1, 1, 1])
    assert "there is only the label 1; 2 different labels are needed" in str(only_fault(frame))
    assert len(check_annotations(frame, min_labels=1)) == 4
    assert "label" not in check_annotations(table(label=None), min_labels=0)


def test_duplicates_name_all_their_rows():
    fault = only_fault(table(annotator=["a", "a ", "a", "b"]))
    assert fault.what.startswith("the same annotator has several labels for the same text;")
    assert fault.rows == (1, 2)


def test_two_texts_under_one_id():
    fault = only_fault(table(text=["one", "uno", "two", "two"]))
    assert fault.what == "different texts under one text_id; ids must tell texts apart"
    assert fault.rows == (1, 2)


def test_pairs_differ_where_their_second_text_does():
    assert only_fault(table(text_pair=["x", "y", "z", "z"])).rows == (1, 2)
    assert only_fault(table(text_pair=["x", "x", "z", None])).what == "column 'text_pair' is empty"
    assert "text_pair" in check_annotations(table(text_pair=["x", "x", "x", "x"]))


def test_split_names():
    checked = check_annotations(table(split=["Train ", "train", "validation", "val"]))
    assert checked["split"].tolist() == ["train", "train", "dev", "dev"]
    assert "split" not in check_annotations(table(split=[None, "", " ", np.nan]))


def test_unknown_and_missing_splits():
    unknown, missing = sorted(
        faults_of(table(split=["train", "train", "fold1", None])), key=lambda fault: fault.rows
    )
    assert str(unknown) == "split 'fold1' is not one of train, dev, test (row 3)"
    assert str(missing) == "column 'split' is empty here, but not in other rows (row 4)"


def test_leaks_under_several_ids():
    frame = table(text=["one", "one", "ONE\n", "ONE\n"], split=["train", "train", "test", "test"])
    fault = only_fault(frame)
    assert "stands in more than one split" in fault.what
    assert "--allow-leaks" in fault.what
    assert fault.rows == (1, 3)
    assert find_leaks(check_annotations(frame, allow_leaks=True)) == ["1", "2"]


def test_leaks_under_one_id():
    frame = table(split=["train", "test", "dev", "dev"])
    assert only_fault(frame).rows == (1, 2)
    assert find_leaks(check_annotations(frame, allow_leaks=True)) == ["1"]


def test_same_text_with_another_pair_is_no_leak():
    splits = ["train", "train", "test", "test"]
    frame = table(text=["one"] * 4, text_pair=["x", "x", "y", "y"], split=splits)
    assert find_leaks(check_annotations(frame)) == []


def test_leaks_without_split():
    assert find_leaks(check_annotations(table())) == []


def test_header_without_rows():
    assert only_fault(table().iloc[:0]).what == "there are no rows, at most a header"


def test_column_twice():
    frame = pd.concat([table(), table()[["label"]]], axis=1)
    assert only_fault(frame).what == "column 'label' occurs twice"


def test_all_faults_come_together():
    frame = table(
        text=["", "one", "two", "zwei"],
        annotator=["a", "b", None, "b"],
        label=[0, 0.5, 1, "x"],
        split=["train", "bad", "test", "test"],
    )
    with pytest.raises(DataError, match=r"^ratings: ") as caught:
        check_annotations(frame, source="ratings")
    whats = " | ".join(fault.what for fault in caught.value.faults)
    for part in ("'text' is empty", "'annotator' is empty", "fractional", "mix", "'bad'", "one te"):
        assert part in whats


def test_normalised_text_cannot_confuse_a_pair_with_a_text():
    assert normalise_text(" A\n b ") == "a b"
    assert normalise_text("a", "b") != normalise_text("a b")
    assert normalise_text("a\x1fb") != normalise_text("a", "b")


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.just([1])
)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS, CELLS), max_size=6))
def test_any_table_is_either_refused_or_clean(rows):
    frame = pd.DataFrame(rows, columns=["text_id", "text", "annotator", "label", "split"])
    frame = frame.astype(object)
    try:
        checked = check_annotations(frame)
    except DataError as error:
        assert error.faults
        return
    assert not checked.isna().any(axis=None)
    assert not checked.duplicated(["text_id", "annotator"]).any()


good_rows = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(0, 2)),
    min_size=2,
    unique_by=lambda row: row[:2],
).filter(lambda rows: len({row[2] for row in rows}) > 1)


@given(good_rows, st.booleans())
def test_checking_twice_changes_nothing(rows, with_splits):
    frame = pd.DataFrame(rows, columns=["text_id", "annotator", "label"])
    frame["text"] = [f" Text {row[0]}" for row in rows]
    if with_splits:
        frame["split"] = ["train" if row[0] < 3 else "Valid" for row in rows]
    once = check_annotations(frame)
    pd.testing.assert_frame_equal(check_annotations(once), once)
    assert text_keys(once).nunique() == once["text_id"].nunique()
