"""What PEFT's own tests ask of every method (`tests/testing_common.py` there, with its names)."""

import json
import re

import pytest
import torch
import yaml
from peft import (
    PeftConfig,
    PeftModel,
    PeftType,
    get_peft_model,
    get_peft_model_state_dict,
    inject_adapter_in_model,
    prepare_model_for_kbit_training,
    set_peft_model_state_dict,
)

import hyperadapters as ha

IDS = torch.tensor([2, -1, 0, 2, 6, -1])
FAMILIES = ["bert", "llama", "t5"]
families = pytest.mark.parametrize("family", FAMILIES)


@families
def test_attributes_parametrized(adapted, family):
    model = adapted(family)
    assert isinstance(model, PeftModel)
    assert model.active_adapters == ["default"]
    assert model.peft_type == PeftType("HYPERADAPTER")
    # PEFT and Transformers read `.value` in places; a plain string has none.
    assert model.active_peft_config.peft_type.value == "HYPERADAPTER"
    for name in ("save_pretrained", "from_pretrained", "push_to_hub"):
        assert callable(getattr(model, name))


@families
def test_adapter_name(adapted, family):
    model = adapted(family, name="test-adapter")
    learned = [name for name, p in model.named_parameters() if p.requires_grad]
    assert learned and all("test-adapter" in name for name in learned)


@families
def test_prepare_for_training_parametrized(adapted, backbone, config, batch, family):
    ids = batch(family)["input_ids"]
    assert not adapted(family).get_input_embeddings()(ids).requires_grad
    plain = prepare_model_for_kbit_training(backbone(family), use_gradient_checkpointing=False)
    assert not any(parameter.requires_grad for parameter in plain.parameters())
    model = get_peft_model(plain, config(family))
    model.enable_input_require_grads()
    assert model.get_input_embeddings()(ids).requires_grad


@families
def test_print_trainable_parameters(adapted, capsys, family):
    model = adapted(family)
    learned, everything = model.get_nb_trainable_parameters()
    assert learned == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert everything == sum(p.numel() for p in model.parameters())
    model.print_trainable_parameters()
    assert f"trainable params: {learned:,} || all params: {everything:,}" in capsys.readouterr().out


@families
def test_in_features_out_features_exposed(adapted, family):
    for name, layer in adapted(family).named_modules():
        if hasattr(layer, "base_layer"):
            assert (layer.in_features, layer.out_features) == layer.base_layer.weight.shape[::-1], (
                name
            )


@families
def test_model_status(adapted, family):
    model = adapted(family)
    status = model.get_model_status()
    assert status.enabled and status.active_adapters == ["default"]
    assert status.available_adapters == ["default"]
    assert status.peft_types == {"default": "HYPERADAPTER"}
    assert status.trainable_params == model.get_nb_trainable_parameters()[0]
    assert status.num_adapter_layers == len(model.get_layer_status())
    with model.disable_adapter():
        assert model.get_model_status().enabled is False


@families
def test_state_dict_functions(adapted, batch, family):
    """`get_` and `set_peft_model_state_dict`, which federated and DeepSpeed training use."""
    model, other = adapted(family), adapted(family, random=False)
    state = get_peft_model_state_dict(model)
    outcome = set_peft_model_state_dict(other, state)
    assert outcome.unexpected_keys == []
    with torch.no_grad():
        wanted = model(**batch(family), annotator_ids=IDS).logits
        assert torch.equal(other(**batch(family), annotator_ids=IDS).logits, wanted)


@families
def test_forward_output_finite(adapted, batch, family):
    with torch.no_grad():
        assert torch.isfinite(adapted(family)(**batch(family), annotator_ids=IDS).logits).all()


@torch.no_grad()
@families
def test_passing_input_embeds_works(adapted, batch, family):
    model, given = adapted(family), batch(family)
    wanted = model(**given, annotator_ids=IDS).logits
    given["inputs_embeds"] = model.get_input_embeddings()(given.pop("input_ids"))
    torch.testing.assert_close(model(**given, annotator_ids=IDS).logits, wanted)


@torch.no_grad()
@families
def test_mixed_adapter_batches(adapted, batch, family):
    """PEFT mixes adapters in a batch by name; here every row has a condition."""
    model, given = adapted(family), batch(family)
    mixed = model(**given, annotator_ids=IDS).logits
    for annotator in (-1, 0, 2, 6):
        alone = model(**given, annotator_ids=annotator).logits
        mine = annotator == IDS
        torch.testing.assert_close(mixed[mine], alone[mine], atol=1e-5, rtol=1e-5)
        assert not torch.allclose(mixed[~mine], alone[~mine], atol=1e-3)


