import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperadapters.tasks.cells import cell_text, label_text, number_of


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (np.int64(1), "1"),
        (np.float32(1), "1"),
        (2.5, "2.5"),
        (True, "true"),
        (np.bool_(False), "false"),
        (" a ", " a "),
        ("", ""),
        (None, None),
        (float("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
    ],
)
def test_cells_as_text(cell, text):
    assert cell_text(cell) == text


@pytest.mark.parametrize("cell", [1, 1.0, "1", " 1 ", "1.0", "1.00", np.int8(1)])
def test_one_label_in_many_spellings(cell):
    assert label_text(cell) == "1"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("True", "true"),
        (True, "true"),
        ("TRUE", "true"),
        ("1.5", "1.5"),
        ("a.0", "a.0"),
        ("", None),
    ],
)
def test_labels_as_text(cell, text):
    assert label_text(cell) == text


@given(st.integers())
def test_whole_numbers_keep_all_their_digits(number):
    assert cell_text(number) == label_text(str(number)) == str(number)


@pytest.mark.parametrize("text", ["", "three", "nan", "inf", "-inf", "1_0", "\uff11", None, "1 2"])
def test_what_is_no_number(text):
    assert number_of(text) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_back(number):
    assert number_of(repr(number)) == number
