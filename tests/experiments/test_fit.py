import json

import numpy as np
import pandas as pd
import pytest
import torch
from peft import PeftModel

import hyperadapters as ha
from hyperadapters.backbones import load_backbone
from hyperadapters.errors import ConfigError, DataError, RunError
from hyperadapters.experiments import fit, load
from hyperadapters.methods import find_method

METRICS = {
    *["accuracy", "macro_f1", "annotator_macro_f1", "annotator_macro_f1_p10", "nll", "brier"],
    *["ece", "soft_manhattan", "soft_cross_entropy", "minority_accuracy", "majority_macro_f1"],
    *["coverage_annotators", "coverage_rows"],
}


def content(folder):
    return {path.name for path in folder.iterdir()}


def test_a_run_folder_holds_what_was_promised(quick_run, two_kinds, quick):
    names = content(quick_run)
    assert names >= {
        *["adapter_config.json", "adapter_model.safetensors", "run.json", "vocabulary.json"],
        *["labels.json", "log.jsonl", "predictions.parquet", "scores.json"],
    }
    assert not {name for name in names if name.endswith((".bin", ".pt", ".pkl", ".tmp"))}
    assert "checkpoint.safetensors" not in names

    record = json.loads((quick_run / "run.json").read_text())
    assert (record["method"], record["seed"], record["complete"]) == ("hyperlora", 0, True)
    assert record["settings"] == find_method("hyperlora").settings.changed(quick).to_dict()
    assert {"python", "torch", "peft", "hyperadapters"} <= record["versions"].keys()
    assert record["data"]["rows"] == len(two_kinds)
    assert record["data"]["rows_by_split"] == two_kinds["split"].value_counts().to_dict()
    assert record["results"]["trainable_parameters"] > 0
    people = sorted(set(two_kinds.query("split == 'train'")["annotator"]))
    assert json.loads((quick_run / "vocabulary.json").read_text())["names"] == people
    assert json.loads((quick_run / "labels.json").read_text())["names"] == ["fine", "toxic"]


def test_scores_hold_every_promised_metric(quick_run):
    scores = load(quick_run).scores
    chosen = scores[(scores["split"] == "test") & (scores["slice"] == "all")]
    assert set(chosen["metric"]) >= METRICS
    assert set(chosen["method"]) == {"hyperlora"}
    assert {"dev", "test"} == set(scores["split"])


def test_predictions_are_of_dev_and_test(quick_run, two_kinds):
    predictions = load(quick_run).predictions
    wanted = two_kinds[two_kinds["split"] != "train"]
    key = ["text_id", "annotator", "label", "split"]
    assert sorted(map(tuple, predictions[key].to_numpy())) == sorted(
        map(tuple, wanted[key].to_numpy())
    )


def test_it_is_a_peft_folder(quick_run, tiny_bert, two_kinds):
    run = load(quick_run)
    model = PeftModel.from_pretrained(load_backbone(tiny_bert, 2).model, quick_run).eval()
    row = run.predictions.iloc[0]
    text = two_kinds.set_index("text_id")["text"].loc[row["text_id"]].iloc[0]
    inputs = run.fitted.backbone.tokenizer(text, return_tensors="pt")
    person = torch.from_numpy(run.vocabulary.indices([row["annotator"]]))
    with torch.no_grad():
        p = model(**inputs, annotator_ids=person).logits.softmax(-1)[0]
    np.testing.assert_allclose(p.numpy(), [row["p_fine"], row["p_toxic"]], atol=1e-5)


@pytest.mark.parametrize("method", ["global-mode", "annotator-mode"])
def test_counting_methods(method, two_kinds, tmp_path):
    run = ha.fit(two_kinds, method=method, output=tmp_path / "run")
    assert content(tmp_path / "run") == {
        *["run.json", "labels.json", "vocabulary.json", "counts.json"],
        *["predictions.parquet", "scores.json"],
    }
    again = ha.load(tmp_path / "run")
    assert again.predict(["good"]).equals(run.predict(["good"]))
    assert again.record.results["trainable_parameters"] == 0
    assert len(again.predict(["good", "bad"])) == 2 * len(again.vocabulary)


