import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from hyperadapters.evaluation.soft import (
    soft_cross_entropy,
    soft_jensen_shannon,
    soft_manhattan,
    soft_wasserstein,
)


@pytest.fixture
def two_texts(table, code):
    return code(table([("a", "x", 1, 0.9), ("a", "y", 0, 0.5), ("b", "x", 0, 0.2)]))


def test_soft_manhattan_by_hand(two_texts):
    # a: t = (.5, .5), p = (.3, .7): .2 + .2; b: t = (1, 0), p = (.8, .2): .2 + .2
    metric = soft_manhattan(two_texts)
    assert metric.value == pytest.approx(0.4)
    assert metric.n == 2


def test_texts_count_alike_however_many_people_labelled_them(table, code):
    rows = code(table([("a", who, 1, 1.0) for who in "xyz"] + [("b", "x", 1, 0.0)]))
    assert soft_manhattan(rows).value == pytest.approx(1)  # (0 + 2) / 2


def test_soft_cross_entropy_by_hand(two_texts):
    # a: -(.5 ln .3 + .5 ln .7); b: -ln .8
    a, b = -0.5 * (math.log(0.3) + math.log(0.7)), -math.log(0.8)
    metric = soft_cross_entropy(two_texts)
    assert metric.value == pytest.approx((a + b) / 2)
    assert metric.n == 2


def test_soft_cross_entropy_is_clipped(table, code):
    metric = soft_cross_entropy(code(table([("a", "x", 1, 0.0)])))
    assert metric.value == pytest.approx(-math.log(1e-12 + 1e-9))
    assert metric.highest == pytest.approx(metric.value)
    right = soft_cross_entropy(code(table([("a", "x", 1, 1.0)])))
    assert right.lowest == right.value == pytest.approx(-9.99e-10, abs=1e-14)


def test_soft_cross_entropy_is_that_of_the_starting_kit(table, code):
    """LeWiDi 2023: clipped first, then 1e-9 is added, and the sum is divided by the texts."""
    said = {
        "a": [(1, 0.0), (0, 0.0)],
        "b": [(1, 1.0)],
        "c": [(0, 1.0)],
        "d": [(1, 0.3), (1, 1e-10)],
    }
    rows = [(name, f"{i}", *one) for name, of in said.items() for i, one in enumerate(of)]
    total = 0.0
    for of in said.values():
        share, guess = sum(y for y, _ in of) / len(of), sum(p for _, p in of) / len(of)
        for target, prediction in ((1 - share, 1 - guess), (share, guess)):
            clipped = min(max(prediction, 1e-12), 1.0 - 1e-12)
            total -= target * math.log(clipped + 1e-9)
    value = soft_cross_entropy(code(table(rows))).value
    assert value == pytest.approx(total / len(said), rel=1e-12)


def test_wasserstein_by_hand(table, code):
    # Labels 1, 2, 4: from all on 1 to all on 4 is 3 steps, from 2 to 1 one.
    rows = [("a", "x", 4, (1, 0, 0)), ("b", "x", 1, (0, 1, 0))]
    metric = soft_wasserstein(code(table(rows, (1, 2, 4))))
    assert metric.value == pytest.approx(2)
    assert metric.highest == 3


def test_agreement_with_scipy(big, code):
    columns = ["p_0", "p_1", "p_2"]
    work, divergence = [], []
    for _, group in big.groupby("text_id"):
        truth = [(group["label"] == label).mean() for label in range(3)]
        guess = group[columns].mean()
        work.append(wasserstein_distance(range(3), range(3), truth, guess))
        divergence.append(jensenshannon(truth, guess, base=2) ** 2)
    assert soft_wasserstein(code(big)).value == pytest.approx(np.mean(work))
    assert soft_jensen_shannon(code(big)).value == pytest.approx(np.mean(divergence))


def test_jensen_shannon_ends(table, code):
    right = code(table([("a", "x", 1, 1.0), ("a", "y", 0, 0.0)]))
    assert soft_jensen_shannon(right).value == 0
    wrong = code(table([("a", "x", 1, 0.0), ("b", "y", 0, 1.0)]))
    assert soft_jensen_shannon(wrong).value == pytest.approx(1)
