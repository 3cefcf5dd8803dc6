import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tasks import TASKS, Generation, Hub, Task, find_task


def make(**changes):
    fields = {
        "name": "mine",
        "kind": "classification",
        "source": "text: {text}",
        "target": "label",
        "metrics": ("accuracy",),
        "labels": {"0": "bad", "1": "good"},
    }
    # As from a file: values of any type.
    return Task.from_dict({**fields, **changes})


def regression(**changes):
    return make(kind="regression", labels=None, metrics=("pearson",), **changes)


def question(**changes):
    fields = {"kind": "qa", "labels": None, "source": "question: {question} context: {context}"}
    return make(**{**fields, "target": "target", "metrics": ("exact_match",), **changes})


def test_the_source_begins_with_the_tasks_name():
    assert make().source_of({"text": "hello"}) == "mine text: hello"


def test_a_prefix_of_its_own_or_none():
    assert make(prefix="p:").source_of({"text": "a"}) == "p: text: a"
    assert make(prefix="").source_of({"text": "a"}) == "text: a"


@given(st.text())
def test_any_text_comes_through(text):
    assert make().source_of({"text": text}) == f"mine text: {text}"


def test_an_empty_cell_of_the_source_is_named():
    with pytest.raises(DataError, match="task mine: column 'text' is empty"):
        make().source_of({"text": None})


def test_columns():
    task = make(source="{a} {b} {a}", target="c")
    assert task.columns == ("a", "b", "c")
    assert task.source_columns == ("a", "b")


@pytest.mark.parametrize("cell", [1, "1", 1.0, " 1.0 "])
def test_the_word_of_a_label(cell):
    assert make().target_of({"label": cell}) == "good"


def test_labels_that_are_truth_values():
    task = make(labels={"false": "no", "true": "yes"})
    assert [task.target_of({"label": cell}) for cell in (True, "True", False)] == [
        "yes",
        "yes",
        "no",
    ]


@pytest.mark.parametrize("row", [{}, {"label": None}, {"label": ""}, {"label": float("nan")}])
def test_a_missing_target_is_none(row):
    assert make().target_of(row) is None
    assert regression().target_of(row) is None


def test_a_cell_that_is_no_label():
    with pytest.raises(DataError, match=r"column 'label' holds '7'; labels: 0, 1"):
        make().target_of({"label": 7})


@pytest.mark.parametrize(
    ("cell", "text"),
    [(3.4, "3.4"), (3.44, "3.4"), (3.46, "3.5"), (5, "5.0"), ("2.75", "2.8"), (-0.01, "0.0")],
)
def test_numbers_are_rounded_to_a_tenth(cell, text):
    assert regression().target_of({"label": cell}) == text


@pytest.mark.parametrize("cell", ["much", "inf", "nan"])
def test_a_target_that_is_no_number(cell):
    with pytest.raises(DataError, match=f"column 'label' holds '{cell}', which is no number"):
        regression().target_of({"label": cell})


@pytest.mark.parametrize(("text", "answer"), [(" good ", "good"), ("Good", None), ("1", None)])
def test_answers_are_label_words_exactly(text, answer):
    assert make().answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"), [("3.4", 3.4), (" 5 ", 5.0), ("much", None), ("nan", None), ("", None)]
)
def test_answers_that_are_numbers(text, answer):
    assert regression().answer(text) == answer


def test_answers_that_are_texts():
    assert question().answer(" the cat ") == "the cat"


def test_words_are_in_order_and_once():
    task = make(labels={"a": "x", "b": "y", "c": "x"})
    assert task.words == ("x", "y")
    assert regression().words == ()


@pytest.mark.parametrize("name", TASKS)
def test_every_task_comes_back_from_json(name):
    task = find_task(name)
    again = Task.from_dict(json.loads(json.dumps(task.to_dict())))
    assert again == task
    assert hash(again) == hash(task)
    assert list(again.labels or ()) == list(task.labels or ())


def test_a_task_can_be_pickled_for_workers():
    assert pickle.loads(pickle.dumps(find_task("squad"))) == find_task("squad")


def test_metrics_may_be_a_single_name():
    plain = {**make().to_dict(), "metrics": "accuracy"}
    assert Task.from_dict(plain).metrics == ("accuracy",)


def test_changed_checks_again():
    assert make().changed(prefix="").prefix == ""
    with pytest.raises(ConfigError, match="unknown metric 'accuracies'"):
        make().changed(metrics=("accuracies",))


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"sauce": "x"}, "unknown field 'sauce'; did you mean 'source'?"),
        ({"generation": {"num_beam": 2}}, "unknown field 'num_beam'; did you mean 'num_beams'?"),
        ({"hub": {"pat": "x"}}, "unknown field 'pat'; did you mean 'path'?; field 'path' is miss"),
        ({"generation": 3}, "generation must be a table of fields"),
        ({"hub": "here"}, "hub must be a table of fields"),
    ],
)
def test_fields_of_a_plain_form_are_checked(plain, message):
    with pytest.raises(ConfigError) as caught:
        Task.from_dict({**make().to_dict(), **plain})
    assert message in str(caught.value)


