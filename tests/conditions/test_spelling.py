import decimal
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.conditions.spelling import bucket, spellings
from hyperadapters.errors import ConditionError


@pytest.mark.parametrize(
    "value",
    [None, "", float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, decimal.Decimal("nan")],
)
def test_missing(value):
    assert spellings(value) == ()


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ("nan", "nan"),
        ("1.0", "1.0"),
        (" ", " "),
        (1, "1"),
        (1.0, "1"),
        (np.float32(1), "1"),
        (np.int8(-4), "-4"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (float("inf"), "inf"),
        (True, "True"),
        (np.True_, "True"),
        (np.str_("é"), "é"),
    ],
)
def test_the_canonical_spelling(value, canonical):
    assert spellings(value)[-1] == canonical


def test_a_float_may_also_be_written_with_its_point():
    assert spellings(3.0) == ("3.0", "3")


@pytest.mark.parametrize("value", [["a"], {"a": 1}, (), b"a", np.zeros(2)])
def test_collections_are_refused(value):
    with pytest.raises(ConditionError, match="wanted one string or number"):
        spellings(value)


# Stored models depend on these: a change would give everybody the vectors of somebody else.
@pytest.mark.parametrize(
    ("text", "buckets", "wanted"),
    [("Brasil", 1024, 123), ("Ελλάδα", 1024, 363), ("1", 7, 2), ("x", 1099511627776, 446566389839)],
)
def test_buckets_never_change(text, buckets, wanted):
    assert bucket(text, buckets) == wanted


def test_buckets_do_not_depend_on_the_process():
    code = "from hyperadapters.conditions.spelling import bucket; print(bucket('Brasil', 10**6))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {f"{bucket('Brasil', 10**6)}\n"}


@settings(max_examples=50, deadline=None)
@given(st.text(), st.integers(1, 2**40))
def test_buckets_are_in_range(text, buckets):
    assert 0 <= bucket(text, buckets) < buckets


def test_buckets_are_used_evenly():
    counts = np.bincount([bucket(str(number), 10) for number in range(10_000)], minlength=10)
    assert counts.min() > 850 and counts.max() < 1150
