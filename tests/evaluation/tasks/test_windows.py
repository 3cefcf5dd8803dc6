import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.errors import DataError
from hyperadapters.evaluation.tasks import choose_windows


def windows(rows, **place):
    """TASK PREDICTIONS from (text id, written, nll)."""
    ids, written, nll = zip(*rows, strict=True)
    cells = pd.Series([["cat"]] * len(rows), dtype=object)
    columns = {"text_id": ids, "task": "qa", "label": "cat", "predicted": written, "nll": nll}
    return pd.DataFrame({**columns, "references": cells, **place})


def chosen(frame):
    return list(choose_windows(frame)[["text_id", "predicted"]].itertuples(index=False, name=None))


def test_by_hand():
    frame = windows(
        [
            ("a", "", 0.1),  # empty answers drop out, however likely
            ("b", "dog", 2.0),
            ("a", "red cat", 0.9),
            ("a", "cat", 0.5),
            ("b", "", 0.1),
            ("c", " ", 0.1),  # only empty ones
            ("c", "", 0.2),
            ("d", "one", 7.0),
        ]
    )
    assert chosen(frame) == [("a", "cat"), ("b", "dog"), ("c", ""), ("d", "one")]
    found = choose_windows(frame)
    assert found["nll"].tolist() == [0.5, 2.0, 0.1, 7.0]
    assert found["references"].tolist() == [["cat"]] * 4
    assert found.index.tolist() == [0, 1, 2, 3]


def test_of_equals_the_first_window_stays():
    assert chosen(windows([("a", "one", 0.5), ("a", "two", 0.5)])) == [("a", "one")]


def test_tasks_splits_methods_and_seeds_are_kept_apart():
    rows = [("a", "one", 0.5), ("a", "two", 0.1)]
    for place in ({"task": ["t", "u"]}, {"split": ["dev", "test"]}, {"seed": [0, 1]}):
        assert len(choose_windows(windows(rows).assign(**place))) == 2
    assert len(choose_windows(windows(rows, method=["m", "n"]))) == 2


def test_a_likelihood_is_needed_only_to_compare():
    nan = float("nan")
    rows = [("a", "cat", nan), ("a", "", nan), ("b", "", nan), ("b", "", 0.1), ("c", "x", nan)]
    assert chosen(windows(rows)) == [("a", "cat"), ("b", ""), ("c", "x")]
    what = (
        r"predictions: column 'nll' is empty where the answers of several windows have to be "
        r"compared \(rows 2, 4\)"
    )
    rows = [("a", "cat", 1.0), ("a", "dog", nan), ("a", "", nan), ("b", "x", nan), ("b", "y", 1)]
    with pytest.raises(DataError, match=what):
        choose_windows(windows(rows))


def test_faults_of_the_table_are_reported():
    with pytest.raises(DataError, match="predictions: column 'task' is missing"):
        choose_windows(windows([("a", "x", 1.0)]).drop(columns="task"))


rows_of_windows = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.sampled_from(["", "x", "y", "z"]), st.sampled_from([0.1, 1, 2])
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(rows_of_windows)
def test_as_a_naive_one_says(rows):
    wanted = {}
    for text_id, written, nll in rows:
        best = wanted.get(text_id, ("", np.inf))
        if written and (not best[0] or nll < best[1]):
            wanted[text_id] = (written, nll)
        else:
            wanted[text_id] = best
    found = chosen(windows(rows))
    assert found == [(text_id, best[0]) for text_id, best in wanted.items()]


@settings(max_examples=40, deadline=None)
@given(rows_of_windows)
def test_the_choice_for_a_text_depends_on_this_text_alone(rows):
    found = dict(chosen(windows(rows)))
    for text_id in found:
        alone = windows([row for row in rows if row[0] == text_id])
        assert chosen(alone) == [(text_id, found[text_id])]


@settings(max_examples=20, deadline=None)
@given(rows_of_windows)
def test_choosing_twice_changes_nothing(rows):
    once = choose_windows(windows(rows))
    pd.testing.assert_frame_equal(choose_windows(once), once)
