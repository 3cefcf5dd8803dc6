import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperadapters.data import read_annotations
from hyperadapters.errors import ConfigError
from rating_files import GOOD, refusal


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


def test_byte_order_mark_is_no_part_of_the_name(write):
    assert len(read_annotations(write(b"\xef\xbb\xbf" + GOOD.encode()))) == 3


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
