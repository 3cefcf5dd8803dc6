import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.errors import DataError, RunError
from hyperadapters.labels import LabelSpace
from hyperadapters.tables.predictions import (
    check_predictions,
    label_space_of,
    predictions_frame,
    read_predictions,
    write_predictions,
)

ORDER = ["text_id", "annotator", "label", "predicted", "p_0", "p_1"]
ORDER += ["split", "method", "seed", "source"]


@pytest.fixture
def foreign():
    """What a stranger would bring: only what is strictly needed."""
    return pd.DataFrame(
        {
            "annotator": ["x", "y", "x"],
            "text_id": [1, 1, 2],
            "p_1": [0.25, 0.5, 1.0],
            "p_0": [0.75, 0.5, 0.0],
            "predicted": [0, 1, 1],
            "label": [0, None, 1],
        }
    )


def message(frame):
    with pytest.raises(DataError) as caught:
        check_predictions(frame, source="mine.csv")
    return str(caught.value)


def test_defaults_types_and_order_of_columns(foreign):
    table = check_predictions(foreign)
    assert list(table.columns) == ORDER
    assert table["text_id"].tolist() == ["1", "1", "2"]
    assert table["label"].isna().tolist() == [False, True, False]
    assert str(table["label"].dtype) == "Int64"
    assert str(table["predicted"].dtype) == "int64"
    assert table.iloc[0, 6:].tolist() == ["test", "unknown", 0, "known"]
    assert table[["p_0", "p_1"]].to_numpy().tolist() == [[0.75, 0.25], [0.5, 0.5], [0, 1]]


def test_the_frame_given_is_not_changed(foreign):
    before = foreign.copy()
    check_predictions(foreign)
    pd.testing.assert_frame_equal(foreign, before)


def test_checking_twice_changes_nothing(foreign):
    once = check_predictions(foreign)
    pd.testing.assert_frame_equal(check_predictions(once), once)


def test_columns_of_the_caller_stay(foreign):
    table = check_predictions(foreign.assign(text=["a", "b", "c"]))
    assert list(table.columns) == [*ORDER, "text"]


def test_small_errors_of_the_sum_are_put_right(foreign):
    table = check_predictions(foreign.assign(p_1=[0.2505, 0.5, 1.0]))
    assert table[["p_0", "p_1"]].sum(axis=1).tolist() == pytest.approx([1, 1, 1], abs=1e-15)


def test_every_fault_is_reported_at_once(foreign):
    bad = foreign.assign(
        annotator=["x", None, "x"],
        label=[0, 7, 1],
        predicted=[0, 1, "no"],
        p_1=[-0.25, float("nan"), 0.9],
        source=["known", "found", "known"],
        seed=[0, 1.5, 0],
    )
    text = message(bad.drop(columns="text_id"))
    for part in (
        "mine.csv: column 'text_id' is missing",
        "column 'annotator' is empty (row 2)",
        "column 'seed' is not a whole number (row 2)",
        "column 'source' holds ['found'], wanted one of known, adapted, attributes, population "
        "(row 2)",
        "a probability is missing, infinite or not a number (row 2)",
        "a probability is negative (row 1)",
        "the probabilities sum to 0.9 instead of 1 (row 3)",
        "column 'label' holds ['7'], which have no column p_<label> (found p_1, p_0) (row 2)",
        "column 'predicted' holds ['no'], which have no column p_<label> (found p_1, p_0) (row 3)",
        "\nPREDICTIONS need the columns text_id, annotator, label, predicted and one p_<label>",
    ):
        assert part in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much", None, [1]])
def test_probabilities_must_be_numbers(foreign, value):
    frame = foreign.astype({"p_0": object})
    frame.at[1, "p_0"] = value
    assert "missing, infinite or not a number (row 2)" in message(frame)


