import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.errors import DataError, RunError
from hyperadapters.tables.task_predictions import (
    TASK_PREDICTIONS_COLUMNS,
    check_task_predictions,
    read_task_predictions,
    write_task_predictions,
)


@pytest.fixture
def foreign():
    """What a stranger would bring: only what is strictly needed."""
    return pd.DataFrame(
        {
            "predicted": ["yes", "", "3.4"],
            "task": ["t", "t", "u"],
            "text_id": [1, 2, 1],
            "label": ["no", None, 3.0],
        }
    )


def message(frame, **options):
    with pytest.raises(DataError) as caught:
        check_task_predictions(frame, source="mine.parquet", **options)
    return str(caught.value)


def test_defaults_types_and_order_of_columns(foreign):
    table = check_task_predictions(foreign)
    assert tuple(table.columns) == TASK_PREDICTIONS_COLUMNS
    assert table["text_id"].tolist() == ["1", "2", "1"]
    assert table["label"].isna().tolist() == [False, True, False]
    assert table["predicted"].tolist() == ["yes", "", "3.4"]
    assert table["nll"].isna().all()
    assert str(table["nll"].dtype) == "float64"
    assert table["references"].tolist() == [["no"], [], ["3"]]
    assert table.iloc[0, 6:].tolist() == ["test", "unknown", 0, "known"]


def test_the_frame_given_is_not_changed(foreign):
    before = foreign.copy()
    check_task_predictions(foreign)
    pd.testing.assert_frame_equal(foreign, before)


def test_checking_twice_changes_nothing(foreign):
    once = check_task_predictions(foreign)
    pd.testing.assert_frame_equal(check_task_predictions(once), once)


def test_columns_of_the_caller_stay(foreign):
    table = check_task_predictions(foreign.assign(window=[0, 1, 0]))
    assert list(table.columns) == [*TASK_PREDICTIONS_COLUMNS, "window"]


def test_references_are_lists_whatever_held_them(foreign):
    cells = pd.Series([("a", "b"), np.array(["c"], dtype=object), []], dtype=object)
    table = check_task_predictions(foreign.assign(references=cells))
    assert table["references"].tolist() == [["a", "b"], ["c"], ["3"]]
    assert all(type(cell) is list for cell in table["references"])


def test_an_empty_text_may_be_the_accepted_answer(foreign):
    cells = pd.Series([[""], None, [""]], dtype=object)
    table = check_task_predictions(foreign.assign(label=["", None, None], references=cells))
    assert table["references"].tolist() == [[""], [], [""]]
    assert table["label"].isna().tolist() == [False, True, True]


def test_every_fault_is_reported_at_once(foreign):
    bad = foreign.assign(
        predicted=["yes", None, "3.4"],
        nll=[0.5, "much", np.inf],
        seed=[0, 1.5, 0],
        source=["known", "found", "known"],
        references=pd.Series([["a"], "b", [1]], dtype=object),
    )
    text = message(bad.drop(columns="text_id"))
    for part in (
        "mine.parquet: column 'text_id' is missing",
        "column 'predicted' is empty (row 2)",
        "column 'nll' is not a finite number (rows 2, 3)",
        "column 'seed' is not a whole number (row 2)",
        "column 'source' holds ['found'], wanted one of known, adapted, attributes, population "
        "(row 2)",
        "column 'references' is not a list of texts (rows 2, 3)",
        "\nTASK PREDICTIONS need the columns text_id, task, label, predicted",
    ):
        assert part in text


def test_every_column_that_is_needed_is_missed(foreign):
    for name in ("text_id", "task", "label", "predicted"):
        assert f"column {name!r} is missing" in message(foreign.drop(columns=name))


def test_no_rows_and_a_column_twice(foreign):
    assert message(foreign.iloc[:0]) == "mine.parquet: there are no rows"
    twice = pd.concat([foreign, foreign[["label"]]], axis=1)
    assert message(twice) == "mine.parquet: column 'label' occurs twice"


