import json

import numpy as np
import pytest
import torch

from hyperadapters.errors import RunError
from hyperadapters.experiments import fit
from hyperadapters.training import Progress

LEARN = {
    **{"epochs": 12, "shared_epochs": 1, "patience": 12, "batch_size": 16, "learning_rate": 1e-2},
    **{"deviation_learning_rate": 3e-3, "condition_learning_rate": 5e-2, "shrinkage": 0.05},
    **{
        "head_dropout": 0.0,
        "warmup_epochs": 0.0,
        "adapted_layers": 2,
        "deviating_layers": 1,
        "deviation": "lora",
    },
    **{"r": 4, "taste_rank": 16, "condition_noise": 0.3, "deviation_dropout": 0.5},
}


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def score_of(run, metric="accuracy"):
    scores = run.scores
    chosen = (scores["split"] == "test") & (scores["slice"] == "all")
    return float(scores[chosen].set_index("metric").loc[metric, "value"])


def test_two_kinds_of_people_are_told_apart(two_kinds, tiny_bert, tmp_path):
    """The text says nothing without the person; 0.5 is chance for whoever does not see both."""
    accuracy, losses = {}, {}
    for method in ("hyperlora", "text-only"):
        run = fit(two_kinds, output=tmp_path / method, method=method, backbone=tiny_bert, **LEARN)
        accuracy[method] = score_of(run)
        losses[method] = [line["train_loss"] for line in log_of(tmp_path / method)]
    assert accuracy["hyperlora"] > 0.75
    assert accuracy["text-only"] < 0.65
    assert accuracy["hyperlora"] - accuracy["text-only"] > 0.2
    assert losses["hyperlora"][-1] < 0.5 * losses["hyperlora"][0]
    assert losses["text-only"][-1] > 0.6  # ln 2 is 0.69: nothing to be learned


def test_an_intercept_learns_who_says_toxic_more_often(two_kinds, tiny_bert, tmp_path):
    says = two_kinds["annotator"].str.startswith("u").map({True: "toxic", False: "fine"})
    biased = two_kinds.assign(label=says)
    accuracy = {}
    for method in ("intercept", "text-only"):
        run = fit(biased, output=tmp_path / method, method=method, backbone=tiny_bert, **LEARN)
        accuracy[method] = score_of(run)
    assert accuracy["intercept"] > 0.9
    assert accuracy["text-only"] < 0.7


PUBLISHED = {
    "multi-head": {"condition_learning_rate": 1e-2},
    # How to read a person off a token has to be learned first.
    "user-token": {"epochs": 30, "adapted_layers": 0},
}


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=[pytest.mark.slow] * (m == "user-token")) for m in PUBLISHED],
)
def test_published_methods_tell_two_kinds_of_people_apart(method, two_kinds, tiny_bert, tmp_path):
    """As above."""
    learn = {**LEARN, "shrinkage": 0.0, **PUBLISHED[method]}
    run = fit(two_kinds, output=tmp_path / "run", method=method, backbone=tiny_bert, **learn)
    assert score_of(run) > 0.75
    test = two_kinds[two_kinds["split"] == "test"].drop_duplicates("text_id")
    bad = test["text"].str.contains("bad|cruel|cold|nasty")
    texts = test[["text"]].assign(text_id=np.where(bad, "bad ", "good ") + test["text_id"])
    people = run.predict(texts)
    of_kind = people["p_toxic"].groupby(
        [people["annotator"].str[0], people["text_id"].str.split().str[0]]
    )
    p = of_kind.mean().unstack()
    assert p.loc["u", "bad"] - p.loc["u", "good"] > 0.3
    assert p.loc["v", "good"] - p.loc["v", "bad"] > 0.3
    nobody = run.predict(texts, "population")
    assert set(nobody["source"]) == {"population"}
    assert 0.1 < nobody["p_toxic"].mean() < 0.9


@pytest.mark.parametrize("method", ["hyperlora", "intercept", "hyperlora-paper"])
def test_the_seed_fixes_everything(method, two_kinds, tiny_bert, quick, tmp_path):
    runs = {
        name: fit(
            two_kinds, output=tmp_path / name, method=method, backbone=tiny_bert, seed=s, **quick
        )
        for name, s in (("first", 3), ("again", 3), ("other", 4))
    }
    adapters = {n: (tmp_path / n / "adapter_model.safetensors").read_bytes() for n in runs}
    assert adapters["first"] == adapters["again"] != adapters["other"]
    first, again, other = (runs[n].predictions["p_toxic"] for n in runs)
    assert first.equals(again) and not first.equals(other)
    assert log_of(tmp_path / "first") == log_of(tmp_path / "again")