def test_no_probability_columns(foreign):
    frame = foreign.drop(columns=["p_0", "p_1"])
    assert "there are no probability columns p_<label>" in message(frame)
    with pytest.raises(DataError, match="there are no probability columns"):
        label_space_of(frame)


def test_answers_to_tasks_are_told_apart(foreign):
    frame = foreign.drop(columns=[c for c in foreign if c.startswith("p_")]).assign(task="tone")
    with pytest.raises(DataError, match=r"(?s)no probability columns.*these are answers to tasks"):
        check_predictions(frame)


def test_a_single_probability_column(foreign):
    text = message(foreign.drop(columns="p_0"))
    assert "at least two p_<label> columns are needed, found only p_1" in text


def test_predictions_that_are_not_there(foreign):
    text = message(foreign.assign(predicted=[0, None, 1]))
    assert text == "mine.csv: column 'predicted' is empty (row 2)"


def test_no_rows(foreign):
    assert message(foreign.iloc[:0]) == "mine.csv: there are no rows"


def test_the_same_prediction_twice(foreign):
    frame = pd.concat([foreign, foreign.iloc[[0]]])
    what = "the same text, annotator, split, method and seed occur before (row 4)"
    assert what in message(frame)
    check_predictions(frame.assign(seed=[0, 0, 0, 1]))


def test_a_column_twice(foreign):
    frame = pd.concat([foreign, foreign[["p_0"]]], axis=1)
    assert message(frame) == "mine.csv: column 'p_0' occurs twice"


def test_half_a_character_is_spelt_out(foreign):
    names = pd.Series(["\ud83d", "y", "x"], dtype=object)  # from "\\ud83d" in JSON
    table = check_predictions(foreign.assign(annotator=names))
    assert table["annotator"][0] == "\\ud83d"


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["p_10", "p_-1", "p_2"], (-1, 2, 10)),
        (["p_yes", "p_no"], ("no", "yes")),
        (["p_1", "p_01"], ("01", "1")),
        (["p_1", "p_other"], ("1", "other")),
    ],
)
def test_label_space(columns, names):
    space = label_space_of(pd.DataFrame({name: [0.5] for name in columns}))
    assert space.names == names


def test_frame_from_arrays():
    values = np.array([[0.2, 0.8], [0.5, 0.5]])
    labels = LabelSpace(("no", "yes"))
    table = predictions_frame(
        ["a", "b"], ["x", "y"], values, labels, label=["yes", None], method="m", seed=2,
        source=["known", "population"],
    )  # fmt: skip
    assert table["predicted"].tolist() == ["yes", "no"]
    assert table["label"].isna().tolist() == [False, True]
    assert table["source"].tolist() == ["known", "population"]
    unknown = predictions_frame(["a", "b"], ["x", "y"], values, labels)
    assert unknown["label"].isna().all()


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("names", [(0, 1), ("NA", "None")])
def test_there_and_back(tmp_path, ending, names):
    table = predictions_frame(
        ["007", "\u2028ä, \"quoted\"\nline", "NA"], ["null", "1.0", "x y"],
        np.array([[0.1, 0.9], [1, 0], [1 / 3, 2 / 3]]), LabelSpace(names),
        label=[names[0], None, names[1]],
    )  # fmt: skip
    path = tmp_path / "deep" / f"p.{ending}"
    write_predictions(table, path)
    pd.testing.assert_frame_equal(read_predictions(path), table, atol=1e-14, rtol=0)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@settings(max_examples=25, deadline=None)
@given(ids=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True))
def test_any_id_survives_csv_and_jsonl(tmp_path_factory, ids):
    ids = [name.replace("\r", "_").replace("\0", "_") + f"#{i}" for i, name in enumerate(ids)]
    table = predictions_frame(ids, ids, np.tile([0.5, 0.5], (len(ids), 1)), LabelSpace((0, 1)))
    folder = tmp_path_factory.mktemp("ids")
    for name in ("p.csv", "p.jsonl"):
        write_predictions(table, folder / name)
        assert read_predictions(folder / name)["text_id"].tolist() == ids


