import json

import numpy as np
import pandas as pd
import pytest

from hyperadapters.data.tasks import read_examples, read_task_file
from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tasks import Mixture, MixturePart, Task, find_task

COLA = find_task("cola")
OFFICIAL = COLA.changed(split_rule="official")


def mixture_of(*parts, scored=()):
    return Mixture("mix", tuple(parts), evaluation_only=tuple(scored))


def save(frame, path):
    writers = {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        ".jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        ".parquet": lambda: frame.to_parquet(path),
    }
    writers[path.suffix]()
    return path


@pytest.fixture
def cola_file(sentences, tmp_path):
    return save(sentences, tmp_path / "cola.csv")


def failure(*parts, scored=()):
    with pytest.raises(DataError) as caught:
        read_examples(mixture_of(*parts, scored=scored))
    return str(caught.value)


# ---- what is read ----


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


# ---- questions ----


def ask(tmp_path, rows, task=None, ending=".jsonl", **fields):
    path = tmp_path / f"qa{ending}"
    frame = pd.DataFrame({"question": "Q?", "context": "the cat sat", **rows})
    if ending == ".jsonl":
        records = frame.to_dict("records")
        path.write_text("\n".join(map(json.dumps, records)))
    else:
        save(frame, path)
    need_target = fields.pop("need_target", True)
    task = task or find_task("subjqa")
    return read_task_file(task, path, need_target=need_target, **fields)


def test_questions(tmp_path):
    rows = {
        "answers": [["cat", "the cat"], []],
        "answer_starts": [[4, 0], []],
        "target": ["cat", ""],
    }
    examples = ask(tmp_path, rows)
    assert examples["source"].tolist() == ["question: Q? context: the cat sat"] * 2
    assert examples["question"].tolist() == ["Q?", "Q?"]
    assert examples["context"].tolist() == ["the cat sat"] * 2
    assert examples["target"].tolist() == ["cat", ""]
    assert examples["references"].tolist() == [["cat", "the cat"], [""]]
    assert examples["starts"].tolist() == [[4, 0], [-1]]


def test_the_target_is_the_first_answer(tmp_path):
    assert ask(tmp_path, {"answers": [["cat", "sat"], []]})["target"].tolist() == ["cat", ""]


def test_answers_from_the_target_alone(tmp_path):
    examples = ask(tmp_path, {"target": ["cat", "", None]})
    assert examples["references"].tolist() == [["cat"], [""], [""]]
    assert examples["starts"].tolist() == [[-1], [-1], [-1]]


def test_lists_in_a_csv_are_json(tmp_path):
    rows = {"answers": ['["cat", "sat"]', "[cat", ""], "answer_starts": ["[4, 8]", "-1", ""]}
    examples = ask(tmp_path, rows, ending=".csv")
    assert examples["references"].tolist() == [["cat", "sat"], ["[cat"], [""]]
    assert examples["starts"].tolist() == [[4, 8], [-1], [-1]]


def test_accepted_answers_without_a_place_come_behind(tmp_path):
    """MRQA: each detected answer keeps its own place; what else is accepted has none."""
    rows = {
        "answers": [["sat", "cat"]],
        "answer_starts": [[8, 4]],
        "accepted": [["the cat", "cat"]],
    }
    examples = ask(tmp_path, rows, find_task("mrqa"))
    assert examples["target"].tolist() == ["sat"]
    assert examples["references"].tolist() == [["sat", "cat", "the cat"]]
    assert examples["starts"].tolist() == [[8, 4, -1]]


def test_answers_as_people_write_them_stand_at_their_place(tmp_path):
    rows = {"answers": [["The cats."]], "answer_starts": [[0]]}
    assert ask(tmp_path, rows)["starts"].tolist() == [[0]]


def test_an_empty_context_is_a_context(tmp_path):
    examples = ask(tmp_path, {"target": ["x"], "context": [None]})
    assert examples["context"].tolist() == [""]


def test_questions_without_answers_are_for_prediction(tmp_path):
    examples = ask(tmp_path, {"id": ["a"]}, need_target=False)
    assert examples["target"].tolist() == [None]
    assert examples["references"].tolist() == [[]]
    with pytest.raises(DataError, match=r"no column 'answers'; the columns are question, context"):
        ask(tmp_path, {"id": ["a"]})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            {"answers": [["cat"], ["cat"]], "answer_starts": [[4], [5]]},
            "'answer_starts': the answer does not stand at that place of the context (row 2)",
        ),
        (
            {"answers": [["cat"], ["cat"]], "answer_starts": [[4, 4], [4]]},
            "'answer_starts' has not one number for every answer (row 1)",
        ),
        (
            {"answers": [["cat"], ["cat"]], "answer_starts": [["four"], [4]]},
            "'answer_starts' must hold whole numbers, -1 for no literal span (row 1)",
        ),
        ({"answers": [["cat"]], "question": [None]}, "column 'question' is empty (row 1)"),
    ],
)
def test_places_that_cannot_be(tmp_path, rows, message):
    with pytest.raises(DataError) as caught:
        ask(tmp_path, rows)
    assert f"column {message}".replace("column column", "column") in str(caught.value)


# ---- one file, as it is ----


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


# ---- what is wrong is said ----


def test_labels_outside_the_vocabulary(sentences, tmp_path):
    sentences["label"] = ["bad", "bad", "worse", "9", "8", *["1"] * 55]
    said = failure(MixturePart(OFFICIAL, (save(sentences, tmp_path / "c.csv"),)))
    assert said == (
        f"{tmp_path / 'c.csv'}: column 'label' holds 'bad', 'worse', '9' and 1 more;"
        " the labels are 0, 1 (rows 2, 3, 4, 5, 6)"
    )


