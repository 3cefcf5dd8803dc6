"""Whom to ask what, of a run."""

import numpy as np
import pandas as pd
import pytest

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.experiments import fit, load

POOL = ["good kind red", "bad cruel the the", "nice", "cold one", "nice", "warm a is"]


@pytest.fixture(scope="module")
def run(quick_run):
    return load(quick_run)


def test_of_a_stranger(run):
    found = run.suggest("zoe", POOL, 3)
    assert found["rank"].tolist() == [1, 2, 3] and found["text"].is_unique
    assert set(found["annotator"]) == {"zoe"} and found["information"].is_monotonic_decreasing
    assert (found["information"] > 0).all()
    everything = run.suggest("max", POOL, 5)
    assert everything["text"].tolist()[:3] == found["text"].tolist()
    pd.testing.assert_frame_equal(found, run.suggest("zoe", POOL, 3))
    # Labels and other columns of the pool go their way.
    table = pd.DataFrame({"text": POOL[:4], "label": "nonsense", "source": list("abcd")})
    assert "label" not in run.suggest("zoe", table, 2) and "source" in run.suggest("zoe", table, 2)


def test_labels_that_are_known_make_texts_tell_less(run, tmp_path):
    asked = run.suggest("zoe", POOL, 2)
    adapted = run.adapt(asked.assign(label="toxic"), tmp_path / "second")
    before = run.suggest("zoe", POOL, 5).set_index("text")["information"]
    after = adapted.suggest("zoe", POOL, 5).set_index("text")["information"]
    assert after.sum() < before.sum()
    assert adapted.suggest("somebody else", POOL, 5)["information"].sum() == pytest.approx(
        before.sum(), rel=1e-5
    )


def test_the_posterior_is_what_was_expected(run, tmp_path):
    """What texts were said to tell is what the posterior has lost, where p does not move."""
    from hyperadapters.adaptation import Posterior

    found = run.suggest("zoe", POOL, 3)
    second = run.adapt(found.assign(label=["toxic", "fine", "toxic"]), tmp_path / "second")
    d = Posterior.load(second.folder.posterior).curvature[0].double()
    np.testing.assert_allclose(float(d.log1p().sum() / 2), found["information"].sum(), rtol=0.2)


def test_mistakes(run, two_kinds, tmp_path):
    with pytest.raises(ConfigError, match="trained on u1, and does not tell how well"):
        run.suggest("u1", POOL, 2)
    for count in (0, 6):
        with pytest.raises(ConfigError, match=f"{count} texts cannot be chosen from a pool of 5"):
            run.suggest("zoe", POOL, count)
    with pytest.raises(DataError, match="no text"):
        run.suggest("zoe", [], 2)
    counts = fit(two_kinds, output=tmp_path / "counts", method="annotator-mode")
    with pytest.raises(ConfigError, match="annotator-mode has no vector"):
        counts.suggest("zoe", POOL, 2)
