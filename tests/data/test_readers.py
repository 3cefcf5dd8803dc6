import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperadapters.data import read_annotations
from hyperadapters.errors import ConfigError, DataError

GOOD = "text_id,text,annotator,label\n1,one,a,0\n1,one,b,1\n2,two,a,1\n"

OTHER = "text_id,text,annotator,label\n3,eins,a,0\n3,eins,b,1\n4,zwei,a,1\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="ratings.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(*files, **options):
    """The message of the error, without the folder of the files."""
    with pytest.raises(DataError) as caught:
        read_annotations(*files, **options)
    message = str(caught.value)
    for file in files:
        message = message.replace(f"{file.parent}/", "")
    return message


def test_csv(write):
    frame = read_annotations(write(GOOD))
    assert frame.values.tolist() == [
        ["1", "one", "a", 0],
        ["1", "one", "b", 1],
        ["2", "two", "a", 1],
    ]


@pytest.mark.parametrize("name", ["R.CSV", "r.Tsv"])
def test_ending_in_any_case(write, name):
    content = GOOD if name == "R.CSV" else GOOD.replace(",", "\t")
    assert len(read_annotations(write(content, name))) == 3


def test_words_for_nothing_are_words(write):
    content = "text,annotator,label\nNA,null,None\nnull,None,NA\nNone,NA,nul\n"
    frame = read_annotations(write(content))
    assert frame["text"].tolist() == ["NA", "null", "None"]
    assert frame["annotator"].tolist() == ["null", "None", "NA"]
    assert frame["label"].tolist() == ["None", "NA", "nul"]


def test_new_lines_in_quotes_are_kept(write):
    path = write(GOOD.replace("two", '"t\r\nw\ro\n""q"""').replace("\n2", "\r\n2"))
    assert read_annotations(path)["text"].tolist()[2] == 't\r\nw\ro\n"q"'


def test_columns_by_other_names(write):
    path = write("comment,worker,toxic,id,fold\nx,a,0,1,train\ny,b,1,2,test\n")
    frame = read_annotations(
        path, text="comment", annotator="worker", label="toxic", item="id", split="fold"
    )
    assert list(frame) == ["text_id", "text", "annotator", "label", "split"]


def test_two_texts(write):
    path = write("premise,hypothesis,annotator,label\nx,y,a,0\nx,z,a,1\n")
    frame = read_annotations(path, text=("premise", "hypothesis"))
    assert frame[["text", "text_pair"]].values.tolist() == [["x", "y"], ["x", "z"]]
    assert frame["text_id"].nunique() == 2


def test_texts_that_are_named_take_the_place_of_others(write):
    path = write("text,premise,hypothesis,annotator,label\nboth,x,y,a,0\nboth,x,z,a,1\n")
    frame = read_annotations(path, text=("premise", "hypothesis"))
    assert list(frame) == ["text_id", "text", "text_pair", "annotator", "label"]
    assert frame[["text", "text_pair"]].values.tolist() == [["x", "y"], ["x", "z"]]
    single = read_annotations(write("text,says,annotator,label\nno,x,a,0\nno,y,a,1\n"), text="says")
    assert single["text"].tolist() == ["x", "y"]


def test_a_second_text_that_is_not_there(write):
    path = write("premise,hypothesis,annotator,label\nx,y,a,0\nx,z,a,1\n")
    message = refusal(path, text=("premise", "text_pair"))
    assert "no column 'text_pair'" in message
    assert "did you mean 'hypothesis'? name yours with --text" in message
    with pytest.raises(ConfigError, match="--text takes one column or two, got 3"):
        read_annotations(path, text=("a", "b", "c"))


def test_several_labels_of_an_annotator(write):
    path = write("text,annotator,label\nx,a,no\nx,a,maybe\nx,b,no\ny,a,maybe\n")
    assert "with --join-labels (rows 2, 3)" in refusal(path)
    frame = read_annotations(path, join_labels=True)
    assert frame["label"].tolist() == ["maybe+no", "no", "maybe"]
    # What is wrong with the rest is told by the rows of the file.
    broken = write("text,annotator,label\nx,a,no\nx,a,maybe\nx,b,\ny,a,maybe\n", "broken.csv")
    assert "broken.csv: column 'label' is empty (row 4)" in refusal(broken, join_labels=True)


def test_names_may_be_exchanged(write):
    path = write("label,text\n".replace("\n", ",annotator\n") + "x,0,a\ny,1,a\n")
    assert read_annotations(path, text="label", label="text")["text"].tolist() == ["x", "y"]


def test_made_ids_are_stable(write):
    content = "text,annotator,label\none,a,0\none,b,1\n"
    ids = read_annotations(write(content))["text_id"].tolist()
    assert ids == ["7f89bb9dcece2024"] * 2
    again = read_annotations(write(content + "two,a,1\n"))["text_id"].tolist()
    assert again[:2] == ids
    assert again[2] != ids[0]


def test_attributes_get_the_type_of_their_cells(write):
    content = "text,annotator,label,age,share,zip,job\nx,a,0,20,0.5,007,NA\ny,a,1,,1,123,\n"
    frame = read_annotations(write(content))
    assert frame["age"].tolist()[0] == 20
    assert np.isnan(frame["age"].tolist()[1])
    assert frame["share"].tolist() == [0.5, 1.0]
    assert frame["zip"].tolist() == ["007", "123"]
    assert frame["job"].isna().tolist() == [False, True]


