"""Labels on a scale, from settings to predictions."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from peft import PeftModel

import hyperadapters as ha
from hyperadapters.backbones import load_backbone
from hyperadapters.errors import ConfigError
from hyperadapters.experiments import fit, load
from hyperadapters.methods import METHODS
from hyperadapters.training import Progress
from hyperadapters.tuner.head import head_layers
from pairwise import one_by_one

GOOD, BAD = ("good", "kind", "warm", "nice"), ("bad", "cruel", "cold", "nasty")


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


def test_sets_of_labels(two_kinds, tiny_bert, quick, tmp_path):
    said = np.random.default_rng(0).choice(["a", "a+b", "b", "b+c"], size=len(two_kinds))
    sets = two_kinds.assign(label=said)
    fit(sets, output=tmp_path / "run", backbone=tiny_bert, decision="marginal", **quick)
    run = load(tmp_path / "run")
    p = run.predictions[["p_a", "p_a+b", "p_b", "p_b+c"]].to_numpy()
    wanted = run.labels.decode(run.labels.decide(p, "marginal"))
    assert run.predictions["predicted"].tolist() == wanted.tolist()
    assert "hamming_loss" in set(run.scores["metric"])
    wrong = r"decision marginal is for sets of labels, such as a\+b .* and these are fine, toxic"
    with pytest.raises(ConfigError, match=wrong):
        fit(two_kinds, output=tmp_path / "x", backbone=tiny_bert, decision="marginal", **quick)
    assert not (tmp_path / "x").exists()


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
    for rule in ("median", "marginal"):
        options = {"method": "global-mode", "decision": rule, **quick}
        run = fit(two_kinds, output=tmp_path / rule, **options)
        assert run.decision == "mode" and len(run.jury(["a text"])) == 1


def test_labels_without_an_order(two_kinds, tiny_bert, quick, tmp_path):
    wanted = r"decision median is for labels on a scale .* and these are fine, toxic"
    with pytest.raises(ConfigError, match=wanted):
        fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, decision="median", **quick)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="decision must be one of mode, median, marginal, got"):
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


CUMULATIVE = ("cumulative", "cumulative-scale")
NETWORKS = [name for name, method in METHODS.items() if method.kind == "network"]
SCALE = (1, 2, 3, 4)


@one_by_one(method=NETWORKS, head=CUMULATIVE)
def test_every_method_has_heads_for_scales(method, head, scale, tiny_bert, quick, tmp_path):
    settings = {"backbone": tiny_bert, "method": method, "head": head, **quick}
    if "attributes" in METHODS[method].told:
        scale = scale.assign(kind=scale["annotator"].str[0])
        settings["attributes"] = "kind"
    run = fit(scale, output=tmp_path / "run", **settings)
    fresh = load(tmp_path / "run")
    table = fresh.predictions
    p = table[[f"p_{name}" for name in SCALE]].to_numpy()
    # Scores and thresholds have moved from where they started, and come back when loaded.
    assert len(np.unique(p.round(5), axis=0)) > 10
    test = table[table["split"] == "test"]
    asked = fresh.predict(scale[scale["split"] == "test"], "rows")
    np.testing.assert_allclose(asked["p_2"], test["p_2"], atol=1e-6)
    widths = {
        *[tuple(bias.vectors.shape)[1] for bias in run.fitted.network.biases.values()],
        *[
            layer.out_features
            for layer in head_layers(run.fitted.model.base_model.model.classifier)
        ],
    }
    assert widths == {1 if head == "cumulative" else 2}
    if head == "cumulative":
        # One score orders all rows alike, whoever is asked: the same is likelier for every label.
        above = (1 - p.cumsum(axis=1))[:, :-1]
        above = above[np.argsort(above[:, 0])]
        assert (np.diff(above, axis=0) > -1e-6).all()


def test_a_head_for_scales_wants_a_scale(two_kinds, tiny_bert, quick, tmp_path):
    wanted = r"head cumulative is for labels on a scale .* and these are fine, toxic"
    with pytest.raises(ConfigError, match=wanted):
        fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, head="cumulative", **quick)
    with pytest.raises(ConfigError, match="head must be one of softmax, cumulative"):
        fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, head="coral", **quick)


def test_training_starts_at_the_shares_of_the_labels(scale, tiny_bert, quick, tmp_path):
    rare = {**quick, "learning_rate": 0.0, "condition_learning_rate": 0.0, "epochs": 1}
    skewed = scale.assign(label=np.where(np.arange(len(scale)) % 10, 1, scale["label"]))
    run = fit(skewed, output=tmp_path / "run", backbone=tiny_bert, head="cumulative", **rare)
    counts = skewed.query("split == 'train'")["label"].value_counts().reindex(SCALE).to_numpy()
    got = run.predictions[[f"p_{name}" for name in SCALE]].mean().to_numpy()
    np.testing.assert_allclose(got, (counts + 1) / (counts.sum() + 4), atol=0.08)
    assert got[0] > 0.8


class StopAt(Progress):
    def __init__(self, number):
        self.number = number

    def step(self, step):
        if step.step == self.number:
            raise KeyboardInterrupt


@pytest.mark.parametrize("head", CUMULATIVE)
def test_a_run_that_was_stopped_ends_with_the_same_numbers(head, scale, tiny_bert, quick, tmp_path):
    settings = {"backbone": tiny_bert, "head": head, **quick}
    whole = fit(scale, output=tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(scale, output=tmp_path / "stopped", progress=StopAt(9), **settings)
    resumed = fit(scale, output=tmp_path / "stopped", resume=True, **settings)
    pd.testing.assert_frame_equal(resumed.predictions, whole.predictions)


@pytest.mark.parametrize("head", CUMULATIVE)
def test_a_person_leaves_as_a_lora(head, scale, tiny_bert, quick, tmp_path):
    run = fit(scale, output=tmp_path / "run", backbone=tiny_bert, head=head, **quick)
    classifier = run.fitted
    (folder,) = ha.export_lora(classifier.model, {"annotator_ids": 3}, tmp_path / "lora")
    plain = PeftModel.from_pretrained(load_backbone(tiny_bert, 4, head=head).model, folder).eval()
    tokens = classifier.backbone.tokenizer(["good red", "a cruel"], return_tensors="pt")
    with torch.no_grad():
        got = plain(**tokens).logits
        wanted = classifier.model(**tokens, annotator_ids=torch.tensor([3, 3])).logits
        other = classifier.model(**tokens, annotator_ids=torch.tensor([9, 9])).logits
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    assert (got - other).abs().max() > 1e-3


def on_seven_steps(n_texts=60, seed=0):
    """Ratings from the model itself: a score of the text, and mildness of the person."""
    generator = np.random.default_rng(seed)
    people = {f"p{i}": generator.normal(0, 1.5) for i in range(12)}
    thresholds = np.array([-4, -2.5, -1, 1, 2.5, 4])
    rows = []
    for number in range(n_texts):
        bad = number % 2
        words = [*generator.choice(BAD if bad else GOOD, 3), f"w{number}"]
        split = ("train", "train", "train", "dev", "test")[number // 2 % 5]
        for who, milder in people.items():
            score = (2.5 if bad else -2.5) - milder
            cuts = 1 / (1 + np.exp(score - thresholds))
            p = np.diff([0, *cuts, 1])
            rows.append((f"t{number}", " ".join(words), who, generator.choice(7, p=p), split))
    return pd.DataFrame(rows, columns=["text_id", "text", "annotator", "label", "split"])


@pytest.mark.slow
def test_it_learns_people_on_a_scale(tiny_bert, quick, tmp_path):
    table = on_seven_steps()
    settings = {**quick, "epochs": 16, "shrinkage": 0.02, "max_length": 16}

    def nll(method, head):
        output = tmp_path / f"{method}-{head}"
        run = fit(table, output=output, backbone=tiny_bert, method=method, head=head, **settings)
        scores = run.scores.query("split == 'test' and slice == 'all' and metric == 'nll'")
        return float(scores["value"].iloc[0])

    cumulative, softmax = nll("intercept", "cumulative"), nll("intercept", "softmax")
    assert cumulative < softmax - 0.03  # fewer parameters, and the right ones
    assert cumulative < nll("text-only", "cumulative") - 0.1  # people matter
    assert cumulative < 1.5 < np.log(7)
