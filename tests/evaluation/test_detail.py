import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, log_loss

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation import annotator_scores, evaluate, reliability


def value(frame, metric):
    scores = evaluate(frame, intervals=False).set_index("metric")
    return scores.loc[metric, "value"]


def test_reliability_by_hand(table):
    rows = [("a", "x", 1, 0.9), ("a", "y", 1, 0.1), ("b", "x", 0, 0.45), ("b", "y", None, 0.45)]
    found = reliability(table(rows, method="m", seed=2), n_bins=2)
    assert found.columns.tolist() == [
        "method", "seed", "split", "bin", "above", "up_to", "n", "confidence", "accuracy",
    ]  # fmt: skip
    assert found["n"].tolist() == [0, 3]
    assert np.isnan(found.loc[0, ["confidence", "accuracy"]].astype(float)).all()
    assert found.loc[1, "confidence"] == pytest.approx((0.9 + 0.9 + 0.55) / 3)
    assert found.loc[1, "accuracy"] == pytest.approx(2 / 3)
    assert (found["method"] == "m").all() and (found["seed"] == 2).all()


def test_reliability_adds_up_to_ece_and_accuracy(big):
    found = reliability(big)
    assert found["n"].sum() == len(big)
    gaps = (found["accuracy"] - found["confidence"]).abs() * found["n"]
    assert gaps.sum() / len(big) == pytest.approx(value(big, "ece"))
    total = (found["accuracy"] * found["n"]).sum() / len(big)
    assert total == pytest.approx(value(big, "accuracy"))


def test_annotator_scores_agree_with_scikit_learn(big):
    few = big[big["annotator"].isin(big["annotator"].unique()[:15])]
    found = annotator_scores(few).set_index("annotator")
    assert found.index.is_monotonic_increasing
    for name, group in few.groupby("annotator"):
        row, label = found.loc[name], group["label"].astype(int)
        values = group[["p_0", "p_1", "p_2"]].to_numpy()
        assert row["n"] == len(group)
        assert row["accuracy"] == pytest.approx((label == group["predicted"]).mean())
        assert row["macro_f1"] == pytest.approx(
            f1_score(label, group["predicted"], average="macro")
        )
        assert row["nll"] == pytest.approx(log_loss(label, values, labels=[0, 1, 2]))
        for i in range(3):
            assert row[f"true_rate_{i}"] == pytest.approx((label == i).mean())
            assert row[f"predicted_rate_{i}"] == pytest.approx((group["predicted"] == i).mean())
            assert row[f"mean_p_{i}"] == pytest.approx(values[:, i].mean())


def test_means_over_annotators_are_the_metrics(big):
    found = annotator_scores(big)
    assert (1 - found["accuracy"]).mean() == pytest.approx(value(big, "annotator_error_rate"))
    assert found["nll"].mean() == pytest.approx(value(big, "annotator_nll"))
    scored = found[found["n"] >= 5]["macro_f1"]
    assert scored.mean() == pytest.approx(value(big, "annotator_macro_f1"))


def test_methods_seeds_and_splits_stand_apart(table):
    rows = [("a", "x", 0, 0.1), ("b", "y", 1, 0.9)]
    frame = pd.concat(
        [table(rows, method=m, seed=s, split=p) for m in "ba" for s in (1, 0) for p in "td"]
    )
    found = annotator_scores(frame)
    assert len(found) == 16 and not found.duplicated(["method", "seed", "split", "annotator"]).any()
    assert len(reliability(frame, n_bins=3)) == 24


def test_what_is_refused(table):
    with pytest.raises(DataError, match="no row has a label"):
        annotator_scores(table([("a", "x", None, 0.3)]))
    with pytest.raises(DataError, match="no row has a label"):
        reliability(table([("a", "x", None, 0.3)]))
    with pytest.raises(ConfigError, match="at least 1 bin, got 0"):
        reliability(table([("a", "x", 0, 0.3)]), n_bins=0)
