import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from hyperadapters.errors import ConfigError, DataError

WORDS = ("no", "yes", "maybe")


def test_accuracy_by_hand(score):
    rows = [("yes", "yes"), (" yes\n", "yes"), ("Yes", "yes"), ("yes.", "yes"), ("", "no")]
    assert score("accuracy", rows, "classification") == 2 / 5


def test_accuracy_of_any_text_is_to_the_letter(score):
    assert score("accuracy", [("A b", "A b"), ("a b", "A b")]) == 1 / 2


def test_f1_by_hand(score):
    # yes: written 3 times, true 4 times, 2 of them together.
    written = ["yes", "yes", "yes", "no", "no", "no"]
    true = ["yes", "yes", "no", "yes", "yes", "no"]
    rows = list(zip(written, true, strict=True))
    assert score("f1", rows, "classification") == pytest.approx(2 * 2 / (3 + 4))


def test_f1_takes_the_second_label_for_the_positive_one(score):
    rows = [("no", "no"), ("no", "no"), ("yes", "no")]
    assert score("f1", rows, "classification") == 0
    assert score("f1", rows, "classification", words="yes no") == pytest.approx(4 / 5)


@pytest.mark.parametrize(("true", "wrong"), [("no", "yes"), ("yes", "no")])
def test_f1_takes_what_is_no_label_for_the_wrong_one(score, true, wrong):
    rows = [("yes", "yes"), ("no", "no"), ("yes", "no")]
    same = score("f1", [*rows, (wrong, true)], "classification")
    for nonsense in ("", "YES!", "yes no", "1"):
        assert score("f1", [*rows, (nonsense, true)], "classification") == same


def test_nonsense_alone(score):
    rows = [("", "yes"), ("?", "no")]
    assert score("f1", rows, "classification") == 0
    assert score("matthews", rows, "classification") == 0


def test_f1_without_any_positive_is_0(score):
    assert score("f1", [("no", "no")], "classification") == 0


def test_matthews_by_hand(score):
    # tp 2, tn 3, fp 1, fn 1: (2 * 3 - 1 * 1) / sqrt(3 * 3 * 4 * 4) = 5 / 12
    pairs = [("yes", "yes")] * 2 + [("no", "no")] * 3 + [("yes", "no"), ("no", "yes")]
    assert score("matthews", pairs, "classification") == pytest.approx(5 / 12)
    opposite = {"yes": "no", "no": "yes"}
    flipped = [(opposite[written], true) for written, true in pairs]
    assert score("matthews", flipped, "classification") == pytest.approx(-5 / 12)


@pytest.mark.parametrize("rows", [[("yes", "no"), ("yes", "yes")], [("no", "no"), ("yes", "no")]])
def test_matthews_of_constants_is_0(score, rows):
    assert score("matthews", rows, "classification") == 0


words = st.sampled_from([*WORDS, "", "perhaps"])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(words, st.sampled_from(WORDS)), min_size=1, max_size=30))
def test_as_scikit_learn_says(score, rows):
    written, true = (list(cells) for cells in zip(*rows, strict=True))
    found = score("accuracy", rows, "classification", words="no yes maybe")
    assert found == pytest.approx(accuracy_score(true, written))
    # What is no label word is one more class.
    coded = [word if word in WORDS else "" for word in written]
    wanted = matthews_corrcoef(true, coded) if len({*true, *coded}) > 1 else 0
    found = score("matthews", rows, "classification", words="no yes maybe")
    assert found == pytest.approx(wanted, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(words, st.sampled_from(WORDS[:2])), min_size=1, max_size=30))
def test_f1_as_scikit_learn_says(score, rows):
    other = {"no": "yes", "yes": "no"}
    amended = [word if word in other else other[true] for word, true in rows]
    true = [label for _, label in rows]
    wanted = f1_score(true, amended, pos_label="yes", zero_division=0, labels=["no", "yes"])
    assert score("f1", rows, "classification") == pytest.approx(wanted)


def test_f1_needs_two_classes(score):
    what = "task 't': the metric 'f1' is that of two classes, and the task has 3 label words"
    with pytest.raises(ConfigError, match=what):
        score("f1", [("no", "no")], "classification", words="no yes maybe")


@pytest.mark.parametrize("metric", ["f1", "matthews"])
def test_labels_are_needed(score, metric):
    with pytest.raises(ConfigError, match=f"'{metric}' needs labels, and the task has none"):
        score(metric, [("no", "no")])


@pytest.mark.parametrize("metric", ["f1", "matthews"])
def test_a_true_answer_that_is_no_label_is_an_error(score, metric):
    what = r"the true answer 'nein' is no label word of the task \(no, yes\) \(text x00001\)"
    with pytest.raises(DataError, match=what):
        score(metric, [("no", "no"), ("no", "nein")], "classification")


def test_the_label_counts_and_else_the_first_reference(score):
    rows = [("yes", ["yes"]), ("no", ["no"])]
    for metric in ("accuracy", "f1", "matthews"):
        assert score(metric, rows, "classification") == 1
    assert np.isclose(score("accuracy", [("b", ["a", "b"])]), 0)
