import json

import numpy as np
import pandas as pd
import pytest

from hyperadapters.data.tasks import read_examples, read_task_file
from hyperadapters.errors import DataError
from hyperadapters.tasks import MixturePart, find_task
from task_files import COLA, OFFICIAL, failure, mixture_of, save


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_examples(sentences, tmp_path, ending):
    path = save(sentences, tmp_path / f"cola{ending}")
    examples = read_examples(mixture_of(MixturePart(OFFICIAL, (path,))))
    assert examples["source"].tolist()[:2] == ["cola sentence: w0 w1", "cola sentence: w1 w1"]
    assert examples["target"].tolist() == [str(number % 2) for number in range(60)]
    assert examples["references"].tolist()[:2] == [["0"], ["1"]]
    assert examples["text_id"].tolist()[39:41] == ["train-39", "dev-0"]
    assert examples["split"].value_counts().to_dict() == {"train": 40, "dev": 11, "test": 9}
    assert examples["context"].isna().all()
    assert examples.attrs["splits"]["cola"] == {
        "asked": "official",
        "used": "official",
        "left_out": 0,
    }


def test_the_tasks_rule_makes_the_splits(cola_file):
    examples = read_examples(mixture_of(MixturePart(COLA, (cola_file,))))
    assert examples["split"].value_counts().to_dict() == {"train": 40, "dev": 5, "test": 6}
    assert examples.attrs["splits"]["cola"] == {"asked": "half", "used": "half", "left_out": 9}
    # The id is that of the official row, whatever the rule made of it.
    assert set(examples.loc[examples["split"] == "test", "text_id"].str[:4]) == {"dev-"}


def test_hidden_labels_of_an_unused_test_split_do_not_matter(sentences, tmp_path):
    sentences.loc[sentences["split"] == "test", "label"] = -1
    path = save(sentences, tmp_path / "cola.csv")
    assert len(read_examples(mixture_of(MixturePart(COLA, (path,))))) == 51
    assert "column 'label' holds '-1'; the labels are 0, 1 (rows 53," in failure(
        MixturePart(OFFICIAL, (path,))
    )


def test_limits_are_drawn_by_the_seed(cola_file):
    part = MixturePart(OFFICIAL, (cola_file,), {"train": 10, "test": 100})
    one, again, other = (read_examples(mixture_of(part), seed=seed) for seed in (0, 0, 1))
    assert one["split"].value_counts().to_dict() == {"dev": 11, "train": 10, "test": 9}
    pd.testing.assert_frame_equal(one, again)
    assert one["text_id"].tolist() != other["text_id"].tolist()
    # The rows are in the file's order.
    numbers = [int(text_id.split("-")[1]) for text_id in one["text_id"][:10]]
    assert numbers == sorted(numbers)


def test_several_files_and_several_tasks(sentences, tmp_path):
    train = save(sentences[sentences["split"] == "train"], tmp_path / "a.csv")
    rest = save(sentences[sentences["split"] != "train"], tmp_path / "b.parquet")
    other = OFFICIAL.changed(name="other")
    examples = read_examples(
        mixture_of(MixturePart(OFFICIAL, (train, rest)), MixturePart(other, (rest, train)))
    )
    assert examples["task"].value_counts(sort=False).to_dict() == {"cola": 60, "other": 60}
    assert examples.loc[60, "source"] == "other sentence: w40 w1"


def test_filters(sentences, tmp_path):
    sentences["domain"] = [number % 3 for number in range(60)]
    sentences["year"] = "1999"
    path = save(sentences, tmp_path / "cola.csv")
    where = {"domain": ("0", "2"), "year": ("1999",)}
    examples = read_examples(mixture_of(MixturePart(OFFICIAL, (path,), where=where)))
    assert len(examples) == 40
    # Ids are those of the whole file.
    assert examples["text_id"].tolist()[:3] == ["train-0", "train-2", "train-3"]


