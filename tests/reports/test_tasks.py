import json

import numpy as np
import pytest

from hyperadapters.errors import ConfigError, RunError
from hyperadapters.reports.build import report


def write_task_run(folder, recipe, seed, value):
    folder.mkdir(parents=True)
    record = {
        **{"kind": "tasks", "recipe": recipe, "seed": seed, "backbone": "t5", "complete": True},
        **{"settings": {}, "mixture": {"name": "two"}, "versions": {"python": "3.11"}},
        "results": {"trainable_parameters": 1234, "seconds": 4.0},
    }
    (folder / "run.json").write_text(json.dumps(record))
    place = {"method": recipe, "seed": seed, "split": "test", "n": 50}
    rows = [
        {**place, "slice": task, "metric": metric, "value": v, "low": v - 0.1, "high": v + 0.1}
        for task, metric, v in (
            ("tone<b>", "accuracy", value),
            ("size", "pearson", value / 2),
            ("all", "average", 0.75 * value),
        )
    ]
    (folder / "scores.json").write_text(json.dumps(rows))


@pytest.fixture
def folder(tmp_path):
    for recipe, at in (("hyperformer", 0.8), ("single-adapter", 0.6)):
        for seed in (0, 1):
            run = tmp_path / "all" / recipe / f"seed-{seed}"
            write_task_run(run, recipe, seed, at + 0.1 * seed)
    return tmp_path / "all"


def test_every_metric_of_every_task(folder, tmp_path):
    page = report(folder, tmp_path / "r.html").read_text()
    spread = float(np.std([0.8, 0.9], ddof=1))
    assert f"<b>0.850</b> ± {spread:.3f}" in page and "<span>0.650</span>" in page
    assert "0.750 to 0.950" in page and "1,234" in page
    assert "tone&lt;b&gt;" in page and "tone<b>" not in page
    assert "http" not in page


def test_one_recipe_has_nothing_bold(folder, tmp_path):
    page = report(folder / "hyperformer", tmp_path / "r.html").read_text()
    assert "<b>" not in page and "0.850" in page


def test_people_have_no_meaning_there(folder, tmp_path):
    with pytest.raises(ConfigError, match="is about tasks: method has no meaning there"):
        report(folder, tmp_path / "r.html", method="x")


def test_both_kinds_are_reported_apart(folder, tmp_path, make):
    make.run(folder / "people", make.answers("m", 0.9))
    with pytest.raises(RunError, match="annotators and tasks; report them apart"):
        report(folder, tmp_path / "r.html")
