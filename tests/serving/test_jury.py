import numpy as np
import pytest

from hyperadapters.labels import LabelSpace
from hyperadapters.serving.jury import verdicts_of

LABELS = LabelSpace(("fine", "toxic"))


def two(*toxic):
    p = np.array(toxic)
    return np.stack([1 - p, p], axis=-1)[None]


def test_the_mean_decides_and_the_others_dissent():
    found = verdicts_of(two(0.9, 0.8, 0.2), np.ones(3), LABELS)
    assert LABELS.names[found.verdict[0]] == "toxic"
    np.testing.assert_allclose(found.p[0], [1 - 1.9 / 3, 1.9 / 3])
    assert found.dissent[0] == pytest.approx(1 / 3)


def test_weights_turn_a_verdict():
    found = verdicts_of(two(0.9, 0.8, 0.2), np.array([1.0, 1.0, 8.0]), LABELS)
    assert LABELS.names[found.verdict[0]] == "fine" and found.dissent[0] == pytest.approx(0.2)
    nobody = verdicts_of(two(0.9, 0.8, 0.2), np.array([0.0, 0.0, 1.0]), LABELS)
    np.testing.assert_allclose(nobody.p[0], [0.8, 0.2])
    np.testing.assert_allclose(nobody.low, nobody.high)  # one member, drawn again and again


def test_the_interval_is_that_of_drawing_members():
    rng = np.random.default_rng(0)
    toxic = rng.uniform(size=200)
    found = verdicts_of(two(*toxic), np.ones(200), LABELS, seed=3)
    wide = 2 * 1.645 * toxic.std() / np.sqrt(200)
    assert found.high[0, 1] - found.low[0, 1] == pytest.approx(wide, rel=0.1)
    assert found.low[0, 1] < found.p[0, 1] < found.high[0, 1]
    again = verdicts_of(two(*toxic), np.ones(200), LABELS, seed=3)
    np.testing.assert_array_equal(found.low, again.low)


def test_a_scale_decides_by_its_median():
    labels = LabelSpace((1, 2, 3), "ordinal")
    p = np.array([[[0.4, 0.2, 0.4], [0.4, 0.2, 0.4]]])
    assert labels.names[verdicts_of(p, np.ones(2), labels, "median").verdict[0]] == 2
    assert labels.names[verdicts_of(p, np.ones(2), labels, "mode").verdict[0]] == 1


def test_all_of_one_mind_are_sure():
    found = verdicts_of(two(0.9, 0.9, 0.9), np.ones(3), LABELS)
    assert found.dissent[0] == 0 and found.stable[0] == 1
