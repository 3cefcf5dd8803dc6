import pandas as pd
import pytest

from hyperadapters.conditions import Vocabulary
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.inference import ALL, POPULATION, ROWS, rows_for

PEOPLE = Vocabulary(("a", "b", "c"))


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "text_id": ["1", "1", "2"],
            "text": ["x", "x", "y"],
            "annotator": ["b", "z", "a"],
            "label": ["fine", "toxic", "toxic"],
            "split": ["dev", "dev", "test"],
        },
        index=[5, 6, 7],
    )


def pairs(frame):
    return list(zip(frame["text_id"], frame["annotator"], strict=True))


def test_rows_are_those_of_the_table(table):
    rows = rows_for(table, ROWS, PEOPLE)
    assert rows.equals(table.reset_index(drop=True))
    with pytest.raises(ConfigError, match=r"no column of annotators.*all, population or ids"):
        rows_for(table.drop(columns="annotator"), ROWS, PEOPLE)


def test_everyone_is_asked_about_every_text_once(table):
    rows = rows_for(table, ALL, PEOPLE)
    assert pairs(rows) == [(t, a) for t in "12" for a in "abc"]
    assert rows["text"].tolist() == ["x"] * 3 + ["y"] * 3
    assert rows["split"].tolist() == ["dev"] * 3 + ["test"] * 3
    # Labels stand where somebody gave one; that of z is not asked for.
    assert rows["label"].fillna("-").tolist() == ["-", "fine", "-", "toxic", "-", "-"]


def test_population(table):
    rows = rows_for(table, POPULATION, PEOPLE)
    assert pairs(rows) == [("1", "population"), ("2", "population")]
    assert rows["label"].isna().all()


def test_ids(table):
    assert pairs(rows_for(table, ["c", "a", "c"], PEOPLE)) == [
        *[("1", "c"), ("1", "a"), ("2", "c"), ("2", "a")]
    ]
    assert pairs(rows_for(table, "b", PEOPLE)) == [("1", "b"), ("2", "b")]
    assert len(rows_for(table, ["a", "population"], PEOPLE)) == 4
    with pytest.raises(ConditionError, match=r"unknown: x, y; the model knows 3 names"):
        rows_for(table, ["y", "a", "x"], PEOPLE)


def test_a_table_of_texts_alone():
    texts = pd.DataFrame({"text_id": ["1"], "text": ["x"], "text_pair": ["y"]})
    rows = rows_for(texts, ALL, PEOPLE)
    assert list(rows) == ["text_id", "text", "text_pair", "annotator"]
    assert len(rows) == 3