def test_the_backbone_does_not_move(two_kinds, tiny_bert, quick, tmp_path):
    from hyperadapters.backbones import load_backbone

    run = fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, **quick)
    trained = dict(run.fitted.model.named_parameters())
    fresh = load_backbone(tiny_bert, 2).model
    compared = 0
    for name, parameter in fresh.named_parameters():
        found = [p for n, p in trained.items() if n.replace(".base_layer.", ".").endswith(name)]
        if "classifier" not in name and found:
            assert torch.equal(found[0], parameter), name
            compared += 1
    assert compared == sum("classifier" not in name for name, _ in fresh.named_parameters())


def test_early_stopping_keeps_the_best_epoch(two_kinds, tiny_bert, quick, tmp_path, monkeypatch):
    from hyperadapters.training import loop

    best, kept = {}, []
    values = iter([0.9, 0.5, 0.7, 0.6, 0.4])
    monkeypatch.setattr(loop, "dev_nll", lambda *arguments: next(values))
    snapshot = loop.trainable_state

    def remember(*arguments):
        kept.append(snapshot(*arguments))
        return kept[-1]

    monkeypatch.setattr(loop, "trainable_state", remember)

    class Watch(Progress):
        def evaluation(self, record):
            if record["dev_nll"] == 0.5:
                best.update(kept[-1])

    settings = {**quick, "epochs": 10, "patience": 2, "calibration": "none"}
    run = fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, progress=Watch(), **settings)
    log = log_of(tmp_path / "run")
    assert [line["dev_nll"] for line in log] == [0.9, 0.5, 0.7, 0.6]  # 0.4 was never tried
    assert [line["best"] for line in log] == [True, True, False, False]
    assert run.record.results["best"]["epoch"] == 2
    final = snapshot(run.fitted.model)
    assert final.keys() == best.keys()
    assert all(torch.equal(final[name], best[name]) for name in best)
    last = kept[-1]
    assert any(not torch.equal(final[name], last[name]) for name in best)


def test_deviations_are_tried_even_if_the_shared_phase_stops_improving(
    two_kinds, tiny_bert, quick, tmp_path, monkeypatch
):
    from hyperadapters.training import loop

    values = iter([0.1, *[0.5] * 20])
    monkeypatch.setattr(loop, "dev_nll", lambda *arguments: next(values))
    settings = {**quick, "epochs": 6, "shared_epochs": 3, "patience": 1}
    fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, **settings)
    assert [line["deviates"] for line in log_of(tmp_path / "run")] == [False] * 3 + [True]


def test_several_evaluations_an_epoch(two_kinds, tiny_bert, quick, tmp_path):
    settings = {**quick, "evaluations_per_epoch": 3, "patience": 50}
    fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, **settings)
    n_batches = -(-int((two_kinds["split"] == "train").sum()) // 32)
    steps = [round(n_batches * k / 3) for k in (1, 2, 3)]
    wanted = steps + [n_batches + step for step in steps]
    assert [line["step"] for line in log_of(tmp_path / "run")] == wanted


def test_what_is_told_while_training(two_kinds, tiny_bert, quick, tmp_path):
    class Recorder(Progress):
        def __init__(self):
            self.steps, self.evaluations = [], []

        def step(self, step):
            self.steps.append(step)

        def evaluation(self, record):
            self.evaluations.append(record)

    seen = Recorder()
    fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, progress=seen, **quick)
    n_batches = -(-int((two_kinds["split"] == "train").sum()) // 32)
    assert [step.step for step in seen.steps] == list(range(1, 2 * n_batches + 1))
    assert [step.epoch for step in seen.steps] == [1] * n_batches + [2] * n_batches
    assert {step.n_steps for step in seen.steps} == {2 * n_batches}
    assert seen.evaluations == log_of(tmp_path / "run")
    losses = [step.loss for step in seen.steps[:n_batches]]
    assert np.mean(losses) == pytest.approx(seen.evaluations[0]["train_loss"])


def test_a_training_that_diverges_says_so(two_kinds, tiny_bert, quick, tmp_path, monkeypatch):
    from hyperadapters.training import loop

    monkeypatch.setattr(loop, "dev_nll", lambda *arguments: float("nan"))
    with pytest.raises(RunError, match=r"diverged.*lower the learning rates"):
        fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, **quick)
