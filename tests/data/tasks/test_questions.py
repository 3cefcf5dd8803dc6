import json

import pandas as pd
import pytest

from hyperadapters.data.tasks import read_task_file
from hyperadapters.errors import DataError
from hyperadapters.tasks import find_task
from task_files import save


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
