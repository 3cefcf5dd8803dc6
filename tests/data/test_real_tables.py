import numpy as np
import pandas as pd
import pytest

from hyperadapters.data import read_annotations
from rating_files import refusal


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "rows", "annotators"),
    [
        ("md_agreement", 53764, 819),
        ("hs_brexit", 6720, 6),
        ("convabuse", 12168, 8),
        ("csc_devtest", 6410, 872),
        ("paraphrase", 2000, 4),
        ("popquorn_offensiveness", 13036, 262),
        ("crehate", 42527, 1064),
        ("dense_toxicity", 13080, 545),
        ("hatecheck", 19505, 10),
    ],
)
def test_real_tables(real_data, name, rows, annotators):
    frame = read_annotations(real_data / "perspectives" / f"{name}.parquet", allow_leaks=True)
    assert len(frame) == rows
    assert frame["annotator"].nunique() == annotators
    assert frame["label"].dtype == np.int64


@pytest.mark.real
def test_real_leaks(real_data):
    message = refusal(real_data / "perspectives" / "convabuse.parquet")
    assert "--allow-leaks" in message


@pytest.mark.real
def test_real_duplicates(real_data):
    message = refusal(real_data / "perspectives" / "varierr_nli.parquet")
    assert "take different ones as one label with --join-labels (rows 8, 9, 20" in message


@pytest.mark.real
def test_real_answers_of_several_labels(real_data):
    frame = read_annotations(real_data / "perspectives" / "varierr_nli.parquet", join_labels=True)
    assert len(frame) == 1816
    counts = frame["label"].value_counts()
    assert counts["neutral"] == 890 and counts["contradiction+entailment"] == 9


@pytest.mark.real
def test_real_pairs_of_texts(real_data):
    path = real_data / "perspectives" / "paraphrase.parquet"
    frame = read_annotations(path, text=["Question1", "Question2"])
    assert len(frame) == 2000 and frame["text_pair"].nunique() > 400
    files = [real_data / "lewidi" / f"Paraphrase_{s}.json" for s in ("train", "dev", "test")]
    columns = ["text_id", "text", "text_pair", "annotator", "label", "split"]
    rows = [
        t[columns].sort_values(columns, ignore_index=True)
        for t in (frame, read_annotations(*files))
    ]
    pd.testing.assert_frame_equal(*rows)
