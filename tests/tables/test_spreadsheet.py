import io

import pandas as pd
import pytest

from hyperadapters.tables.spreadsheet import for_spreadsheets


@pytest.mark.parametrize(
    "text",
    ["=1+2", "+1-cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "--1", "-"],
)
def test_what_would_be_a_formula_is_words(text):
    (cell,) = for_spreadsheets(pd.DataFrame({"text": [text]}))["text"]
    assert cell == f"'{text}"


@pytest.mark.parametrize(
    "text", ["fine", "a=1", "-1", "+3", "-0.5", "1e-3", "-1,5", "-12 %", "", "'=1", "🙂=1"]
)
def test_everything_else_is_left_alone(text):
    table = pd.DataFrame({"text": [text]})
    pd.testing.assert_frame_equal(for_spreadsheets(table), table)


def test_numbers_missing_cells_and_names_of_columns():
    table = pd.DataFrame({"=x": ["=1", None], "p": [-0.5, 1.0], "n": [-1, 2], "ok": [True, False]})
    found = for_spreadsheets(table)
    assert list(found) == ["'=x", "p", "n", "ok"] and list(table) == ["=x", "p", "n", "ok"]
    assert found["'=x"].tolist()[0] == "'=1" and pd.isna(found["'=x"].tolist()[1])
    pd.testing.assert_frame_equal(found[["p", "n", "ok"]], table[["p", "n", "ok"]])
    back = pd.read_csv(io.StringIO(found.to_csv(index=False)))
    assert back["p"].tolist() == [-0.5, 1.0]


def test_columns_of_one_name():
    table = pd.DataFrame([["=a", "=b"]], columns=["x", "x"])
    assert for_spreadsheets(table).to_numpy().tolist() == [["'=a", "'=b"]]
