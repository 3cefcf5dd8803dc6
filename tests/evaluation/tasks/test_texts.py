import math
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from hyperadapters.errors import ConfigError
from hyperadapters.evaluation.tasks import check_metrics
from hyperadapters.evaluation.tasks.texts import split_sentences

ROUGES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def f_of(shared, n_written, n_accepted):
    return 2 * shared / (n_written + n_accepted) if shared else 0.0


@pytest.mark.parametrize(
    ("metric", "written", "accepted", "value"),
    [
        ("rouge1", "the cat sat", "the cat ran off", f_of(2, 3, 4)),
        ("rouge2", "the cat sat", "the cat ran off", f_of(1, 2, 3)),
        ("rouge2", "cat", "cat", 0),
        ("rougeL", "the cat sat on mat", "the mat cat sat", f_of(3, 5, 4)),
        ("rouge1", "Running, dogs!", "run DOG", 1),  # stems, no case, no punctuation
        ("rouge1", "", "cat", 0),
        ("rouge1", "", "", 0),
        # Lin (2004), section 3.2: the union of "w1 w2" and "w1 w3 w5" is 4 of 5 words.
        ("rougeLsum", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5", f_of(4, 10, 5)),
        ("rougeLsum", "w3 w4. w1 w2.", "w1 w2. w3 w4.", 1),  # sentences in another order
        ("rougeL", "w3 w4. w1 w2.", "w1 w2. w3 w4.", f_of(2, 4, 4)),
    ],
)
def test_rouge_by_hand(score, metric, written, accepted, value):
    assert score(metric, [(written, accepted)]) == pytest.approx(value)


@pytest.mark.parametrize("metric", ROUGES)
def test_the_best_reference_counts(score, metric):
    accepted = ["an old dog ran off", "the cat sat on it", "cat"]
    alone = [score(metric, [("the cat sat here", one)]) for one in accepted]
    assert score(metric, [("the cat sat here", accepted)]) == max(alone) > 0


def test_rouge_is_a_mean_over_rows(score):
    assert score("rouge1", [("cat", "cat"), ("cat", "dog"), ("a cat", "cat")]) == pytest.approx(
        (1 + 0 + 2 / 3) / 3
    )


words = st.sampled_from(["running", "runs", "dog.", "Dogs", "cat", "b", "c!", "generously"])
lines = st.lists(words, min_size=1, max_size=12).map(" ".join)


def longest_common(one, other):
    """The naive recursion."""
    if not one or not other:
        return 0
    if one[0] == other[0]:
        return 1 + longest_common(one[1:], other[1:])
    return max(longest_common(one[1:], other), longest_common(one, other[1:]))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_rouge_as_a_naive_one_says(score, written, accepted):
    rows = [(" ".join(written), " ".join(accepted))]
    for n, metric in ((1, "rouge1"), (2, "rouge2")):
        counts = [
            Counter(tuple(side[i : i + n]) for i in range(len(side) - n + 1))
            for side in (written, accepted)
        ]
        wanted = f_of((counts[0] & counts[1]).total(), *(count.total() for count in counts))
        assert score(metric, rows) == pytest.approx(wanted)
    wanted = f_of(longest_common(written, accepted), len(written), len(accepted))
    assert score("rougeL", rows) == pytest.approx(wanted)


@settings(max_examples=20, deadline=None)
@given(lines, st.lists(lines, min_size=1, max_size=3))
def test_the_faster_stemmer_changes_nothing(score, written, accepted):
    scorer = RougeScorer([*ROUGES], use_stemmer=True)
    cut = ["\n".join(split_sentences(text)) for text in (written, *accepted)]
    wanted = scorer.score_multi(cut[1:], cut[0])
    for metric in ROUGES:
        assert score(metric, [(written, accepted)]) == pytest.approx(wanted[metric].fmeasure)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("One\n\n two \nthree.", ["One", "two", "three."]),
        ('He said "no." Then (he left.) Why?', ['He said "no."', "Then (he left.)", "Why?"]),
        ("It cost 3.50 at x.com today.", ["It cost 3.50 at x.com today."]),
        ("Mr. Brown", ["Mr.", "Brown"]),  # the price of a simple rule
        ("  ", []),
    ],
)
def test_sentences(text, sentences):
    assert split_sentences(text) == sentences


