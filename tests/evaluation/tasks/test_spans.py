import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.evaluation.tasks import normalise_answer


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Cat's\tHat!", "cats hat"),
        ("a AN the", ""),
        ("U.S.A.", "usa"),
        ("theatre another", "theatre another"),
        ("well-known", "wellknown"),
        ("Ünïcode „quoted“", "ünïcode „quoted“"),  # only ASCII punctuation goes
        ("a\u00a0b", "b"),
    ],
)
def test_normal_form(text, normal):
    assert normalise_answer(text) == normal


def test_exact_match_by_hand(score):
    rows = [
        ("The cat", ["dog", "cat."]),
        ("cats", ["dog", "cat"]),
        ("", ["cat"]),
        ("12 May", ["12 may"]),
    ]
    assert score("exact_match", rows, "qa") == 2 / 4


@pytest.mark.parametrize(
    ("written", "accepted", "value"),
    [
        ("red cat", ["cat"], 2 * 0.5 * 1 / 1.5),
        ("red cat", ["cat", "the red cat"], 1),
        ("red red cat", ["red cat cat"], 2 / 3),  # a word counts as often as both have it
        ("dog", ["cat"], 0),
        ("", ["cat"], 0),
        ("cat", [""], 0),
        ("", [""], 1),
        ("the", ["a."], 1),  # nothing is left of either
        ("", ["cat", ""], 1),
    ],
)
def test_token_f1_by_hand(score, written, accepted, value):
    assert score("token_f1", [(written, accepted)], "qa") == pytest.approx(value)


def test_two_empty_answers_agree_in_both_metrics(score):
    for metric in ("exact_match", "token_f1"):
        assert score(metric, [("", [""])], "qa") == 1
        assert score(metric, [("?!", ["The"])], "qa") == 1


def test_every_question_weighs_the_same(score):
    rows = [("cat", ["cat"] * 9), ("a long answer of many words", ["dog"])]
    assert score("token_f1", rows, "qa") == 1 / 2


phrases = st.lists(st.sampled_from(["red", "cat", "The", "dog.", "a"]), max_size=4).map(" ".join)
questions = st.lists(
    st.tuples(phrases, st.lists(phrases, min_size=1, max_size=3)), min_size=1, max_size=10
)


def naive_f1(written, accepted):
    pool = [word for word in accepted.lower().replace(".", "").split() if word not in ("a", "the")]
    words = [word for word in written.lower().replace(".", "").split() if word not in ("a", "the")]
    if not pool and not words:
        return 1.0
    n_words, n_pool, shared = len(words), len(pool), 0
    for word in words:
        if word in pool:
            pool.remove(word)
            shared += 1
    if not shared:
        return 0.0
    precision, recall = shared / n_words, shared / n_pool
    return 2 * precision * recall / (precision + recall)


@settings(max_examples=20, deadline=None)
@given(questions)
def test_token_f1_as_a_naive_one_says(score, rows):
    wanted = [max(naive_f1(written, one) for one in accepted) for written, accepted in rows]
    assert score("token_f1", rows, "qa") == pytest.approx(sum(wanted) / len(wanted))


@settings(max_examples=20, deadline=None)
@given(questions)
def test_an_exact_match_is_a_full_overlap(score, rows):
    exact, overlap = score("exact_match", rows, "qa"), score("token_f1", rows, "qa")
    assert 0 <= exact <= overlap + 1e-12
    assert overlap <= 1
    more = [(written, [*accepted, written]) for written, accepted in rows]
    assert score("exact_match", more, "qa") == score("token_f1", more, "qa") == 1