@torch.no_grad()
@families
def test_weighted_combination_of_adapters(adapted, batch, family):
    """PEFT adds up adapters under a new name; here a condition may be a mixture."""
    model, given = adapted(family), batch(family)
    single = {name: model(**given, annotator_ids=name).logits for name in (3, 5)}
    for annotator, logits in single.items():
        torch.testing.assert_close(model(**given, annotator_ids={annotator: 1.0}).logits, logits)
    half = model(**given, annotator_ids={3: 0.5, 5: 0.5}).logits
    assert all(not torch.allclose(half, logits, atol=1e-3) for logits in single.values())
    weights = torch.zeros(len(IDS), 7)
    weights[:, 3] = weights[:, 5] = 0.5
    weights[0] = torch.eye(7)[3]
    by_row = model(**given, annotator_ids=weights).logits
    torch.testing.assert_close(by_row[1:], half[1:], atol=5e-5, rtol=1e-4)
    torch.testing.assert_close(by_row[0], single[3][0], atol=1e-5, rtol=1e-5)


@families
def test_inject_adapter_in_model_is_refused(backbone, config, family):
    # The network lives on the tuner, which injection throws away.
    with pytest.raises(ValueError, match=r"shared state.*get_peft_model"):
        inject_adapter_in_model(config(family), backbone(family))


@families
def test_save_pretrained(adapted, backbone, tmp_path, family, recwarn):
    model = adapted(family)
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone(family), str(tmp_path))
    assert not [w for w in recwarn if "missing adapter keys" in str(w.message)]
    mine, theirs = model.state_dict(), loaded.state_dict()
    assert set(mine) == set(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors", "README.md"}


@families
def test_save_load_roundtrip(adapted, backbone, batch, tmp_path, family):
    model, given = adapted(family), batch(family)
    with torch.no_grad():
        wanted = model(**given, annotator_ids=IDS).logits
        model.save_pretrained(str(tmp_path))
        loaded = PeftModel.from_pretrained(backbone(family), str(tmp_path))
        assert torch.equal(loaded(**given, annotator_ids=IDS).logits, wanted)


@families
def test_check_modelcard(adapted, tmp_path, family):
    model = adapted(family, conditions={"annotator_ids": ha.Lookup(7), "task_index": ha.Lookup(3)})
    model.save_pretrained(str(tmp_path))
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(re.search(r"---\n(.*?)\n---", card, re.DOTALL).group(1))
    assert head["library_name"] == "peft"
    assert {"hyperadapters", "hypernetwork"} <= set(head["tags"])
    assert "import hyperadapters" in card
    for name, size in (("annotator_ids", 7), ("task_index", 3)):
        assert re.search(rf"{name}\D*\b{size}\b", card), f"the card does not say {name}: {size}"


def test_an_existing_model_card_is_kept(adapted, tmp_path):
    (tmp_path / "README.md").write_text("---\ntags:\n- mine\n---\n\nWords of the author.\n")
    model = adapted()
    for _ in range(2):  # and saving twice does not say things twice
        model.save_pretrained(str(tmp_path))
    card = (tmp_path / "README.md").read_text()
    head = yaml.safe_load(re.search(r"---\n(.*?)\n---", card, re.DOTALL).group(1))
    assert "hyperadapters" in head["tags"]  # PEFT itself drops the tag `mine`
    assert "Words of the author." in card
    assert card.count("import hyperadapters") == 1


@families
def test_check_config_json(saved, tmp_path, family):
    _, folder = saved(family)
    stored = json.loads((folder / "adapter_config.json").read_text())
    assert stored["base_model_name_or_path"] == str(tmp_path / "backbone")
    assert stored["peft_type"] == "HYPERADAPTER"


@families
def test_from_pretrained_config_construction(adapted, backbone, config, batch, tmp_path, family):
    model, given = adapted(family), batch(family)
    model.save_pretrained(str(tmp_path))
    chosen = PeftConfig.from_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone(family), str(tmp_path), config=chosen)
    assert loaded.peft_config["default"] is chosen
    with torch.no_grad():
        wanted = model(**given, annotator_ids=IDS).logits
        assert torch.equal(loaded(**given, annotator_ids=IDS).logits, wanted)


@families
def test_load_model_low_cpu_mem_usage(adapted, backbone, batch, tmp_path, family):
    model, given = adapted(family), batch(family)
    model.save_pretrained(str(tmp_path))
    options = {"torch_device": "cpu", "low_cpu_mem_usage": True}
    loaded = PeftModel.from_pretrained(backbone(family), str(tmp_path), **options)
    loaded.load_adapter(str(tmp_path), adapter_name="other", low_cpu_mem_usage=True)
    assert {parameter.device.type for parameter in loaded.parameters()} == {"cpu"}
    with torch.no_grad():
        wanted = model(**given, annotator_ids=IDS).logits
        for name in ("default", "other"):
            loaded.set_adapter(name)
            got = loaded(**given, annotator_ids=IDS).logits
            # Weights that lie elsewhere in memory may be multiplied in another order.
            torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@families
def test_inference_safetensors(adapted, backbone, batch, tmp_path, family):
    model, given = adapted(family).train(), batch(family, labels=True)
    model(**given, annotator_ids=IDS).loss.backward()
    model.eval()
    model.save_pretrained(str(tmp_path), safe_serialization=True)
    assert not list(tmp_path.glob("*.bin"))
    loaded = PeftModel.from_pretrained(backbone(family), str(tmp_path))
    with torch.no_grad():
        wanted = model(**given, annotator_ids=IDS).logits
        assert torch.equal(loaded(**given, annotator_ids=IDS).logits, wanted)
