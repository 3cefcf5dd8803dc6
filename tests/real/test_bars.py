"""The promises on real ratings, one seed each; minutes, so they run with --slow only.

The tables with all seeds are made by benchmarks/perspectives.py. These tests hold the line.
"""

from pathlib import Path

import pandas as pd
import pytest

import hyperadapters as ha

pytestmark = [pytest.mark.real, pytest.mark.slow]


def _scores(real_data: Path, folder: Path, name: str, method: str) -> "pd.Series":
    ratings = ha.read_annotations(real_data / "perspectives" / f"{name}.parquet", allow_leaks=True)
    run = ha.fit(ratings, output=folder / method, method=method, seed=0, allow_leaks=True)
    scores = run.scores
    test = scores[(scores["split"] == "test") & (scores["slice"] == "all")]
    return test.set_index("metric")["value"]


def test_popquorn_beats_text_plus_intercept(real_data, tmp_path):
    scores = _scores(real_data, tmp_path, "popquorn_offensiveness", "hyperlora")
    assert scores["nll"] <= 0.977  # shared LoRA + intercept on this encoder
    assert scores["macro_f1"] >= 0.362  # TF-IDF + annotator intercept


def test_hs_brexit_beats_text_only(real_data, tmp_path):
    ours = _scores(real_data, tmp_path, "hs_brexit", "hyperlora")
    plain = _scores(real_data, tmp_path, "hs_brexit", "text-only")
    assert ours["nll"] < plain["nll"] - 0.01


def test_md_agreement_says_whom_it_does_not_know(real_data, tmp_path):
    ratings = ha.read_annotations(
        real_data / "perspectives" / "md_agreement.parquet", allow_leaks=True
    )
    # A part of the texts: the sources do not depend on how long was trained.
    few = ratings["text_id"].drop_duplicates().sample(1500, random_state=0)
    part = ratings[ratings["text_id"].isin(few)].reset_index(drop=True)
    run = ha.fit(part, output=tmp_path / "run", epochs=1, allow_leaks=True, batch_size=128)
    seen = set(part.loc[part["split"] == "train", "annotator"])
    predictions = run.predictions
    unseen = ~predictions["annotator"].isin(seen)
    assert unseen.any()
    assert (predictions.loc[unseen, "source"] == "population").all()
    assert (predictions.loc[~unseen, "source"] == "known").all()