def test_several_files_become_one_table(write):
    first = write("text_id,text,annotator,label,age\n1,x,a,0,20\n", "a.csv")
    second = write(
        '{"text_id": 2, "text": "y", "annotator": "b", "label": 1, "job": "j"}', "b.jsonl"
    )
    frame = read_annotations(first, str(second))
    assert list(frame) == ["text_id", "text", "annotator", "label", "age", "job"]
    assert frame["text_id"].tolist() == ["1", "2"]


# --- what the rows hold


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


# --- what the columns are called


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


# --- files that are not what they should be


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


def test_byte_order_mark_is_no_part_of_the_name(write):
    assert len(read_annotations(write(b"\xef\xbb\xbf" + GOOD.encode()))) == 3


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


def test_whole_numbers_beside_gaps_stay_exact(tmp_path):
    big = 2**60 + 1
    path = tmp_path / "r.parquet"
    frame = pd.DataFrame({"text": ["x", "y"], "annotator": "a", "label": [0, 1]})
    frame["text_id"] = pd.array([big, big + 1], dtype="Int64")
    frame.set_index("annotator").to_parquet(path)
    assert read_annotations(path)["text_id"].tolist() == [str(big), str(big + 1)]


def test_unnamed_index_of_parquet_is_no_attribute(tmp_path):
    path = tmp_path / "r.parquet"
    frame = pd.DataFrame({"text": ["x", "y"], "annotator": "a", "label": [0, 1]}, index=[5, 3])
    frame.to_parquet(path)
    assert list(read_annotations(path)) == ["text_id", "text", "annotator", "label"]


# --- every format says the same

words = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=12).map(
    "w{}".format
)
tables = st.lists(
    st.tuples(words, st.sampled_from(["a", "b", "17"]), st.integers(-2, 2), st.booleans()),
    min_size=2,
    max_size=6,
    unique_by=lambda row: row[:2],
).filter(lambda rows: len({row[2] for row in rows}) > 1)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables)
def test_formats_agree(tmp_path, rows):
    frame = pd.DataFrame(rows, columns=["text", "annotator", "label", "known"])
    frame["note"] = [f" {text}," for text in frame["text"]]
    frame["known"] = frame["known"].astype(int)
    frame.to_csv(tmp_path / "r.csv", index=False)
    frame.to_csv(tmp_path / "r.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "r.parquet")
    frame.to_json(tmp_path / "r.jsonl", orient="records", lines=True)
    read = [read_annotations(tmp_path / f"r.{e}") for e in ("csv", "tsv", "parquet", "jsonl")]
    assert read[0]["text"].tolist() == frame["text"].tolist()
    for other in read[1:]:
        pd.testing.assert_frame_equal(read[0], other)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(["csv", "tsv", "jsonl", "json", "parquet"]))
def test_any_bytes_are_refused_in_words(tmp_path, content, ending):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_annotations(path)


# --- real files


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "rows", "annotators"),
    [
        ("md_agreement", 53764, 819),
        ("hs_brexit", 6720, 6),
        ("convabuse", 12168, 8),
        ("csc_devtest", 6410, 872),
        ("paraphrase", 2000, 4),
        ("popquorn_offensiveness", 13036, 262),
        ("crehate", 42527, 1064),
        ("dense_toxicity", 13080, 545),
        ("hatecheck", 19505, 10),
    ],
)
def test_real_tables(real_data, name, rows, annotators):
    frame = read_annotations(real_data / "perspectives" / f"{name}.parquet", allow_leaks=True)
    assert len(frame) == rows
    assert frame["annotator"].nunique() == annotators
    assert frame["label"].dtype == np.int64


@pytest.mark.real
def test_real_leaks(real_data):
    message = refusal(real_data / "perspectives" / "convabuse.parquet")
    assert "--allow-leaks" in message


@pytest.mark.real
def test_real_duplicates(real_data):
    message = refusal(real_data / "perspectives" / "varierr_nli.parquet")
    assert "take different ones as one label with --join-labels (rows 8, 9, 20" in message


@pytest.mark.real
def test_real_answers_of_several_labels(real_data):
    frame = read_annotations(real_data / "perspectives" / "varierr_nli.parquet", join_labels=True)
    assert len(frame) == 1816
    counts = frame["label"].value_counts()
    assert counts["neutral"] == 890 and counts["contradiction+entailment"] == 9


@pytest.mark.real
def test_real_pairs_of_texts(real_data):
    path = real_data / "perspectives" / "paraphrase.parquet"
    frame = read_annotations(path, text=["Question1", "Question2"])
    assert len(frame) == 2000 and frame["text_pair"].nunique() > 400
    files = [real_data / "lewidi" / f"Paraphrase_{s}.json" for s in ("train", "dev", "test")]
    columns = ["text_id", "text", "text_pair", "annotator", "label", "split"]
    rows = [
        t[columns].sort_values(columns, ignore_index=True)
        for t in (frame, read_annotations(*files))
    ]
    pd.testing.assert_frame_equal(*rows)
