"""Conditions for the head alone: no layer is adapted."""

import pytest
import torch
from peft import PeftConfig, PeftModel

import hyperadapters as ha
from hyperadapters import HyperAdapterConfig, Lookup
from hyperadapters.errors import ConfigError
from hyperadapters.tuner.layer import HyperAdapterLinear

NONE = {"source": "none", "taste_rank": 0}
HEADS = {
    "nothing": {"bias_source": "none", "shift": False},
    "bias": {"bias_source": "per-condition", "shift": False},
    "shift": {"bias_source": "none"},
    "output layers": {"bias_source": "none", "shift": False, "output_source": "per-condition"},
    "token": {"bias_source": "none", "shift": False, "token_source": "per-condition"},
}
IDS = torch.tensor([2, -1, 0, 2, 6, -1])


def logits(model, batch, **conditions):
    with torch.no_grad():
        return model(**batch, **conditions).logits


@pytest.mark.parametrize("head", HEADS)
def test_only_the_head_differs(adapted, backbone, texts, head):
    model, batch = adapted(**NONE, **HEADS[head]), texts()
    assert not any(isinstance(module, HyperAdapterLinear) for module in model.modules())
    assert ha.adapter_network(model).spec.groups == []
    together = logits(model, batch, annotator_ids=IDS)
    with model.disable_adapter():
        assert torch.equal(logits(model, batch), logits(backbone(), batch))
    for row, index in enumerate(IDS):
        kept = batch["attention_mask"][row].bool()
        alone = {name: values[row : row + 1, kept] for name, values in batch.items()}
        got = logits(model, alone, annotator_ids=index)
        torch.testing.assert_close(got[0], together[row], atol=1e-5, rtol=1e-5)
    other = logits(model, batch, annotator_ids=IDS.roll(1))
    assert torch.equal(other, together) == (head == "nothing")


@pytest.mark.parametrize("head", HEADS)
def test_saved_is_loaded(adapted, backbone, texts, tmp_path, head):
    model, batch = adapted(**NONE, **HEADS[head]), texts()
    model.save_pretrained(tmp_path)
    written = PeftConfig.from_pretrained(str(tmp_path))
    assert written.source == "none" and written.target_modules is None and written.sites == []
    loaded = PeftModel.from_pretrained(backbone(), str(tmp_path)).eval()
    wanted = logits(model, batch, annotator_ids=IDS)
    assert torch.equal(logits(loaded, batch, annotator_ids=IDS), wanted)


@pytest.mark.parametrize("head", ["nothing", "bias", "shift", "output layers"])
def test_merged_it_is_one_persons_model(adapted, texts, head):
    model, batch = adapted(**NONE, **HEADS[head]), texts()
    wanted = logits(model, batch, annotator_ids=2)
    merged = model.merge_and_unload(condition={"annotator_ids": 2})
    torch.testing.assert_close(logits(merged, batch), wanted, atol=1e-5, rtol=1e-5)


def test_there_is_no_lora_to_write(adapted, tmp_path):
    with pytest.raises(ConfigError, match="adapts no linear module"):
        ha.export_lora(adapted(**NONE), {"annotator_ids": 2}, tmp_path / "lora")


def test_groups_stay_what_was_asked_for():
    assert HyperAdapterConfig(conditions={"a": Lookup(3)}, source="none").resolved_groups == []
    with pytest.raises(ConfigError, match="groups is empty"):
        HyperAdapterConfig(conditions={"a": Lookup(3)}, groups=[])
