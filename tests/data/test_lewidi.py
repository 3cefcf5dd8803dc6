import json

import pytest

from hyperadapters.data import read_annotations
from hyperadapters.errors import DataError


def item_2023(**changes):
    item = {"text": "x", "annotations": "0,1", "annotators": "Ann1,Ann2", "split": "train"}
    return item | changes


def item_2025(**changes):
    item = {
        "text": {"Question1": "x", "Question2": "y"},
        "annotators": "Ann1,Ann2",
        "annotations": {"Ann1": "-3", "Ann2": "4"},
        "split": "dev",
        "lang": "en",
        "soft_label": {"-3": 0.5, "4": 0.5},
    }
    return item | changes


@pytest.fixture
def write(tmp_path):
    def write(items, name="x.json"):
        path = tmp_path / name
        path.write_text(items if isinstance(items, str) else json.dumps(items))
        return path

    return write


def refusal(*files):
    with pytest.raises(DataError) as caught:
        read_annotations(*files)
    return str(caught.value)


def test_layout_of_2023(write):
    frame = read_annotations(write({"1": item_2023(), "2": item_2023(text="z")}))
    assert frame.values.tolist() == [
        ["train-1", "x", "Ann1", 0, "train"],
        ["train-1", "x", "Ann2", 1, "train"],
        ["train-2", "z", "Ann1", 0, "train"],
        ["train-2", "z", "Ann2", 1, "train"],
    ]


def test_layout_of_2025(write):
    frame = read_annotations(write({"7": item_2025()}))
    assert frame.to_dict("records")[0] == {
        "text_id": "dev-7",
        "text": "x",
        "text_pair": "y",
        "annotator": "Ann1",
        "label": -3,
        "split": "dev",
        "lang": "en",
    }


def test_several_labels_are_one_answer(write):
    answers = {"Ann1": "neutral, contradiction", "Ann2": ["neutral"], "Ann3": "entailment"}
    text = {"context": "x", "statement": "y"}
    frame = read_annotations(write({"7": item_2025(text=text, annotations=answers)}))
    assert frame["label"].tolist() == ["contradiction+neutral", "neutral", "entailment"]
    assert frame[["text", "text_pair"]].values.tolist() == [["x", "y"]] * 3


def test_keys_repeat_from_file_to_file(write):
    train = write({"1": item_2023()}, "train.json")
    test = write({"1": item_2023(split="test", text="z")}, "test.json")
    assert read_annotations(train, test)["text_id"].unique().tolist() == ["train-1", "test-1"]


def test_texts_of_several_fields(write):
    text = {"agent": "Hi", "user": "Ho", "again": "He", "last": None}
    frame = read_annotations(write({"1": item_2023(text=text)}))
    assert frame["text"].unique().tolist() == ["agent: Hi\nuser: Ho\nagain: He"]


def test_column_options_are_those_of_other_files(write, tmp_path):
    other = tmp_path / "y.csv"
    other.write_text("comment,worker,label,split\nz,a,0,train\n")
    frame = read_annotations(write({"1": item_2023()}), other, text="comment", annotator="worker")
    assert frame["text"].tolist() == ["x", "x", "z"]


@pytest.mark.parametrize(
    ("item", "what"),
    [
        (item_2023(annotations="0"), "does not have as many annotators as annotations (item 9)"),
        (
            item_2023(annotations=""),
            "the item has no annotations (a test file without its labels?)",
        ),
        (
            item_2025(annotations={}),
            "the item has no annotations (a test file without its labels?)",
        ),
        (item_2025(annotations={"Ann1": "a,"}), "an annotator has an empty label (item 9)"),
        (item_2025(annotations={"Ann1": []}), "an annotator has an empty label (item 9)"),
        ({"annotations": "0,1", "annotators": "a,b"}, "the item has no 'text' (item 9)"),
        ("x", "the item is not a JSON object (item 9)"),
        (item_2023(text=""), "column 'text' is empty (item 9)"),
    ],
)
def test_items_that_cannot_be_used(write, item, what):
    assert what in refusal(write({"1": item_2023(), "9": item}))


def test_all_bad_items_are_named(write):
    message = refusal(write({"1": item_2023(annotations=""), "2": item_2023(annotations="")}))
    assert "(items 1, 2)" in message


def test_a_fault_of_an_item_is_told_once(write):
    assert refusal(write({"1": item_2023(), "4": item_2023(text=" ")})).endswith("(item 4)")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "is not JSON"),
        ("[1]", "a JSON object of items by their keys was expected"),
        ("{}", "a JSON object of items by their keys was expected"),
        ('{"1": {"text": "x"}}', "no item has 'annotations'"),
        ('{"1": {"text": "\\ud800"}}', "half a character"),
        ('{"a": 1}\n{"a": 2}\n', "read from a file that is named *.jsonl"),
    ],
)
def test_other_json(write, content, what):
    assert what in refusal(write(content))


def test_attributes_of_annotators(write):
    ratings = write({"1": item_2023()})
    people = write('{"Ann1": {"Age": "26", "First, lang": "a,}"},}', "x_annotators_meta.json")
    frame = read_annotations(ratings, people)
    assert frame["age"].tolist()[0] == 26
    assert frame["first_lang"].tolist()[0] == "a,}"
    assert frame["age"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{"Ann1": 3}', "the attributes of an annotator must be a JSON object (annotator Ann1)"),
        ('{"Ann1": {"Label": 1}}', "an attribute may not be called label"),
        ('{"Ann1": {"Age": 1, "age": 2}}', "an attribute occurs twice"),
        ('{"Ann9": {"Age": 1}}', "none of the annotators is among those"),
    ],
)
def test_attributes_that_cannot_be_used(write, content, what):
    assert what in refusal(write({"1": item_2023()}), write(content, "x_annotators_meta.json"))


@pytest.mark.real
def test_attributes_alone(real_data):
    message = refusal(real_data / "lewidi" / "Paraphrase_annotators_meta.json")
    assert "describes annotators; name files of ratings beside it" in message


@pytest.mark.real
def test_real_files_of_2023(real_data):
    names = [f"HS-Brexit_{split}.json" for split in ("train", "dev", "test")]
    frame = read_annotations(*(real_data / "lewidi" / name for name in names))
    same = read_annotations(real_data / "perspectives" / "hs_brexit.parquet")
    columns = ["text_id", "text", "annotator", "label", "split"]
    rows = [t[columns].sort_values(columns, ignore_index=True) for t in (frame, same)]
    assert rows[0].equals(rows[1])


@pytest.mark.real
def test_real_files_of_2025(real_data):
    names = ["Paraphrase_train", "Paraphrase_dev", "Paraphrase_test", "Paraphrase_annotators_meta"]
    frame = read_annotations(*(real_data / "lewidi" / f"{name}.json" for name in names))
    assert len(frame) == 2000
    assert frame["split"].value_counts().to_dict() == {"train": 1600, "dev": 200, "test": 200}
    assert frame["age"].unique().tolist() == [26, 30, 36]
    assert frame["text_pair"].notna().all()
