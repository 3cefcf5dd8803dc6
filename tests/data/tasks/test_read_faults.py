import pytest

from hyperadapters.data.tasks import read_examples
from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tasks import MixturePart, Task
from task_files import COLA, OFFICIAL, failure, mixture_of, save


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