def test_the_same_text_twice(foreign):
    frame = pd.concat([foreign, foreign.iloc[[0]]])
    what = "the same text, task, split, method and seed occur before"
    assert f"{what} (choose_windows keeps one window of a text) (row 4)" in message(frame)
    check_task_predictions(frame, windows=True)
    check_task_predictions(frame.assign(seed=[0, 0, 0, 1]))
    check_task_predictions(frame.assign(task=["t", "t", "u", "v"]))


def test_half_a_character_is_spelt_out(foreign):
    broken = foreign.assign(
        predicted=pd.Series(["\ud83d", "", "x"], dtype=object),
        references=pd.Series([["\ud83d"], None, None], dtype=object),
    )
    table = check_task_predictions(broken)
    assert table["predicted"][0] == "\\ud83d"
    assert table["references"][0] == ["\\ud83d"]


def test_there_and_back(foreign, tmp_path):
    frame = foreign.assign(
        nll=[0.1 + 0.2, np.nan, 3],
        references=pd.Series([["", "ä\n\u2028"], [], ["x"]], dtype=object),
    )
    path = tmp_path / "deep" / "p.parquet"
    write_task_predictions(frame, path)
    pd.testing.assert_frame_equal(read_task_predictions(path), check_task_predictions(frame))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_there_and_back_where_nothing_is_known(foreign, tmp_path):
    frame = foreign.assign(label=None)
    write_task_predictions(frame, tmp_path / "p.parquet")
    found = read_task_predictions(tmp_path / "p.parquet")
    pd.testing.assert_frame_equal(found, check_task_predictions(frame))
    assert found["references"].tolist() == [[], [], []]


texts = st.text(max_size=8)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.tuples(texts, texts, st.lists(texts, min_size=1, max_size=3)), min_size=1))
def test_any_text_survives(tmp_path_factory, rows):
    predicted, labels, references = (list(cells) for cells in zip(*rows, strict=True))
    frame = pd.DataFrame({"text_id": range(len(rows)), "task": "t", "predicted": predicted})
    frame = frame.assign(label=labels, references=pd.Series(references, dtype=object))
    path = tmp_path_factory.mktemp("texts") / "p.parquet"
    write_task_predictions(frame, path)
    found = read_task_predictions(path)
    assert found["predicted"].tolist() == predicted
    assert found["label"].tolist() == labels
    assert found["references"].tolist() == references


def test_windows_are_written_and_read_when_told_to(foreign, tmp_path):
    frame, path = pd.concat([foreign, foreign.iloc[[0]]]), tmp_path / "w.parquet"
    with pytest.raises(DataError, match="occur before"):
        write_task_predictions(frame, path)
    write_task_predictions(frame, path, windows=True)
    assert len(read_task_predictions(path, windows=True)) == 4
    with pytest.raises(DataError, match="occur before"):
        read_task_predictions(path)


def test_writing_does_not_replace_unless_told_to(foreign, tmp_path):
    path = tmp_path / "p.parquet"
    write_task_predictions(foreign, path)
    with pytest.raises(RunError, match=r"p\.parquet: is there already; name another file"):
        write_task_predictions(foreign, path)
    write_task_predictions(foreign.iloc[:1], path, overwrite=True)
    assert len(read_task_predictions(path)) == 1


def test_a_failed_write_leaves_nothing_behind(foreign, tmp_path):
    mixed = foreign.assign(extra=[1, "a", b"b"])
    with pytest.raises(DataError, match=r"p\.parquet: cannot be written:"):
        write_task_predictions(mixed, tmp_path / "p.parquet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("p.parquet", None, "there is no such file"),
        ("p.csv", b"x", r"unknown kind of file '.csv'; wanted .parquet"),
        ("p.parquet", b"", "the file is empty"),
        ("p.parquet", b"not parquet at all", "cannot be read as parquet"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, what):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=what) as caught:
        read_task_predictions(path)
    assert str(path) in str(caught.value)


def test_a_folder_is_not_a_file(tmp_path):
    (tmp_path / "p.parquet").mkdir()
    with pytest.raises(DataError, match="is a folder; name the file in it"):
        read_task_predictions(tmp_path / "p.parquet")
