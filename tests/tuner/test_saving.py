import json
import os
import subprocess
import sys

import pytest
import torch
from peft import PeftConfig, PeftModel
from safetensors.torch import load_file, save_file

import hyperadapters as ha
from hyperadapters.errors import ConditionError

IDS = torch.tensor([2, -1, 0, 2, 6, -1])
VARIANTS = {
    "ours": {},
    "published": {"hypernetwork": "two-tower", "bias_source": "none", "shift": False},
    "intercept": {"source": "learned", "bias_source": "per-condition", "shift": False},
}


@torch.no_grad()
@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("low_cpu_mem_usage", [False, True])
def test_a_loaded_model_is_the_same(
    adapted, backbone, texts, tmp_path, family, variant, low_cpu_mem_usage
):
    model = adapted(family, **VARIANTS[variant])
    wanted = model(**texts(), annotator_ids=IDS).logits
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(
        backbone(family), str(tmp_path), low_cpu_mem_usage=low_cpu_mem_usage
    )
    # Weights that lie elsewhere in memory may be multiplied in another order.
    got = loaded(**texts(), annotator_ids=IDS).logits
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-6)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    with pytest.raises(ConditionError, match="missing condition"):
        loaded(**texts())


def test_the_folder_holds_what_was_learned_and_nothing_else(adapted, tmp_path):
    model = adapted()
    model.save_pretrained(str(tmp_path))
    stored = load_file(tmp_path / "adapter_model.safetensors")
    learned = {
        name.replace(".default", "").replace(".modules_to_save", ""): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    assert set(stored) == set(learned)
    assert all(torch.equal(stored[name], learned[name]) for name in learned)
    assert {name for name in stored if "classifier" in name} == {
        "base_model.model.classifier.weight",
        "base_model.model.classifier.bias",
    }


@torch.no_grad()
def test_several_conditions_keep_their_vectors(adapted, backbone, texts, tmp_path):
    # PEFT sorts the names in the file, so the order of the declaration must not matter.
    model = adapted(conditions={"zeta": ha.Lookup(3), "alpha": ha.Lookup(4)})
    given = {"zeta": torch.tensor([0, 1, 2, 2, 1, 0]), "alpha": torch.tensor([3, 0, 1, 2, -1, 3])}
    wanted = model(**texts(), **given).logits
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone(), str(tmp_path))
    assert torch.equal(loaded(**texts(), **given).logits, wanted)


def test_loading_to_train_on(adapted, backbone, tmp_path):
    model = adapted()
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone(), str(tmp_path), is_trainable=True)

    def trainable(m) -> list[str]:
        return [name for name, parameter in m.named_parameters() if parameter.requires_grad]

    assert trainable(loaded) == trainable(model)


def test_the_configuration_is_readable_and_the_same_for_the_same_model(adapted, tmp_path):
    for folder, order in (("one", ["query", "value", "key"]), ("other", ["key", "value", "query"])):
        adapted(target_modules=order).save_pretrained(str(tmp_path / folder))
    one = (tmp_path / "one" / "adapter_config.json").read_text()
    assert one == (tmp_path / "other" / "adapter_config.json").read_text()
    stored = json.loads(one)
    assert stored["peft_type"] == "HYPERADAPTER"
    assert stored["target_modules"] == ["key", "query", "value"]
    assert stored["conditions"]["annotator_ids"]["size"] == 7


SCRIPT = """
import importlib.util, sys
import hyperadapters
assert "peft" not in sys.modules
importlib.util.find_spec("peft")  # as Transformers does, to know whether it is there
from peft import PeftConfig, PeftModel
assert type(PeftConfig.from_pretrained(sys.argv[1])).__name__ == "HyperAdapterConfig"
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification
torch.set_num_threads(1)
backbone = AutoModelForSequenceClassification.from_pretrained(sys.argv[2])
model = PeftModel.from_pretrained(backbone, sys.argv[1])
batch = load_file(sys.argv[3])
with torch.no_grad():
    save_file({"logits": model(**batch).logits}, sys.argv[4])
"""


@torch.no_grad()
def test_another_process_computes_the_same(adapted, backbone, texts, tmp_path):
    model = adapted("roberta", target_modules=["value", "query", "key"])
    batch = {**texts(), "annotator_ids": IDS}
    wanted = model(**batch).logits
    backbone("roberta").save_pretrained(tmp_path / "backbone")
    model.save_pretrained(str(tmp_path / "adapter"))
    save_file(batch, tmp_path / "batch.safetensors")
    script = tmp_path / "load.py"
    script.write_text(SCRIPT)
    folders = [tmp_path / name for name in ("adapter", "backbone", "batch.safetensors", "logits")]
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    subprocess.run(
        [sys.executable, script, *folders],
        env={**os.environ, "PYTHONHASHSEED": seed},
        check=True,
        capture_output=True,
        timeout=120,
    )
    torch.testing.assert_close(load_file(tmp_path / "logits")["logits"], wanted)


def test_the_configuration_alone(adapted, tmp_path):
    adapted().save_pretrained(str(tmp_path))
    loaded = PeftConfig.from_pretrained(str(tmp_path))
    assert isinstance(loaded, ha.HyperAdapterConfig)
    assert loaded.inference_mode and loaded.condition_width == 8
