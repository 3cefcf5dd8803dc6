import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperadapters.data import read_annotations
from hyperadapters.errors import ConfigError, DataError
from rating_files import GOOD, OTHER, refusal


def test_rows_count_as_in_a_spreadsheet(write):
    message = refusal(write(GOOD + "\n3,,a,0\n"))
    assert message == "ratings.csv: column 'text' is empty (row 6)"


def test_rows_of_json_lines_count_from_one(write):
    lines = [
        {"text": "x", "annotator": "a", "label": 0},
        {"text": "y", "annotator": "a"},
        {"text": "z", "annotator": "a", "label": 1},
    ]
    path = write("\n".join(map(json.dumps, lines)), "r.ndjson")
    assert refusal(path) == "r.ndjson: column 'label' is empty (row 2)"


def test_rows_of_parquet_count_from_one(tmp_path):
    path = tmp_path / "r.parquet"
    frame = pd.DataFrame({"text": ["x", "y", "z"], "annotator": "a", "label": [0, None, 1]})
    frame.to_parquet(path)
    assert refusal(path) == "r.parquet: column 'label' is empty (row 2)"


def test_faults_name_the_file_they_are_in(write):
    good, bad = write(GOOD, "a.csv"), write(OTHER.replace("zwei", ""), "b.csv")
    assert refusal(good, bad) == "b.csv: column 'text' is empty (row 4)"


def test_duplicates_across_files(write):
    message = refusal(write(GOOD, "a.csv"), write(GOOD, "b.csv"))
    assert "a.csv, " in message
    assert "b.csv: the same annotator has several labels for the same text" in message
    assert "(rows a.csv:2, b.csv:2, a.csv:3, b.csv:3, a.csv:4 and 1 more)" in message


def test_leaks_across_files(write):
    content = "text,annotator,label,split\nx,{0}-fan,0,{0}\ny {0},a,1,{0}\n"
    files = [write(content.format(split), f"{split}.csv") for split in ("train", "test")]
    assert "--allow-leaks (rows train.csv:2, test.csv:2)" in refusal(*files)


def test_files_named_twice(write):
    path = write(GOOD)
    assert refusal(path, path) == "ratings.csv: the file is named twice"


def test_missing_column(write):
    message = refusal(write("text,worker,label\nx,a,0\n"))
    assert message == (
        "ratings.csv: no column 'annotator'; the columns are text, worker, label;"
        " did you mean 'worker'? name yours with --annotator"
    )


def test_missing_columns_of_several_files(write):
    files = write("text,label\nx,0\n", "a.csv"), write("text,annotator\nx,a\n", "b.csv")
    message = refusal(*files)
    assert message.startswith("2 files: ")
    assert "a.csv: no column 'annotator'" in message
    assert "b.csv: no column 'label'" in message


@pytest.mark.parametrize(("option", "name"), [("item", "id"), ("split", "fold")])
def test_optional_columns_must_be_there_once_they_are_named(write, option, name):
    assert f"no column '{name}'; the col" in refusal(write(GOOD), **{option: name})


def test_collision_with_another_column(write):
    message = refusal(write(GOOD.replace("text_id", "toxic")), label="toxic")
    assert message == (
        "ratings.csv: --label toxic is to become the column 'label', but there is such a column"
        " already; rename or remove one of them"
    )


def test_options_that_name_one_column_twice(write):
    with pytest.raises(ConfigError, match="--text and --label both name the column 'label'"):
        read_annotations(write(GOOD), text="label")
    with pytest.raises(ConfigError, match="--text and --text both name the column 'x'"):
        read_annotations(write(GOOD), text=["x", "x"])
    with pytest.raises(ConfigError, match="--text takes one column or two, got 3"):
        read_annotations(write(GOOD), text=["x", "y", "z"])


def test_no_files():
    with pytest.raises(ConfigError, match="no file to read was named"):
        read_annotations()


def test_unknown_ending(write):
    message = refusal(write(GOOD, "ratings.xlsx"))
    assert "the ending '.xlsx' is not known" in message
    assert ".csv, .json, .jsonl, .ndjson, .parquet, .tsv" in message
    assert "ratings: it has no ending" in refusal(write(GOOD, "ratings"))


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "json"])
def test_absent_empty_and_folder(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    assert refusal(path) == f"x.{ending}: there is no such file"
    path.write_bytes(b"")
    assert refusal(path) == f"x.{ending}: the file is empty"
    path.write_bytes(b" \n")
    assert refusal(path) == f"x.{ending}: the file is empty"
    path.unlink()
    path.mkdir()
    assert refusal(path) == f"x.{ending}: is a folder; name a file in it"


def test_folder_without_ending(tmp_path):
    assert "is a folder" in refusal(tmp_path)


def test_header_only(write):
    assert refusal(write(GOOD[: GOOD.index("\n")])).endswith("there are no rows, at most a header")


def test_ragged_rows(write):
    message = refusal(write(GOOD + "3,th,ree,a,0\n4,four\n"))
    assert "the number of fields is not that of the header (4) (rows 5, 6)" in message


def test_open_quote(write):
    message = refusal(write(GOOD + '3,"three,a,0\n4,four,a,0\n'))
    assert "cannot be read as ','-separated text: unexpected end of data (row 5)" in message


def test_column_twice_in_the_header(write):
    assert "column 'label' occurs twice" in refusal(write("text,label,label\nx,0,1\n"))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_latin_1(write, mark):
    content = mark + (GOOD + "3,caf\xe9,a,0\n").encode("latin-1")
    message = refusal(write(content))
    assert f"is not UTF-8: byte {content.index(0xE9)} (0xe9, line 5) cannot be decoded" in message
    assert "Save the file as UTF-8" in message


def test_utf_16(write):
    assert "is UTF-16 (or UTF-32) text; UTF-8 was expected" in refusal(write(GOOD.encode("utf-16")))
    assert "it is UTF-16 without its mark" in refusal(write(GOOD.encode("utf-16-le")))


def test_lines_that_are_no_objects(write):
    path = write('{"text": "x"}\n{bad\n[1]\n"x"\n{"text": "\\ud800"}\n', "r.jsonl")
    message = refusal(path)
    assert "the line is not JSON (row 2)" in message
    assert "the line is JSON, but not an object (rows 3, 4)" in message
    assert "half a character (a lone surrogate) (row 5)" in message


def test_broken_parquet(write):
    assert "cannot be read as Parquet" in refusal(write(GOOD, "r.parquet"))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(["csv", "tsv", "jsonl", "json", "parquet"]))
def test_any_bytes_are_refused_in_words(tmp_path, content, ending):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_annotations(path)
