"""People of a run as LoRA folders."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel

from hyperadapters.backbones import load_backbone
from hyperadapters.errors import ConditionError, ConfigError, RunError
from hyperadapters.experiments import fit, load
from hyperadapters.experiments.export import folder_name
from pairwise import one_by_one

TEXTS = ["good kind red", "bad cruel the the"]
PERSONAL = ("hyperlora", "hyperlora-paper", "intercept", "multi-head", "lora-per-annotator")


@pytest.fixture(scope="module")
def run_of(two_kinds, tiny_bert, quick, tmp_path_factory):
    """A function: name of a method → a run of it; those that are told attributes know `kind`."""
    made, folder = {}, tmp_path_factory.mktemp("runs")
    described = two_kinds.assign(kind=two_kinds["annotator"].str[0])

    def of(method):
        if method not in made:
            told = {"attributes": "kind"} if "attributes" in method else {}
            output = folder / method
            fit(described, output=output, method=method, backbone=tiny_bert, **told, **quick)
            made[method] = load(output)
        return made[method]

    return of


def answers(folder, backbone, run):
    """What stock PEFT makes of the texts with the adapter of a folder."""
    model = PeftModel.from_pretrained(load_backbone(backbone, 2).model, folder).eval()
    assert type(model.peft_config["default"]).__name__ == "LoraConfig"
    inputs = run.fitted.backbone.tokenizer(TEXTS, return_tensors="pt", padding=True)
    with torch.no_grad():
        return model(**inputs).logits.double().softmax(-1).numpy()


@one_by_one(
    method=[*PERSONAL, "annotator-embedding", "hyperlora+attributes", "attributes-only"],
    who=["u3", "population"],
)
def test_stock_peft_answers_as_the_run_does(method, who, run_of, tiny_bert, tmp_path):
    run = run_of(method)
    assert run.export(who, tmp_path / "lora") == [tmp_path / "lora"]
    wanted = run.predict(TEXTS, [who])[["p_fine", "p_toxic"]].to_numpy()
    got = answers(tmp_path / "lora", tiny_bert, run)
    np.testing.assert_allclose(got, wanted, atol=2e-6)
    if who != "population":  # it is the person's own
        others = run.predict(TEXTS, ["v2"])[["p_fine", "p_toxic"]].to_numpy()
        assert abs(got - others).max() > 1e-6


@pytest.mark.parametrize("method", ["hyperlora", "hyperlora+attributes", "attributes-only"])
def test_several_have_folders_of_their_names(method, run_of, tiny_bert, tmp_path):
    run, told = run_of(method), []
    chosen = ["v1", "population", "u0"]
    made = run.export(chosen, tmp_path / "some", progress=lambda *counts: told.append(counts))
    assert [folder.name for folder in made] == chosen and told[-1] == (3, 3)
    for folder in made:
        wanted = run.predict(TEXTS, [folder.name])[["p_fine", "p_toxic"]].to_numpy()
        np.testing.assert_allclose(answers(folder, tiny_bert, run), wanted, atol=2e-6)
    assert len(run.export("all", tmp_path / "all")) == len(run.vocabulary)
    (alone,) = run.export(["v1"], tmp_path / "list of one")
    assert alone == tmp_path / "list of one" / "v1"


def test_an_export_that_was_stopped_goes_on(run_of, tmp_path):
    run = run_of("hyperlora")
    run.export(["u0", "u1"], tmp_path / "all")
    kept = (tmp_path / "all" / "u0" / "adapter_model.safetensors").stat().st_mtime_ns
    assert len(run.export(["u0", "u1", "u2"], tmp_path / "all", resume=True)) == 3
    assert (tmp_path / "all" / "u0" / "adapter_model.safetensors").stat().st_mtime_ns == kept
    with pytest.raises(RunError, match="exists; name another output"):
        run.export("all", tmp_path / "all")


def test_one_lora_for_everybody_is_the_populations(run_of, tiny_bert, tmp_path):
    run = run_of("text-only")
    for annotators in ("u1", "all", ["population", "u1"]):
        with pytest.raises(ConfigError, match=r"one LoRA for everybody.*as 'population'"):
            run.export(annotators, tmp_path / "lora")
    run.export("population", tmp_path / "lora")
    (folder,) = run.export(["population"], tmp_path / "several")
    wanted = run.predict(TEXTS, "population")[["p_fine", "p_toxic"]].to_numpy()
    np.testing.assert_allclose(answers(tmp_path / "lora", tiny_bert, run), wanted, atol=2e-6)
    np.testing.assert_allclose(answers(folder, tiny_bert, run), wanted, atol=2e-6)


@pytest.mark.parametrize(
    ("method", "who", "error", "message"),
    [
        ("hyperlora", "nobody", ConditionError, "unknown: nobody"),
        ("hyperlora", ["u1", "nobody"], ConditionError, "unknown: nobody"),
        ("hyperlora", [], ConfigError, "nobody is named"),
        ("user-token", "u1", ConfigError, "a token of the input: no LoRA"),
        ("annotator-mode", "u1", ConfigError, "annotator-mode counts labels and has no adapter"),
    ],
)
def test_mistakes(method, who, error, message, run_of, tmp_path):
    with pytest.raises(error, match=message):
        run_of(method).export(who, tmp_path / "lora")
    assert not (tmp_path / "lora").exists()


def test_a_trained_backbone_is_no_lora(two_kinds, tiny_bert, quick, tmp_path):
    run = fit(
        two_kinds, output=tmp_path / "run", method="intercept", backbone=tiny_bert,
        tuning="full", **quick,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="no LoRA"):
        run.export("u1", tmp_path / "lora")


def test_names_of_folders():
    assert folder_name("w-17_a.b@x") == "w-17_a.b%40x"
    assert folder_name("a/b") == "a%2Fb"
    assert folder_name("..") == "%2E."


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_ids_have_different_folders(first, second):
    names = folder_name(first), folder_name(second)
    assert (names[0] == names[1]) == (first == second)
    assert not any("/" in name or name in ("", ".", "..") for name in names)
