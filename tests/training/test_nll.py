"""What decides when to stop, and how much labels weigh in the loss."""

import json

import numpy as np
import pytest
import torch

from hyperadapters.data.tokens import TokenizedTexts
from hyperadapters.errors import ConfigError
from hyperadapters.experiments import fit
from hyperadapters.methods import Examples, find_method
from hyperadapters.training.nll import dev_nll, label_weights


def examples(annotators, labels):
    return Examples(
        text_of_row=np.arange(len(labels)),
        annotators=np.array(annotators),
        labels=np.array(labels),
        tokens=TokenizedTexts({"input_ids": [[1]] * len(labels)}, pad_id=0),
        attributes=np.empty((len(labels), 0), np.int64),
    )


def test_the_mean_over_rows_or_over_annotators():
    p = np.array([[0.5, 0.5], [0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    dev = examples([0, 0, -1, 1], [0, 1, 0, -1])  # the last has no label
    assert dev_nll(p, dev, "rows") == pytest.approx((2 * np.log(2) + np.log(4)) / 3)
    assert dev_nll(p, dev, "annotators") == pytest.approx((np.log(2) + np.log(4)) / 2)
    certain = np.array([[0.0, 1.0]])
    assert np.isfinite(dev_nll(certain, examples([0], [0]), "rows"))


def test_weights_of_labels():
    labels = np.array([0, 0, 0, 1])
    assert label_weights(labels, 2, 0.0) is None
    for balance in (0.5, 1.0):
        weights = label_weights(labels, 3, balance)
        assert torch.isfinite(weights).all()
        assert weights[labels].mean() == pytest.approx(1)
        assert weights[1] / weights[0] == pytest.approx(3**balance)


def test_weights_reach_the_loss(two_kinds, tiny_bert, quick, tmp_path):
    rare = two_kinds["label"].astype(str).value_counts().index[-1]
    shares = []
    for balance in (0.0, 3.0):
        settings = {"backbone": tiny_bert, **quick, "label_balance": balance}
        run = fit(two_kinds, output=tmp_path / str(balance), method="text-only", **settings)
        shares.append(run.predictions[f"p_{rare}"].mean())
    assert shares[1] != pytest.approx(shares[0], abs=1e-4)


def test_the_log_holds_what_decides(two_kinds, tiny_bert, quick, tmp_path):
    settings = {"backbone": tiny_bert, **quick, "stop_by": "annotators", "calibration": "none"}
    run = fit(two_kinds, output=tmp_path / "run", method="intercept", **settings)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    dev = run.predictions[run.predictions["split"] == "dev"]
    chosen = [row[f"p_{row['label']}"] for row in dev.to_dict("records")]
    by_person = {}
    for name, value in zip(dev["annotator"], chosen, strict=True):
        by_person.setdefault(name, []).append(-np.log(value))
    expected = np.mean([np.mean(values) for values in by_person.values()])
    assert min(line["dev_nll"] for line in log) == pytest.approx(expected, abs=1e-5)


def test_unknown_ways_are_refused():
    settings = find_method("hyperlora").settings
    with pytest.raises(ConfigError, match="stop_by"):
        settings.changed({"stop_by": "texts"})
    with pytest.raises(ConfigError, match="label_balance"):
        settings.changed({"label_balance": -1})
