import numpy as np
import pandas as pd
import pytest

from hyperadapters.data.demo import load_demo, true_probabilities
from hyperadapters.experiments import demo, fit
from hyperadapters.experiments.demo import recovery_of, run_demo


@pytest.fixture(scope="module")
def truth():
    return true_probabilities()


def test_perfect_predictions(truth):
    assert recovery_of(truth, truth) == pytest.approx({"correlation": 1, "agreement": 1})


def test_the_same_answer_for_everyone(truth):
    mean = truth.groupby("text_id")["p_toxic"].transform("mean")
    result = recovery_of(truth.assign(p_toxic=mean), truth)
    assert result["correlation"] == 0
    assert 0.5 < result["agreement"] < 0.9
    assert recovery_of(truth.assign(p_toxic=0.3), truth)["correlation"] == 0


def test_what_is_right_on_average_alone_does_not_count(truth):
    text = truth.groupby("text_id")["p_toxic"].transform("mean")
    flipped = truth.assign(p_toxic=2 * text - truth["p_toxic"])
    assert recovery_of(flipped, truth)["correlation"] == pytest.approx(-1)
    half = truth.assign(p_toxic=0.5 * text + 0.5 * truth["p_toxic"])
    assert recovery_of(half, truth)["correlation"] == pytest.approx(1)


def test_shuffled_people(truth):
    generator = np.random.default_rng(0)
    shuffled = truth.groupby("text_id")["p_toxic"].transform(generator.permutation)
    assert abs(recovery_of(truth.assign(p_toxic=shuffled), truth)["correlation"]) < 0.05


def test_rows_are_joined_by_their_ids(truth):
    some = truth.sample(frac=0.1, random_state=0)
    assert recovery_of(some, truth)["correlation"] > 0.9
    assert recovery_of(some.sample(frac=1, random_state=1), truth) == pytest.approx(
        recovery_of(some, truth)
    )


@pytest.fixture
def small_demo(monkeypatch, tiny_bert, quick):
    """The demo with a tiny backbone, few ratings, and a method of each kind."""
    monkeypatch.setattr(demo, "METHODS", ("hyperlora", "text-only", "global-mode"))
    monkeypatch.setattr(demo, "load_demo", lambda: load_demo(ratings_per_text=2))
    monkeypatch.setattr(
        demo, "fit", lambda ratings, **kw: fit(ratings, **{"backbone": tiny_bert, **quick, **kw})
    )


def test_the_demo_from_start_to_end(small_demo, tmp_path):
    result = run_demo(tmp_path / "demo")
    methods = ["hyperlora", "text-only", "global-mode"]
    assert list(result.runs) == list(result.scores.index) == list(result.recovery.index) == methods
    assert all((tmp_path / "demo" / name / "run.json").exists() for name in methods)
    assert list(result.scores) == list(demo.METRICS)
    # Of two ratings neither is a minority.
    assert result.scores.drop(columns="minority_accuracy").notna().all(axis=None)
    # Whoever treats all people alike recovers nobody.
    assert result.recovery.loc[["text-only", "global-mode"], "correlation"].tolist() == [0, 0]
    assert result.recovery.loc["hyperlora", "correlation"] != 0

    texts = result.texts
    assert list(texts) == ["text", "annotator", "kind", "true", "predicted"]
    assert len(texts) == 9 and texts["text"].nunique() == 3
    assert texts["annotator"].tolist() == list(demo.PEOPLE) * 3
    held_out = set(load_demo().query("split == 'test'")["text"])
    assert set(texts["text"]) <= held_out
    assert texts[["true", "predicted"]].apply(lambda p: p.between(0, 1)).all(axis=None)
    # Each of the three texts was chosen because one of them stands alone.
    spread = texts.groupby("text", sort=False)["true"].agg(np.ptp)
    assert (spread > 0.5).all()


@pytest.mark.slow
def test_the_demo_recovers_people(tmp_path):
    result = run_demo(tmp_path / "demo")
    recovered = result.recovery["correlation"]
    assert isinstance(recovered, pd.Series)
    assert recovered["hyperlora"] > recovered.drop("hyperlora").max()
    assert result.scores["nll"].idxmin() == "hyperlora"