def test_numbers_that_are_none(sentences, tmp_path):
    task = Task("mine", "regression", "{sentence}", "label", ("pearson",))
    path = save(sentences.assign(label="much"), tmp_path / "c.csv")
    said = failure(MixturePart(task, (path,)))
    assert (
        "column 'label' holds 'much', which is no number (rows 2, 3, 4, 5, 6 and 55 more)" in said
    )


def test_a_missing_column_with_a_near_miss(sentences, tmp_path):
    path = save(sentences.rename(columns={"sentence": "sentences"}), tmp_path / "c.csv")
    said = failure(MixturePart(OFFICIAL, (path,)))
    assert said == (
        f"{path}: no column 'sentence'; did you mean 'sentences'? the columns are split, sentences,"
        " label; a column of another name is told with `columns: {sentence: ...}`"
    )


def test_several_faults_come_together(sentences, tmp_path):
    path = save(sentences.drop(columns=["sentence", "label"]), tmp_path / "c.csv")
    said = failure(MixturePart(OFFICIAL, (path,)))
    assert "no column 'sentence'" in said and "no column 'label'" in said


def test_empty_cells(sentences, tmp_path):
    sentences.loc[[2, 7], "sentence"] = None
    sentences["label"] = sentences["label"].astype(object)
    sentences.loc[1, "label"] = None
    said = failure(MixturePart(OFFICIAL, (save(sentences, tmp_path / "c.csv"),)))
    assert "column 'sentence' is empty (rows 4, 9); column 'label' is empty (row 3)" in said


def test_rows_of_several_files_bear_their_file(sentences, tmp_path):
    good = save(sentences, tmp_path / "a.csv")
    bad = save(sentences.assign(label=5), tmp_path / "b.csv")
    said = failure(MixturePart(OFFICIAL, (good, bad)))
    assert said.startswith(f"{bad}: ") and "(rows 2, 3" in said


def test_no_split_column(sentences, tmp_path):
    path = save(sentences.rename(columns={"split": "splits"}), tmp_path / "c.csv")
    said = failure(MixturePart(OFFICIAL, (path,)))
    assert "task cola: no column 'split'; did you mean 'splits'? the columns are" in said
    assert said.endswith("Its cells are train, dev (or validation) and test.")


def test_a_split_that_is_none(sentences, tmp_path):
    sentences.loc[0, "split"] = "tryout"
    said = failure(MixturePart(OFFICIAL, (save(sentences, tmp_path / "c.csv"),)))
    assert "split 'tryout' is not one of train, dev, test (row 2)" in said


def test_nothing_to_train_on(sentences, tmp_path):
    path = save(sentences[sentences["split"] == "test"], tmp_path / "c.csv")
    said = failure(MixturePart(OFFICIAL, (path,)))
    assert "task cola: no rows are train; there is test" in said
    assert "`evaluate_only: true`" in said


def test_nothing_to_score(sentences, tmp_path, cola_file):
    path = save(sentences[sentences["split"] == "train"].head(9), tmp_path / "c.csv")
    scored = MixturePart(OFFICIAL.changed(name="far"), (path,), conditioned_as="cola")
    with pytest.raises(DataError, match="it has 9"):
        read_examples(mixture_of(MixturePart(OFFICIAL, (cola_file,)), scored=(scored,)))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"domian": ("a",)}, "where: no column 'domian'; did you mean 'domain'?"),
        ({"domain": ("z",)}, "where: no row has 'z' in column 'domain'; known: a, b"),
        ({"domain": ("a",), "label": ("1",)}, "where: no row fits all columns together"),
    ],
)
def test_filters_that_fit_nothing(sentences, tmp_path, where, message):
    sentences["domain"] = ["a" if label == 0 else "b" for label in sentences["label"]]
    path = save(sentences, tmp_path / "c.csv")
    assert f"task cola: {message}" in failure(MixturePart(OFFICIAL, (path,), where=where))


def test_an_id_twice(sentences, tmp_path):
    sentences["text_id"] = [*range(58), 0, None]
    said = failure(MixturePart(OFFICIAL, (save(sentences, tmp_path / "c.jsonl"),)))
    assert "column 'text_id' is empty (row 60)" in said
    assert "column 'text_id' is the same in two rows (rows 1, 59)" in said


def test_rows_too_few_for_the_rule(cola_file):
    said = failure(MixturePart(COLA.changed(split_rule="thousand"), (cola_file,)))
    assert "task cola: dev is taken from train, which must have more than 1000 rows" in said


def test_files_that_cannot_be_read(tmp_path):
    missing, empty, other = (tmp_path / name for name in ("a.csv", "b.csv", "c.txt"))
    empty.write_text("")
    other.write_text("x")
    assert "there is no such file" in failure(MixturePart(OFFICIAL, (missing,)))
    assert "the file is empty" in failure(MixturePart(OFFICIAL, (empty,)))
    assert "the ending '.txt' is not one of .csv, .tsv" in failure(MixturePart(OFFICIAL, (other,)))
    empty.write_text("split,sentence,label\n")
    assert "there are no rows" in failure(MixturePart(OFFICIAL, (empty,)))


def test_a_negative_seed(cola_file):
    with pytest.raises(ConfigError, match="the seed must be 0 or more, got -1"):
        read_examples(mixture_of(MixturePart(OFFICIAL, (cola_file,))), seed=-1)