def test_missing_fields_of_a_plain_form_are_all_named():
    with pytest.raises(ConfigError, match=r"'kind' is missing; field 'source' is missing"):
        Task.from_dict({"name": "mine"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": " "}, "a task needs a name"),
        ({"kind": "classify"}, "unknown kind 'classify'; did you mean"),
        ({"split_rule": "halves"}, "unknown split_rule 'halves'; did you mean 'half'?"),
        ({"source": 3}, "source must be text"),
        ({"source": "no field"}, "names no column"),
        ({"source": "{a.b}"}, "must be the plain name of a column"),
        ({"target": ""}, "target must name a column"),
        ({"prefix": 3}, "prefix must be text"),
        ({"metrics": ()}, "metrics must be a list of names"),
        ({"metrics": ("f2",)}, "unknown metric 'f2'; known: accuracy, f1"),
        ({"metrics": ("f1", "f1")}, "metric 'f1' is named twice"),
        ({"labels": None}, "a classification needs labels"),
        ({"labels": {}}, "a classification needs labels"),
        ({"labels": {"0": "a"}}, "two different label words"),
        ({"labels": {"0": "a", "1": "a "}}, "two different label words"),
        ({"labels": {"0": "a", "1": ""}}, "must be texts that are not empty"),
        ({"labels": {"0": "a", "1": 2}}, "must be texts that are not empty"),
        ({"labels": {"": "a", "1": "b"}}, "a label has an empty cell"),
        ({"labels": {"1": "a", "1.0": "b"}}, "two labels are of the same cell"),
        ({"kind": "text"}, "labels are for a classification, not for text"),
        ({"kind": "qa", "labels": None}, "must name {question} once and end with {context}"),
    ],
)
def test_a_task_that_cannot_be(changes, message):
    with pytest.raises(ConfigError) as caught:
        make(**changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{context} {question}",
        "{question} {context}.",
        "{question} {context} {context}",
        "{context}",
    ],
)
def test_a_question_ends_with_its_context(source):
    with pytest.raises(ConfigError, match=r"end with \{context\}"):
        question(source=source)


def test_all_problems_are_told_together():
    with pytest.raises(ConfigError, match=r"unknown kind 'x'.*; unknown metric 'y'"):
        make(kind="x", metrics=("y",))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_beams": 0}, "num_beams must be a whole number of at least 1, got 0"),
        ({"num_beams": True}, "num_beams must be a whole number"),
        ({"max_new_tokens": 2.5}, "max_new_tokens must be a whole number of at least 1"),
        ({"min_new_tokens": -1}, "min_new_tokens must be a whole number of at least 0"),
        ({"min_new_tokens": 9, "max_new_tokens": 3}, "min_new_tokens (9) is above max_new_tokens"),
    ],
)
def test_generation_that_cannot_be(fields, message):
    with pytest.raises(ConfigError) as caught:
        Generation.from_dict(fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"path": 3}, "hub: path must be text, got 3"),
        ({"path": "a/b", "name": 3}, "hub: name must be text, got 3"),
        ({"path": "a/b", "splits": ["train"]}, "hub: splits must be a table, got ['train']"),
        ({"path": "a/b", "splits": {"dev": 3}}, "hub: splits: dev must be text or a list of texts"),
        ({"path": "a/b", "splits": {"dev": []}}, "splits: dev must be text or a list of texts"),
        ({"path": "a/b", "columns": {"t": ["x"]}}, "hub: columns: t must be one column or path"),
        ({"path": "a/b", "splits": {"val": "x"}}, "unknown split 'val'; known: train, dev, test"),
    ],
)
def test_a_hub_that_cannot_be(fields, message):
    with pytest.raises(ConfigError) as caught:
        Hub.from_dict(fields)
    assert message in str(caught.value)


def test_a_hub_of_lists():
    plain = {"path": "a/b", "splits": {"dev": ["x", "y"]}, "without": {"label": "-1"}}
    assert Hub.from_dict(plain) == Hub(
        "a/b", splits={"dev": ("x", "y")}, without={"label": ("-1",)}
    )


def test_a_hub_split_that_does_not_exist():
    with pytest.raises(ConfigError, match="unknown split 'validation'; known: train, dev, test"):
        Hub("a/b", splits={"validation": "validation"})
