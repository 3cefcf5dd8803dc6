"""Labels on a scale, from settings to predictions."""

import json

import numpy as np
import pandas as pd
import pytest

from hyperadapters.errors import ConfigError
from hyperadapters.experiments import fit, load


def as_scale(table):
    """The ratings of the kinds of people, on a scale from 1 to 4."""
    extreme = table["text"].str.contains("cruel|kind")
    toxic = table["label"] == "toxic"
    return table.assign(label=np.where(toxic, 3 + extreme, 2 - extreme))


@pytest.fixture(scope="module")
def scale(two_kinds):
    return as_scale(two_kinds)


def medians(table):
    """By the definition: the least expected distance, of equal ones the lower."""
    names = [int(name.removeprefix("p_")) for name in table if name.startswith("p_")]
    p = table[[f"p_{name}" for name in names]].to_numpy()
    expected = p @ np.abs(np.subtract.outer(names, names))
    return [names[i] for i in expected.round(9).argmin(axis=1)]


def test_the_rule_is_that_of_the_run(scale, tiny_bert, quick, tmp_path):
    fit(scale, output=tmp_path / "run", backbone=tiny_bert, decision="median", **quick)
    run = load(tmp_path / "run")
    assert run.record.settings["decision"] == "median"
    tables = [run.predictions, run.predict(scale.head(40), "rows"), run.predict(["a red"])]
    differing = 0
    for table in tables:
        assert table["predicted"].tolist() == medians(table)
        p = table[[f"p_{name}" for name in (1, 2, 3, 4)]].to_numpy()
        differing += int((table["predicted"] != p.argmax(axis=1) + 1).sum())
    assert differing > 0


def test_counting_methods_stay_with_the_mode(scale, two_kinds, tiny_bert, quick, tmp_path):
    skewed = scale.assign(label=np.where(scale["label"] == 4, 1, scale["label"]))
    for method in ("annotator-mode", "global-mode"):
        runs = [
            fit(
                *[skewed],
                output=tmp_path / method / rule,
                method=method,
                decision=rule,
                **quick,
            )
            for rule in ("mode", "median")
        ]
        pd.testing.assert_frame_equal(runs[0].predictions, runs[1].predictions)
    # Nor do they mind labels without an order: a comparison gives its settings to all methods.
    fit(two_kinds, output=tmp_path / "words", method="global-mode", decision="median", **quick)


def test_labels_without_an_order(two_kinds, tiny_bert, quick, tmp_path):
    wanted = r"decision median is for labels on a scale .* and these are fine, toxic"
    with pytest.raises(ConfigError, match=wanted):
        fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, decision="median", **quick)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="decision must be one of mode, median, got 'mean'"):
        fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, decision="mean", **quick)


def test_runs_from_before_the_setting(scale, tiny_bert, quick, tmp_path):
    run = tmp_path / "run"
    fit(scale, output=run, backbone=tiny_bert, **quick)
    path = run / "run.json"
    record = json.loads(path.read_text())
    assert record["settings"].pop("decision") == "mode"
    path.write_text(json.dumps({**record, "complete": False}))
    again = fit(scale, output=run, backbone=tiny_bert, resume=True, **quick)
    assert again.record.settings["decision"] == "mode"
