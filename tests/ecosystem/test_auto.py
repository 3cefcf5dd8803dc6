"""Loading by PEFT's auto classes, from folders alone, and what is sent to the Hub."""

import pytest
import torch
from peft import (
    AutoPeftModel,
    AutoPeftModelForCausalLM,
    AutoPeftModelForFeatureExtraction,
    AutoPeftModelForSeq2SeqLM,
    AutoPeftModelForSequenceClassification,
    PeftConfig,
    PeftModel,
    get_peft_model,
)

import hyperadapters as ha

IDS = torch.tensor([2, -1, 0, 2, 6, -1])
CLASSES = {
    "bert": AutoPeftModelForSequenceClassification,
    "llama": AutoPeftModelForCausalLM,
    "t5": AutoPeftModelForSeq2SeqLM,
}
families = pytest.mark.parametrize("family", CLASSES)


@torch.no_grad()
@families
@pytest.mark.parametrize("task", [True, False], ids=["with a task", "without"])
def test_auto_classes(saved, batch, family, task):
    """`AutoPeftModel` is for adapters without a task, the others are for those with theirs."""
    model, folder = saved(family, **({} if task else {"task_type": None}))
    wanted = model(**batch(family), annotator_ids=IDS).logits
    loaded = (CLASSES[family] if task else AutoPeftModel).from_pretrained(folder)
    assert isinstance(loaded, PeftModel) and type(loaded) is type(model)
    assert torch.equal(loaded.eval()(**batch(family), annotator_ids=IDS).logits, wanted)


@torch.no_grad()
def test_feature_extraction(backbone, config, randomised, batch, tmp_path):
    from transformers import AutoModel

    backbone("bert").save_pretrained(tmp_path / "backbone")
    plain = AutoModel.from_pretrained(tmp_path / "backbone")
    model = get_peft_model(plain, config(task_type="FEATURE_EXTRACTION")).eval()
    randomised(model)
    wanted = model(**batch(), annotator_ids=IDS).last_hidden_state
    model.save_pretrained(str(tmp_path / "adapter"))
    loaded = AutoPeftModelForFeatureExtraction.from_pretrained(tmp_path / "adapter").eval()
    got = loaded(**batch(), annotator_ids=IDS).last_hidden_state
    assert torch.equal(got, wanted)
    assert not torch.allclose(loaded(**batch(), annotator_ids=3).last_hidden_state, wanted)


@torch.no_grad()
@families
def test_the_folder_is_enough(saved, backbone, batch, family):
    model, folder = saved(family)
    files = {path.name for path in folder.iterdir()}
    assert files == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    config = PeftConfig.from_pretrained(str(folder))
    assert isinstance(config, ha.HyperAdapterConfig)
    assert config.conditions["annotator_ids"]["size"] == 7
    options = {"low_cpu_mem_usage": True, "config": config}
    loaded = PeftModel.from_pretrained(backbone(family), folder, **options)
    wanted = model(**batch(family), annotator_ids=IDS).logits
    got = loaded(**batch(family), annotator_ids=IDS).logits
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_push_to_hub(adapted, tmp_path, monkeypatch):
    """What PEFT would send, caught where it leaves for the network."""
    from types import SimpleNamespace

    from transformers.utils import hub

    sent = {}

    def create_commit(repo_id, operations, **options):
        sent["repository"] = repo_id
        sent["files"] = sorted(operation.path_in_repo for operation in operations)

    def create_repo(repo_id, **options):
        return SimpleNamespace(repo_id=repo_id)

    offline = SimpleNamespace(create_commit=create_commit, create_repo=create_repo)
    if hasattr(hub, "hf_api"):
        monkeypatch.setattr(hub, "hf_api", lambda: offline)
    else:  # Transformers before it had a client of its own
        monkeypatch.setattr(hub, "create_repo", create_repo)
        monkeypatch.setattr(hub, "create_commit", create_commit)
    monkeypatch.chdir(tmp_path)
    adapted().push_to_hub("somebody/annotators")
    assert sent["repository"] == "somebody/annotators"
    assert sent["files"] == ["README.md", "adapter_config.json", "adapter_model.safetensors"]


WITHOUT = """
import sys
from peft import AutoPeftModelForSequenceClassification, PeftConfig
assert "hyperadapters" not in sys.modules
try:
    PeftConfig.from_pretrained(sys.argv[1])
except KeyError as error:
    assert "HYPERADAPTER" in str(error)
else:
    raise SystemExit("PEFT knew the method")
import hyperadapters  # what the model card says
model = AutoPeftModelForSequenceClassification.from_pretrained(sys.argv[1])
assert type(model.peft_config["default"]).__name__ == "HyperAdapterConfig"
"""

WITH = """
import sys
import hyperadapters
from peft import PeftModel
from transformers import AutoModelForSequenceClassification
plain = AutoModelForSequenceClassification.from_pretrained(sys.argv[2])
PeftModel.from_pretrained(plain, sys.argv[1])
"""


@pytest.mark.parametrize("script", [WITHOUT, WITH], ids=["imported after PEFT", "before PEFT"])
def test_a_fresh_process_needs_the_import(saved, tmp_path, in_a_process, script):
    _, folder = saved("bert")
    in_a_process(script, folder, tmp_path / "backbone")