def naive_bleu(rows):
    """Papineni et al. (2002) for tokens between spaces, without smoothing."""
    matches, totals, n_words, n_nearest = [0] * 4, [0] * 4, 0, 0
    for written, accepted in rows:
        tokens, references = written.split(), [one.split() for one in accepted]
        n_words += len(tokens)
        n_nearest += min((abs(len(r) - len(tokens)), len(r)) for r in references)[1]
        for n in range(1, 5):
            grams = [
                Counter(tuple(side[i : i + n]) for i in range(len(side) - n + 1))
                for side in (tokens, *references)
            ]
            ceiling = grams[1]
            for other in grams[2:]:
                ceiling |= other
            matches[n - 1] += (grams[0] & ceiling).total()
            totals[n - 1] += grams[0].total()
    if not all(matches):
        return None  # smoothing decides
    logarithms = [math.log(m / t) for m, t in zip(matches, totals, strict=True)]
    return min(1.0, math.exp(1 - n_nearest / n_words)) * math.exp(sum(logarithms) / 4)


def test_bleu_by_hand(score):
    # Matches 4 of 5, 3 of 4, 2 of 3, 1 of 2; as long as the reference.
    value = score("bleu", [("a b c d x", "a b c d e")])
    assert value == pytest.approx((4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4))
    short = score("bleu", [("a b c d", "a b c d e f")])
    assert short == pytest.approx(math.exp(1 - 6 / 4))


letters = st.lists(st.sampled_from("abc"), max_size=9).map(" ".join)
translations = st.lists(
    st.tuples(letters, st.lists(letters, min_size=1, max_size=3)), min_size=1, max_size=8
)


@settings(max_examples=20, deadline=None)
@given(translations)
def test_bleu_of_several_references(score, rows):
    found = score("bleu", rows)
    assert 0 <= found <= 1
    wanted = naive_bleu(rows)
    if wanted is not None:
        assert found == pytest.approx(wanted)
    # sacrebleu wants a column for every reference, None where a row has fewer.
    width = max(len(accepted) for _, accepted in rows)
    columns = [
        [accepted[i] if i < len(accepted) else None for _, accepted in rows] for i in range(width)
    ]
    corpus = BLEU().corpus_score([written for written, _ in rows], columns)
    assert found == pytest.approx(corpus.score / 100)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=4).map(" ".join), min_size=1))
def test_the_accepted_texts_themselves_score_1(score, texts):
    for metric in (*ROUGES, "bleu"):
        assert score(metric, [(text, ["b", text]) for text in texts]) == pytest.approx(1)


def test_length_by_hand(score):
    assert score("length", [("one two  three", "x"), ("", "x"), ("one", "x")]) == 4 / 3


@pytest.mark.parametrize(
    ("metric", "module", "package"),
    [
        ("rougeL", "rouge_score.rouge_scorer", "rouge-score"),
        ("bleu", "sacrebleu.metrics.bleu", "sacrebleu"),
    ],
)
def test_packages_that_are_not_installed(monkeypatch, task, score, metric, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, module.rpartition(".")[0], None)
    what = (
        rf"the metric '{metric}' needs the package {package}, which is not installed: "
        r"pip install hyperadapters\[tasks\]"
    )
    with pytest.raises(ConfigError, match=what):
        score(metric, [("a", "a")])
    with pytest.raises(ConfigError, match=what):
        check_metrics([task(metric)])


def test_other_metrics_do_without_these_packages(monkeypatch, score):
    for module in ("rouge_score", "rouge_score.rouge_scorer", "sacrebleu", "sacrebleu.metrics"):
        monkeypatch.setitem(sys.modules, module, None)
    assert score("accuracy", [("a", "a")]) == 1
