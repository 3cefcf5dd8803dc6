import numpy as np
import pandas as pd
import pytest

from hyperadapters.baselines import AnnotatorMode, GlobalMode
from hyperadapters.errors import DataError
from hyperadapters.experiments import load
from hyperadapters.inference import predict

COLUMNS = [
    *["text_id", "annotator", "label", "predicted", "p_fine", "p_toxic"],
    *["split", "method", "seed", "source"],
]


@pytest.fixture(scope="module")
def fitted(quick_run, two_kinds):
    train = two_kinds[two_kinds["split"] == "train"]
    return {
        "hyperlora": load(quick_run).fitted,
        "global-mode": GlobalMode.fit(train),
        "annotator-mode": AnnotatorMode.fit(train),
    }


@pytest.fixture
def rows(two_kinds):
    return two_kinds[two_kinds["split"] == "test"].reset_index(drop=True)


@pytest.mark.parametrize("method", ["hyperlora", "global-mode", "annotator-mode"])
def test_predictions_are_as_promised(method, fitted, rows):
    table = predict(fitted[method], rows, seed=4)
    assert sorted(table) == sorted(COLUMNS)
    for name in ("text_id", "annotator", "label", "split"):
        assert table[name].tolist() == rows[name].tolist()
    np.testing.assert_allclose(table[["p_fine", "p_toxic"]].sum(axis=1), 1, atol=1e-9)
    likelier = np.where(table["p_toxic"] > table["p_fine"], "toxic", "fine")
    assert table["predicted"].tolist() == likelier.tolist()
    assert set(table["method"]) == {method} and set(table["seed"]) == {4}
    unseen = rows["annotator"] == "newcomer"
    assert unseen.sum() == 1
    assert table["source"].tolist() == np.where(unseen, "population", "known").tolist()


def test_labels_and_splits_may_be_absent(fitted, rows):
    table = predict(fitted["hyperlora"], rows[["text_id", "text", "annotator"]])
    assert table["label"].isna().all()
    assert set(table["split"]) == {"test"}
    assert table["p_toxic"].equals(predict(fitted["hyperlora"], rows)["p_toxic"])


def test_nobody_in_particular(fitted, rows):
    strangers = rows.drop_duplicates("text_id")
    first, second = (
        predict(fitted["hyperlora"], strangers.assign(annotator=name))["p_toxic"]
        for name in ("population", "newcomer")
    )
    assert first.equals(second)


def test_other_labels_and_repeated_pairs_are_refused(fitted, rows):
    with pytest.raises(DataError, match="rude"):
        predict(fitted["hyperlora"], rows.assign(label="rude"))
    with pytest.raises(DataError):
        predict(fitted["hyperlora"], pd.concat([rows, rows]))
