import numpy as np
import pandas as pd
import pytest

from hyperadapters.experiments.tasks.known import KnownTasks
from hyperadapters.experiments.tasks.record import TaskRecord
from hyperadapters.experiments.tasks.summary import Cell, markdown, summarise
from hyperadapters.tasks import Task

RECORD = {
    **{"backbone": "b", "settings": {}, "command": "", "versions": {"python": "3"}},
}


def make_known():
    shared = {"kind": "text", "source": "{x}", "target": "y"}
    tasks = {
        "two": Task(name="two", metrics=("rouge1", "rouge2", "length"), **shared),
        "one": Task(name="one", metrics=("bleu",), **shared),
        "words": Task(name="words", metrics=("length",), **shared),
    }
    return KnownTasks(("two", "one", "words"), tasks, {name: name for name in tasks}, ("words",))


def make_record(recipe, seed, parameters=1000, seconds=10.0):
    results = {"trainable_parameters": parameters, "seconds": seconds}
    return TaskRecord(recipe, "b", seed, {}, {}, [], {}, "", {}, True, results)


def make_scores(values):
    """Scores by (method, seed); each a mapping of (slice, metric) to value."""
    rows = [
        (method, seed, "test", *place, value, np.nan, np.nan, 5)
        for (method, seed), found in values.items()
        for place, value in found.items()
    ]
    names = ["method", "seed", "split", "slice", "metric", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=names)


def scores_of(rouge1, rouge2, bleu, average, length=7.0):
    return {
        ("two", "rouge1"): rouge1,
        ("two", "rouge2"): rouge2,
        ("two", "length"): length,
        ("one", "bleu"): bleu,
        ("words", "length"): 3.0,
        ("all", "average"): average,
    }


@pytest.fixture
def summary():
    scores = make_scores(
        {
            ("a", 0): scores_of(0.4, 0.2, 0.5, 0.40),
            ("a", 1): scores_of(0.6, 0.2, 0.5, 0.45),
            ("b", 0): scores_of(0.2, 0.2, 0.5, 0.35, length=20.0),
        }
    )
    records = [make_record("a", 0), make_record("a", 1, seconds=20.0), make_record("b", 0, 2000)]
    return summarise(scores, records, make_known())


def test_means_and_spreads(summary):
    assert summary.columns == ["two", "one", "average"]  # `words` has no score but its length
    a, b = summary.scores["a"], summary.scores["b"]
    assert a["two"].mean == pytest.approx(0.35)  # 0.3 and 0.4, without the length
    assert a["two"].spread == pytest.approx(np.std([0.3, 0.4], ddof=1))
    assert a["average"].mean == pytest.approx(0.425)
    assert b["average"].text == "35.0" and np.isnan(b["average"].spread)
    assert summary.metrics["two", "rouge1"]["a"].mean == pytest.approx(0.5)
    assert summary.parameters == {"a": 1000, "b": 2000}
    assert summary.seconds == {"a": 15.0, "b": 10.0}
    assert summary.seeds == {"a": [0, 1], "b": [0]}


def test_the_best_is_marked(summary):
    a, b = summary.scores["a"], summary.scores["b"]
    assert a["two"].is_best and not b["two"].is_best
    assert a["one"].is_best and b["one"].is_best  # equal
    assert not any(cell.is_best for cell in summary.metrics["two", "length"].values())
    alone = summarise(
        make_scores({("a", 0): scores_of(1, 1, 1, 1)}), [make_record("a", 0)], make_known()
    )
    assert not any(cell.is_best for cell in alone.scores["a"].values())


def test_the_markdown(summary):
    text = markdown(summary, RECORD, {"b/seed-1": "out of | memory"})
    lines = text.splitlines()
    assert lines[0] == (
        "| recipe | two (rouge1, rouge2) | one (bleu) | average | trainable parameters | seconds |"
    )
    assert lines[2] == ("| a | **35.0 ± 7.1** | **50.0 ± 0.0** | **42.5 ± 3.5** | 1,000 | 15 |")
    assert lines[3] == "| b | 20.0 | **50.0** | 35.0 | 2,000 | 10 |"
    assert "| two | rouge1 | **50.0 ± 14.1** | 20.0 |" in lines
    assert "| two | length | 7.0 | 20.0 |" in lines
    assert not [line for line in lines if line.startswith("| one |")]  # one metric: as above
    assert "- seeds: a: 0, 1; b: 0" in lines
    assert "- only scored, not trained on: words" in lines
    assert "- failed: b/seed-1: out of | memory" in lines
    assert "command" not in text and "settings" not in text
    told = markdown(summary, {**RECORD, "command": "x y", "settings": {"steps": 3}}, {})
    assert "- command: `x y`" in told and "- settings: steps=3" in told


def test_a_score_that_is_missing(summary):
    scores = make_scores(
        {("a", 0): scores_of(np.nan, 0.2, 0.5, 0.5), ("b", 0): scores_of(0, 0, 0, 0)}
    )
    found = summarise(scores, [make_record("a", 0), make_record("b", 0)], make_known())
    assert found.scores["a"]["two"].text == "-"
    assert found.scores["b"]["two"].is_best and not found.scores["a"]["two"].is_best
    assert Cell(float("nan")).text == "-"


def test_dev_where_there_is_no_test():
    scores = make_scores({("a", 0): scores_of(1, 1, 1, 1)}).assign(split="dev")
    assert summarise(scores, [make_record("a", 0)], make_known()).split == "dev"