def test_five_classes_on_a_scale(two_kinds, tiny_bert, quick, tmp_path):
    scale = np.random.default_rng(0).integers(-2, 3, len(two_kinds))
    run = fit(two_kinds.assign(label=scale), output=tmp_path / "run", backbone=tiny_bert, **quick)
    assert run.labels.names == (-2, -1, 0, 1, 2) and run.labels.kind == "ordinal"
    columns = [f"p_{label}" for label in range(-2, 3)]
    table = ha.load(tmp_path / "run").predictions
    np.testing.assert_allclose(table[columns].sum(axis=1), 1, atol=1e-9)
    assert set(table["predicted"]) <= set(range(-2, 3))


def test_integer_labels_survive_asking_everyone(two_kinds, tiny_bert, quick, tmp_path):
    numbers = two_kinds.assign(label=(two_kinds["label"] == "toxic").astype(int))
    run = fit(numbers, output=tmp_path / "run", backbone=tiny_bert, **quick)
    asked = run.predict(numbers[numbers["split"] == "test"], annotators="all")
    known = asked.dropna(subset=["label"])
    assert 0 < len(known) < len(asked)
    truth = numbers.set_index(["text_id", "annotator"])["label"]
    pairs = list(zip(known["text_id"], known["annotator"], strict=True))
    assert known["label"].tolist() == truth.loc[pairs].tolist()


def test_ratings_without_splits(two_kinds, tiny_bert, quick, tmp_path):
    bare = two_kinds.drop(columns="split")
    run = fit(bare, output=tmp_path / "run", backbone=tiny_bert, **quick)
    by_split = run.record.data["rows_by_split"]
    assert by_split.keys() == {"train", "dev", "test"}
    assert by_split["train"] > by_split["test"]


def test_an_annotator_without_training_rows_is_answered_from_the_population(quick_run):
    table = load(quick_run).predictions
    assert table.loc[table["annotator"] == "newcomer", "source"].tolist() == ["population"]
    assert set(table.loc[table["annotator"] != "newcomer", "source"]) == {"known"}


def test_an_existing_output_is_refused_and_untouched(two_kinds, tiny_bert, quick, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for output in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(RunError, match="exists; name another output"):
            fit(two_kinds, output=output, backbone=tiny_bert, **quick)
    assert content(tmp_path) == {"mine.txt"}
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"method": "hyperlore"}, ConfigError, "did you mean 'hyperlora'"),
        ({"epoch": 3}, ConfigError, "did you mean epochs"),
        ({"epochs": "x"}, ConfigError, "epochs must be a whole number"),
        ({"backbone": "no-such-backbone"}, ConfigError, "'no-such-backbone' cannot be loaded"),
        ({"adapted_layers": 9}, ConfigError, "the backbone has 3 layers; 0 adapts all"),
        ({"seed": -1}, ConfigError, "seed must be from 0"),
        ({"seed": 2**40}, ConfigError, "seed must be from 0"),
    ],
)
def test_a_mistake_leaves_nothing_behind(
    changes, error, message, two_kinds, tiny_bert, quick, tmp_path
):
    arguments = {"output": tmp_path / "run", "backbone": tiny_bert, **quick, **changes}
    with pytest.raises(error, match=message):
        fit(two_kinds, **arguments)
    assert not (tmp_path / "run").exists()


def test_ratings_that_cannot_be_used(two_kinds, tmp_path):
    for ratings in (two_kinds.drop(columns="label"), two_kinds.assign(label="fine")):
        with pytest.raises(DataError):
            fit(ratings, output=tmp_path / "run", method="global-mode")
    leaking = two_kinds.copy()
    leaking.loc[leaking.index[0], "split"] = "dev"
    with pytest.raises(DataError, match="more than one split"):
        fit(leaking, output=tmp_path / "run", method="global-mode")
    assert not (tmp_path / "run").exists()
    fit(leaking, output=tmp_path / "run", method="global-mode", allow_leaks=True)


def test_majority_learns_what_most_say_and_is_scored_by_what_each_says(
    two_kinds, tiny_bert, quick, tmp_path
):
    run = fit(two_kinds, output=tmp_path / "run", method="majority", backbone=tiny_bert, **quick)
    plain = fit(two_kinds, output=tmp_path / "all", method="text-only", backbone=tiny_bert, **quick)
    first = [json.loads((r.folder.log).read_text().splitlines()[0]) for r in (run, plain)]
    # Of a text all rows say the same, so there is less to be wrong about.
    assert first[0]["train_loss"] != first[1]["train_loss"]
    ours, theirs = run.predictions, plain.predictions
    pd.testing.assert_series_equal(ours["label"], theirs["label"])
    texts = ours.groupby("text_id")["p_toxic"]
    assert texts.nunique().max() == 1  # nobody is looked at
