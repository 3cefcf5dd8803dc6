"""The hub without a network: a folder stands for a data set."""

import sys

import pandas as pd
import pytest

from hyperadapters.data.tasks import read_examples
from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tasks import Hub, Mixture, MixturePart, find_task

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    shown = datasets.utils.logging.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    yield
    if shown:
        datasets.enable_progress_bars()


@pytest.fixture
def folder(tmp_path):
    """SQuAD's layout, in three splits."""
    here = tmp_path / "set"
    here.mkdir()
    for split, n_rows in (("train", 20), ("validation", 5), ("test", 2)):
        answers = [{"text": ["cat"], "answer_start": [4]}] * (n_rows - 1)
        answers.append({"text": [], "answer_start": []})
        frame = pd.DataFrame(
            {
                "question": "Q?",
                "context": "the cat sat",
                "answers": answers,
                "label": [n % 3 - 1 for n in range(n_rows)],
            }
        )
        frame.to_parquet(here / f"{split}.parquet")
    return str(here)


def read(hub, name="squad", **changes):
    task = find_task(name).changed(hub=hub, **changes)
    return read_examples(Mixture("m", (MixturePart(task),)))


def test_nested_columns_and_splits(folder):
    hub = find_task("squad").hub
    examples = read(Hub(folder, splits=hub.splits, columns=hub.columns))
    assert examples["split"].value_counts().to_dict() == {"train": 20, "test": 3, "dev": 2}
    assert examples["target"].tolist()[18:20] == ["cat", ""]
    assert examples["starts"].tolist()[18:20] == [[4], [-1]]
    assert examples["source"].tolist()[0] == "squad question: Q? context: the cat sat"
    assert examples["text_id"].tolist()[0] == "train-0"


def test_columns_of_the_mixture_go_first(folder):
    hub = Hub(
        folder, splits={"train": "train", "dev": "validation"}, columns={"sentence": "answers"}
    )
    task = find_task("cola").changed(hub=hub, labels={"-1": "a", "0": "b", "1": "c"})
    part = MixturePart(task, columns={"sentence": "question"}, where={"label": ("0", "1")})
    examples = read_examples(Mixture("m", (part,)))
    assert examples["source"].tolist()[0] == "cola sentence: Q?"
    assert set(examples["target"]) == {"b", "c"}


def test_joined_splits_and_rows_that_are_no_examples(folder):
    splits = {"train": ("train", "test"), "dev": "validation"}
    hub = Hub(folder, splits=splits, columns={"sentence": "context"}, without={"label": ("-1",)})
    examples = read(hub, "cola")
    # 7 of 20, 1 of 2 and 2 of 5 rows have no label.
    assert examples["split"].value_counts().to_dict() == {"train": 14, "test": 2, "dev": 1}


def test_labels_outside_the_vocabulary_name_the_hubs_rows(folder):
    hub = Hub(
        folder, splits={"train": "train", "dev": "validation"}, columns={"sentence": "context"}
    )
    with pytest.raises(DataError) as caught:
        read(hub, "cola")
    assert str(caught.value) == (
        f"hub {folder}: column 'label' holds '-1'; the labels are 0, 1"
        " (rows train:1, train:4, train:7, train:10, train:13 and 4 more)"
    )


def test_a_split_that_is_not_there(folder):
    with pytest.raises(DataError) as caught:
        read(Hub(folder, splits={"train": "trains", "dev": "validation"}))
    said = str(caught.value)
    assert said.startswith(f"hub {folder}: split 'trains' cannot be read: ")
    assert said.count("\n") == 1
    assert "named with `file`" in said


def test_a_set_that_cannot_be_reached():
    """Tests run offline."""
    with pytest.raises(DataError) as caught:
        read(Hub("nobody/nothing", "some"))
    assert str(caught.value).startswith("hub nobody/nothing (some): split 'train' cannot be read: ")


def test_a_column_to_leave_rows_out_by(folder):
    hub = Hub(folder, splits={"train": "train", "dev": "validation"}, without={"lable": ("-1",)})
    with pytest.raises(DataError, match="split 'train' has no column 'lable'"):
        read(hub)


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError) as caught:
        read(Hub("a/b"))
    assert "task squad is read from the hub by the library `datasets`" in str(caught.value)
    assert "pip install hyperadapters[tasks]" in str(caught.value)
