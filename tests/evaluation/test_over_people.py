import numpy as np
import pytest

from hyperadapters.evaluation import over_people


@pytest.fixture
def drawn():
    """Values of 23 people in 20 draws, how often each counts, and the values written out."""
    generator = np.random.default_rng(0)
    values = generator.random((20, 23)).round(1)  # with ties
    counts = generator.integers(0, 4, size=values.shape).astype(float)
    values[counts == 0] = np.nan
    written = [np.repeat(v, c.astype(int)) for v, c in zip(values, counts, strict=True)]
    return values, counts, written


def worst_tenth(values):
    return np.sort(values)[: max(1, len(values) // 10)].mean()


@pytest.mark.parametrize(
    ("summary", "slow"),
    [
        (over_people.mean, np.mean),
        (over_people.median, np.median),
        (over_people.tenth_percentile, lambda values: np.percentile(values, 10)),
        (over_people.least, np.min),
        (over_people.worst_decile, worst_tenth),
    ],
)
def test_as_if_everyone_were_written_as_often_as_they_count(summary, slow, drawn):
    values, counts, written = drawn
    assert np.allclose(summary(values, counts), [slow(row) for row in written])
    once = np.isfinite(values).astype(float)
    assert np.allclose(summary(values, once), [slow(row[np.isfinite(row)]) for row in values])
    assert np.isnan(summary(values, np.zeros_like(counts))).all()
    assert np.isnan(summary(np.empty((2, 0)), np.empty((2, 0)))).all()