def test_writing_does_not_replace_unless_told_to(foreign, tmp_path):
    path = tmp_path / "p.csv"
    write_predictions(foreign, path)
    with pytest.raises(RunError, match=r"p\.csv: is there already; name another file or remove"):
        write_predictions(foreign, path)
    write_predictions(foreign.iloc[:1], path, overwrite=True)
    assert len(read_predictions(path)) == 1
    with pytest.raises(RunError, match="is a folder; name a file"):
        (tmp_path / "d.csv").mkdir()
        write_predictions(foreign, tmp_path / "d.csv", overwrite=True)


def test_a_failed_write_leaves_nothing_behind(foreign, tmp_path):
    mixed = foreign.assign(extra=[1, "a", b"b"])
    with pytest.raises(DataError, match=r"p\.parquet: cannot be written:"):
        write_predictions(mixed, tmp_path / "p.parquet")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_predictions(foreign, tmp_path / "file" / "p.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("p.parquet", None, "there is no such file"),
        ("p.xlsx", b"x", r"unknown kind of file '.xlsx'; wanted one of .parquet, .csv, .jsonl"),
        ("p.parquet", b"", "the file is empty"),
        ("p.csv", b"\n\n", "cannot be read as csv: No columns to parse"),
        ("p.parquet", b"not parquet at all", "cannot be read as parquet"),
        ("p.csv", b"text_id,annotator\n\xff\xfe,x\n", "is not UTF-8 text; save it as UTF-8"),
        ("p.jsonl", b'{"text_id": "\xff"}\n', "is not UTF-8 text; save it as UTF-8"),
        ("p.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot be read as csv"),
        ("p.csv", b"a,b\n1,2,3\n1,2,3\n", "cannot be read as csv: Length of header or names"),
        ("p.csv", b"text_id,annotator,label,predicted,p_0,p_1\n", "there are no rows"),
        ("p.jsonl", b'{"a": 1}\n[1]\nno\n', r"a line is not a JSON object \(lines 2, 3\)"),
        ("p.jsonl", b"\n", "there are no rows"),
        ("p.jsonl", b'{"text_id": 1}\n', "column 'annotator' is missing"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, what):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=what) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)


def test_a_folder_is_not_a_file(tmp_path):
    (tmp_path / "p.csv").mkdir()
    with pytest.raises(DataError, match="is a folder; name the file in it"):
        read_predictions(tmp_path / "p.csv")


def test_json_lines_with_lists_in_cells_are_faults_not_crashes(tmp_path):
    row = {"text_id": "a", "annotator": "x", "label": [0, 1], "predicted": 0, "p_0": [1], "p_1": 0}
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({**row, "seed": [1], "source": ["known"]}))
    with pytest.raises(DataError, match="not a number") as caught:
        read_predictions(path)
    assert len(caught.value.faults) == 4


def test_integers_that_became_floats_in_csv_still_name_their_labels(foreign, tmp_path):
    path = tmp_path / "p.csv"
    foreign.to_csv(path, index=False)
    assert ",0.0\n" in path.read_text()  # pandas writes so where a label is missing
    assert read_predictions(path)["label"].tolist() == [0, pd.NA, 1]


def test_a_byte_order_mark_is_not_part_of_the_first_name(foreign, tmp_path):
    path = tmp_path / "p.csv"
    foreign.to_csv(path, index=False, encoding="utf-8-sig")
    assert len(read_predictions(path)) == 3


def test_the_label_is_chosen_by_the_rule():
    space = LabelSpace((1, 2, 3), "ordinal")
    p = np.array([[0.4, 0.3, 0.3], [0.1, 0.2, 0.7]])
    both = [
        predictions_frame(["x", "y"], ["a", "a"], p, space, decision=rule)["predicted"].tolist()
        for rule in ("mode", "median")
    ]
    assert both == [[1, 3], [2, 3]]
