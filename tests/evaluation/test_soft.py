import math

import pytest

from hyperadapters.evaluation.soft import soft_cross_entropy, soft_manhattan


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
    assert metric.value == pytest.approx(12 * math.log(10))
    assert metric.highest == pytest.approx(metric.value)
