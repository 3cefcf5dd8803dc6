"""Temperatures: what they are, that they are found, and that the weights of the head have them."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

import hyperadapters as ha
from hyperadapters.conditions import Attributes, Vocabulary
from hyperadapters.data import People
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.inference import predict
from hyperadapters.labels import LabelSpace
from hyperadapters.methods import METHODS, AnnotatorClassifier, find_method
from hyperadapters.training import Progress
from hyperadapters.training.temperature import (
    at_temperature,
    counted,
    set_temperature,
    temperature_of,
)
from hyperadapters.tuner.temperature import divide_logits

NETWORKS = [name for name, method in METHODS.items() if method.kind == "network"]
HEADS = ("softmax", "cumulative", "cumulative-scale")
CASES = [
    *((name, {}) for name in NETWORKS),
    ("hyperlora", {"deviation": "lora", "deviating_layers": 1}),
    *((name, {"head": head}) for name in ("hyperlora", "intercept") for head in HEADS[1:]),
    *[("multi-head", {"head": "cumulative-scale"}), ("text-only", {"tuning": "full"})],
]
SMALL = {
    **{"condition_width": 4, "site_width": 4, "hidden_width": 8, "eval_batch_size": 50},
    **{"adapted_layers": 2, "taste_rank": 2},
}


@pytest.fixture
def rows(two_kinds):
    """A few rows by known and unknown people, three labels."""
    rows = two_kinds.head(240).iloc[::7].reset_index(drop=True)
    return rows.assign(label=np.arange(len(rows)) % 3)


def build(method, backbone, **changes):
    """A classifier whose annotators differ: whatever starts at zero is moved."""
    chosen = find_method(method)
    settings = chosen.settings.changed({**SMALL, **changes})
    people = None
    if "attributes" in chosen.told:
        known = {"u0": ("old",), "u1": ("young",), "v0": ("old",)}
        people = People(Attributes({"age": ("old", "young")}), known)
    classifier = AnnotatorClassifier.build(
        *(chosen, settings, backbone, LabelSpace((0, 1, 2))),
        *(Vocabulary(("u0", "u1", "v0", "v1")), 0, people),
    )
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in classifier.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    classifier.model.eval()
    return classifier


@pytest.mark.parametrize(("method", "changes"), CASES)
def test_all_that_makes_logits_is_divided(method, changes, tiny_bert, rows):
    classifier = build(method, tiny_bert, **changes)
    examples = classifier.examples(rows)
    before = classifier.probabilities(examples)
    cumulative = classifier.settings.head != "softmax"
    wanted = at_temperature(before, 1.7, cumulative=cumulative)
    assert np.abs(wanted - before).max() > 0.01  # something to compare
    divide_logits(classifier.model, 1.7)
    np.testing.assert_allclose(classifier.probabilities(examples), wanted, atol=1e-6)
    everyone = classifier.everyone(np.array([-1, 2])).probabilities(examples.tokens)
    of_v0 = examples.annotators == 2
    texts = examples.text_of_row[of_v0]
    np.testing.assert_allclose(everyone[texts, 1], wanted[of_v0], atol=1e-5)


def drawn(head, n=4000, seed=0):
    """True probabilities, labels drawn from them, and what is twice as sure."""
    rng = np.random.default_rng(seed)
    if head == "softmax":
        logits = rng.normal(size=(n, 3))
        truth, sure = softmax(logits, axis=1), softmax(2 * logits, axis=1)
    else:
        passed = np.array([-1.0, 0.5]) - rng.normal(size=(n, 1))
        truth, sure = (
            np.diff(np.pad(expit(k * passed), ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1))))
            for k in (1, 2)
        )
    labels = (rng.random((n, 1)) > truth.cumsum(axis=1)).sum(axis=1)
    return truth, labels, sure


@pytest.mark.parametrize("head", HEADS[:2])
def test_who_is_twice_as_sure_as_right_gets_two(head):
    truth, labels, sure = drawn(head)
    cumulative = head != "softmax"
    found = temperature_of(sure, labels, cumulative=cumulative)
    assert found == pytest.approx(2, abs=0.12)
    np.testing.assert_allclose(at_temperature(sure, 2.0, cumulative=cumulative), truth, atol=1e-9)
    assert temperature_of(truth, labels, cumulative=cumulative) == pytest.approx(1, abs=0.06)


def test_who_is_eight_times_too_sure_is_found_out():
    truth, labels, _ = drawn("softmax")
    logits = np.log(truth)
    found = temperature_of(softmax(8 * logits, axis=1), labels)
    assert found == pytest.approx(8 * temperature_of(truth, labels), rel=0.03)


def test_the_answer_and_its_order_stay():
    _, _, sure = drawn("softmax", 200)
    for temperature in (0.5, 3.0):
        found = at_temperature(sure, temperature)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert (found.argsort(axis=1) == sure.argsort(axis=1)).all()


@pytest.mark.parametrize("cumulative", [False, True])
def test_next_to_no_data_asks_for_next_to_nothing(cumulative):
    p = np.array([[0.7, 0.2, 0.1]])
    nobody = temperature_of(p[:0], np.empty(0, np.int64), cumulative=cumulative)
    assert nobody == pytest.approx(1, abs=1e-3)
    right = temperature_of(p.repeat(3, axis=0), np.zeros(3, np.int64), cumulative=cumulative)
    assert 0.5 < right < 1
    # Certain and wrong: finite, and no warning.
    certain = np.array([[1.0, 0.0, 0.0]]).repeat(50, axis=0)
    assert 1 < temperature_of(certain, np.full(50, 2), cumulative=cumulative) < 10.01


def test_setting_it_makes_dev_no_worse(tiny_bert, rows):
    classifier = build("hyperlora", tiny_bert)
    examples = classifier.examples(rows)
    before = classifier.probabilities(examples)
    found = set_temperature(classifier, examples)
    after = classifier.probabilities(examples)
    np.testing.assert_allclose(after, at_temperature(before, found), atol=1e-6)
    each, labels = np.arange(len(rows)), examples.labels
    assert np.log(after[each, labels]).mean() > np.log(before[each, labels]).mean()
    assert found > 1.1  # the weights are noise, so it was too sure


@pytest.mark.parametrize("divisor", [0.0, -1.0, float("inf"), float("nan")])
def test_what_is_no_divisor(divisor, tiny_bert):
    with pytest.raises(ConfigError, match="a number above 0"):
        divide_logits(build("intercept", tiny_bert).model, divisor)


def test_a_run_is_calibrated_and_says_how(two_kinds, tiny_bert, quick, quick_run, tmp_path):
    with_it = ha.load(quick_run)
    without = ha.fit(
        two_kinds, output=tmp_path / "raw", backbone=tiny_bert, calibration="none", **quick
    )
    temperature = with_it.record.results["temperature"]
    assert "temperature" not in without.record.results
    columns = [name for name in with_it.predictions if name.startswith("p_")]
    raw, found = (run.predictions[columns].to_numpy() for run in (without, with_it))
    np.testing.assert_allclose(found, at_temperature(raw, temperature), atol=1e-4)
    assert with_it.predictions["predicted"].equals(without.predictions["predicted"])


def test_without_a_head_that_is_known_nothing_is_lost(
    two_kinds, tiny_bert, quick, tmp_path, monkeypatch
):
    monkeypatch.setattr("hyperadapters.tuner.temperature.find_head", lambda *_: None)
    said = []
    progress = Progress()
    monkeypatch.setattr(progress, "message", said.append)
    run = ha.fit(two_kinds, output=tmp_path / "r", backbone=tiny_bert, progress=progress, **quick)
    assert run.record.complete and "temperature" not in run.record.results
    assert any(text.startswith("no temperature") for text in said)
    with pytest.raises(ConfigError, match="no classification head"):
        divide_logits(build("intercept", tiny_bert).model, 2.0)


LOADED = [
    *[("multi-head", {}), ("text-only", {"tuning": "full"}), ("intercept", {})],
    ("hyperlora", {"head": "cumulative-scale"}),
]


@pytest.mark.parametrize(("method", "changes"), LOADED)
def test_the_temperature_is_saved_and_set_once(
    method, changes, two_kinds, tiny_bert, quick, tmp_path, monkeypatch
):
    from hyperadapters.experiments import fit as _  # noqa: F401 - the module is loaded

    module = sys.modules["hyperadapters.experiments.fit"]
    rated = two_kinds.assign(label=two_kinds["label"].astype("category").cat.codes)
    rated["label"] += rated["label"].cumsum() % 2  # three labels, a scale
    given = {"backbone": tiny_bert, "method": method, **quick, **changes}
    with monkeypatch.context() as patched:
        patched.setattr(module, "_predict_and_score", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):  # stopped when all is saved but what is predicted
            ha.fit(rated, output=tmp_path / "run", **given)
    run = ha.fit(rated, output=tmp_path / "run", resume=True, **given)
    whole = ha.fit(rated, output=tmp_path / "whole", **given)
    assert run.record.results["temperature"] == whole.record.results["temperature"] != 1
    names = [name for name in run.predictions if name.startswith("p_")]
    np.testing.assert_allclose(run.predictions[names], whole.predictions[names], atol=1e-7)
    dev = rated[["text_id", "text", "annotator", "label"]].head(40)
    again = ha.load(tmp_path / "run")
    asked = [predict(made.fitted, dev)[names] for made in (again, whole)]
    np.testing.assert_allclose(*asked, atol=1e-7)


def test_strangers_count_only_where_nobody_else_is_there():
    known, labelled = np.array([True, False, True]), np.array([True, True, False])
    assert counted(known, labelled).tolist() == [True, False, False]
    assert counted(~labelled, labelled).tolist() == labelled.tolist()


def stopped(run, folder):
    """A copy of a run that is not complete."""
    shutil.copytree(run, folder)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "complete": False}))
    return folder


def test_counting_has_no_temperature_to_differ_in(two_kinds, tiny_bert, quick, tmp_path):
    given = {"backbone": tiny_bert, **quick}
    ha.compare(two_kinds, ["global-mode"], [0], tmp_path / "all", **given)
    path = tmp_path / "all" / "global-mode" / "seed-0" / "run.json"
    record = json.loads(path.read_text())
    del record["settings"]["calibration"]
    path.write_text(json.dumps(record))
    found = ha.compare(
        two_kinds, ["global-mode", "annotator-mode"], [0], tmp_path / "all", resume=True, **given
    )
    assert list(found.table.rows) == ["global-mode", "annotator-mode"]


def test_a_cell_from_before_calibration_is_another_run(
    two_kinds, tiny_bert, quick, quick_run, tmp_path
):
    cell = tmp_path / "all" / "hyperlora" / "seed-0"
    shutil.copytree(quick_run, cell)
    (tmp_path / "all" / "compare.json").write_text('{"methods": ["hyperlora"]}')
    record = json.loads((cell / "run.json").read_text())
    del record["settings"]["calibration"]
    (cell / "run.json").write_text(json.dumps(record))
    arguments = {"backbone": tiny_bert, "resume": True, **quick}
    why = r"another calibration \(it is of an earlier version; go on with --set calibration=none\)"
    with pytest.raises(RunError, match=why):
        ha.compare(two_kinds, ["hyperlora"], [0], tmp_path / "all", **arguments)
    with pytest.raises(RunError, match=r"another calibration$"):  # what somebody has asked for
        ha.fit(
            two_kinds, output=stopped(quick_run, tmp_path / "s"), calibration="none", **arguments
        )
    found = ha.compare(
        two_kinds, ["hyperlora"], [0], tmp_path / "all", calibration="none", **arguments
    )
    assert list(found.table.rows) == ["hyperlora"]