def test_columns_of_other_names_and_paths(tmp_path):
    rows = [
        {"fold": "train", "body": {"parts": ["x", "y"]}, "y": 1, "key": "k1"},
        {"fold": "val", "body": {"parts": ["z", "u"]}, "y": 0, "key": "k2"},
        {"fold": "test", "body": {"parts": ["v", "w"]}, "y": 0, "key": "k3"},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    columns = {"sentence": "body.parts.1", "label": "y", "split": "fold", "text_id": "key"}
    examples = read_examples(mixture_of(MixturePart(OFFICIAL, (path,), columns=columns)))
    assert examples["source"].tolist()[0] == "cola sentence: y"
    assert examples["text_id"].tolist() == ["k1", "k2", "k3"]
    assert examples["split"].tolist() == ["train", "dev", "test"]


def test_ids_of_the_file_are_kept_where_they_tell_rows_apart(sentences, tmp_path):
    path = tmp_path / "cola.csv"
    part = MixturePart(OFFICIAL, (path,))
    save(sentences.assign(id=np.arange(60) + 100), path)
    assert read_examples(mixture_of(part))["text_id"].tolist()[:2] == ["100", "101"]
    save(sentences.assign(id=0), path)
    assert read_examples(mixture_of(part))["text_id"].tolist()[:2] == ["train-0", "train-1"]


def test_a_part_that_is_only_scored_has_no_rows_to_train_on(cola_file):
    scored = MixturePart(OFFICIAL.changed(name="far"), (cola_file,), conditioned_as="cola")
    examples = read_examples(mixture_of(MixturePart(OFFICIAL, (cola_file,)), scored=(scored,)))
    far = examples[examples["task"] == "far"]
    assert far["split"].value_counts().to_dict() == {"dev": 11, "test": 9}


def test_numbers(tmp_path):
    frame = pd.DataFrame(
        {
            "split": ["train", "dev", "test"],
            "sentence1": list("abc"),
            "sentence2": list("def"),
            "label": [3.44, 5.0, 0.0],
        }
    )
    part = MixturePart(
        find_task("stsb").changed(split_rule="official"), (save(frame, tmp_path / "s.csv"),)
    )
    assert read_examples(mixture_of(part))["target"].tolist() == ["3.4", "5.0", "0.0"]


def test_references_of_summaries(tmp_path):
    frame = pd.DataFrame(
        {
            "split": ["train", "dev", "test"],
            "document": list("abc"),
            "target": list("def"),
            "references": [["x", "y"], [], None],
        }
    )
    path = save(frame, tmp_path / "d.parquet")
    examples = read_examples(mixture_of(MixturePart(find_task("dialogsum"), (path,))))
    assert examples["references"].tolist() == [["x", "y"], ["e"], ["f"]]
    path = save(frame.drop(columns="references"), tmp_path / "e.parquet")
    said = failure(MixturePart(find_task("dialogsum"), (path,)))
    assert "no column 'references'; the columns are split, document, target" in said


def test_a_file_without_splits_is_test(sentences, tmp_path):
    path = save(sentences.drop(columns="split"), tmp_path / "new.csv")
    examples = read_task_file(COLA, path, need_target=True)
    assert set(examples["split"]) == {"test"}
    assert examples["text_id"].tolist()[:2] == ["row-0", "row-1"]


def test_a_file_keeps_its_splits(cola_file):
    examples = read_task_file(COLA, cola_file, need_target=True)
    assert examples["split"].value_counts().to_dict() == {"train": 40, "dev": 11, "test": 9}


def test_unknown_answers_are_none(sentences, tmp_path):
    path = save(sentences.drop(columns="label"), tmp_path / "new.csv")
    examples = read_task_file(COLA, path, need_target=False)
    assert examples["target"].isna().all()
    assert examples["references"].tolist()[0] == []
    sentences["label"] = sentences["label"].astype(object)
    sentences.loc[3, "label"] = None
    path = save(sentences, tmp_path / "some.csv")
    assert read_task_file(COLA, path, need_target=False)["target"].isna().sum() == 1
    with pytest.raises(DataError, match=r"column 'label' is empty \(row 5\)"):
        read_task_file(COLA, path, need_target=True)


def test_a_label_that_is_none_is_wrong_even_where_none_is_needed(sentences, tmp_path):
    path = save(sentences.assign(label=-1), tmp_path / "new.csv")
    with pytest.raises(DataError, match="Where answers are not known, leave the column 'label' ou"):
        read_task_file(COLA, path, need_target=False)


def test_a_file_with_columns_of_other_names(sentences, tmp_path):
    path = save(sentences.rename(columns={"sentence": "s"}), tmp_path / "new.csv")
    examples = read_task_file(COLA, path, need_target=True, columns={"sentence": "s"})
    assert examples["source"].tolist()[0] == "cola sentence: w0 w1"
