"""Merging and exporting: one condition at a time, since rows differ.

In float64, where a difference is an error and no rounding.
"""

import pytest
import torch
from peft import LoraConfig, PeftConfig, PeftModel
from safetensors.torch import load_file, save_file

import hyperadapters as ha
from hyperadapters.errors import ConfigError

families = pytest.mark.parametrize("family", ["bert", "llama", "t5"])


@torch.no_grad()
@families
@pytest.mark.parametrize("annotator", [3, -1])
def test_merge_layers(adapted, backbone, batch, tmp_path, family, annotator):
    plain, model = backbone(family).double(), adapted(family).double()
    wanted = model(**batch(family), annotator_ids=annotator).logits
    assert not torch.allclose(plain(**batch(family)).logits, wanted, atol=1e-3)
    merged = model.merge_and_unload(condition={"annotator_ids": annotator})
    assert type(merged) is type(plain)
    assert "forward" not in vars(merged)
    assert set(merged.state_dict()) == set(plain.state_dict())
    torch.testing.assert_close(merged(**batch(family)).logits, wanted, atol=1e-5, rtol=1e-5)
    merged.save_pretrained(tmp_path)
    loaded = type(plain).from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(**batch(family)).logits, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@families
def test_safe_merge(adapted, batch, tmp_path, family):
    model = adapted(family).double()
    wanted = model(**batch(family), annotator_ids=3).logits
    merged = model.merge_and_unload(condition={"annotator_ids": 3}, safe_merge=True)
    torch.testing.assert_close(merged(**batch(family)).logits, wanted, atol=1e-5, rtol=1e-5)
    state = {name: value.clone() for name, value in merged.state_dict().items()}
    save_file(state, tmp_path / "merged.safetensors")


@torch.no_grad()
@families
def test_merge_layers_nan(adapted, batch, family):
    """A safe merge refuses weights that are not numbers and leaves the model as it was."""
    model = adapted(family).double()
    wanted = model(**batch(family), annotator_ids=2).logits
    ha.adapter_network(model).encoders["annotator_ids"].vectors[3] = float("nan")
    with pytest.raises(ValueError, match=r"finite|NaN"):
        model.merge_and_unload(condition={"annotator_ids": 3}, safe_merge=True)
    assert torch.equal(model(**batch(family), annotator_ids=2).logits, wanted)


@families
def test_merging_wants_one_condition(adapted, family):
    with pytest.raises(ConfigError, match="condition"):
        adapted(family).merge_and_unload()
    with pytest.raises(ConfigError, match=r"condition|row"):
        adapted(family).merge_adapter()
    with pytest.raises(ValueError, match="annotator_ids"):
        adapted(family).merge_and_unload(condition={"annotator_ids": [3, 4]})
    with pytest.raises(ValueError, match="index 9"):
        adapted(family).merge_and_unload(condition={"annotator_ids": 9})
    with pytest.raises(ValueError, match="missing condition annotator_ids"):
        adapted(family).merge_and_unload(condition={})


@torch.no_grad()
@families
def test_merge_layers_multi(adapted, config, batch, randomised, family):
    """Of two adapters the active one is merged."""
    model = adapted(family)
    model.add_adapter("second", config(family))
    model.set_adapter("second")
    randomised(model, seed=8)
    model.eval().double()
    wanted = model(**batch(family), annotator_ids=3).logits
    model.set_adapter("default")
    assert not torch.allclose(model(**batch(family), annotator_ids=3).logits, wanted, atol=1e-3)
    model.set_adapter("second")
    merged = model.merge_and_unload(condition={"annotator_ids": 3})
    torch.testing.assert_close(merged(**batch(family)).logits, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@families
def test_lora_conversion(adapted, backbone, batch, tmp_path, family):
    """The exported folder is an ordinary LoRA that PEFT loads by itself."""
    model = adapted(family).double()
    wanted = model(**batch(family), annotator_ids=3).logits
    ha.export_lora(model, {"annotator_ids": 3}, tmp_path, include_head=True)
    assert type(PeftConfig.from_pretrained(str(tmp_path))) is LoraConfig
    loaded = PeftModel.from_pretrained(backbone(family).double(), str(tmp_path)).eval()
    torch.testing.assert_close(loaded(**batch(family)).logits, wanted, atol=1e-5, rtol=1e-5)
    merged = loaded.merge_and_unload()
    torch.testing.assert_close(merged(**batch(family)).logits, wanted, atol=1e-5, rtol=1e-5)
    # The export takes nothing away from the model.
    assert torch.equal(model(**batch(family), annotator_ids=3).logits, wanted)


@torch.no_grad()
def test_transformers_loads_the_export_without_peft_model(adapted, backbone, batch, tmp_path):
    model = adapted("llama").double()
    wanted = model(**batch("llama"), annotator_ids=3).logits
    ha.export_lora(model, {"annotator_ids": 3}, tmp_path)
    plain = backbone("llama").double()
    plain.load_adapter(str(tmp_path))
    torch.testing.assert_close(plain(**batch("llama")).logits, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_several_conditions_give_several_folders(adapted, backbone, batch, tmp_path):
    model = adapted("llama").double()
    ha.export_lora(model, {"annotator_ids": [3, 4]}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["3", "4"]
    plain = backbone("llama").double()
    loaded = PeftModel.from_pretrained(plain, str(tmp_path / "3"), adapter_name="3")
    loaded.load_adapter(str(tmp_path / "4"), adapter_name="4")
    for annotator in (3, 4):
        loaded.set_adapter(str(annotator))
        wanted = model(**batch("llama"), annotator_ids=annotator).logits
        torch.testing.assert_close(loaded(**batch("llama")).logits, wanted, atol=1e-5, rtol=1e-5)


def test_the_export_is_a_lora_and_no_more(adapted, tmp_path):
    ha.export_lora(adapted("llama"), {"annotator_ids": 3}, tmp_path)
    stored = load_file(tmp_path / "adapter_model.safetensors")
    start = "base_model.model.model.layers"
    assert set(stored) == {
        f"{start}.{layer}.self_attn.{site}.lora_{factor}.weight"
        for layer in (0, 1)
        for site in ("q_proj", "v_proj")
        for factor in "AB"
    }
    assert not any("annotator" in name or "network" in name for name in stored)
