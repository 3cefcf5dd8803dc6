"""Weights that are written when a site is run, and again in the backward pass, and not kept."""

import pytest
import torch
from peft import get_peft_model

import hyperadapters as ha
from hyperadapters.adapters import Unwritten
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.tuner import adapter_network

ROWS = 6
IDS = torch.tensor([3, -1, 0, 5, 3, 3])
GROUPS = [
    {"form": "lora", "target_modules": ["query", "value"], "r": 2, "gains": True},
    {"form": "bottleneck", "width": 4},
]
CASES = {
    "mlp": {},
    "basis": {"hypernetwork": "basis", "n_basis": 4},
    "chunked": {"hypernetwork": "chunked", "chunk_width": 12},
    "B alone": {"generate_a": False},
    "one layer": {"deviating_layers": [1]},
    "dropout": {"lora_dropout": 0.3, "condition_noise": 0.2, "condition_dropout": 0.3},
    "bottleneck and gains": {"groups": [ha.Group(**group) for group in GROUPS]},
    "not adapted when unknown": {"conditions": {"annotator_ids": ha.Lookup(7, unknown="base")}},
}


@pytest.fixture
def pair(adapted):
    """The same model with all generated weights kept, and with none."""

    def make(**changes):
        kept = adapted(**changes)
        written = adapted(**changes, recompute_weights=True)
        written.load_state_dict(kept.state_dict())
        return kept.train(), written.train()

    return make


def step(model, batch, seed=0):
    torch.manual_seed(seed)
    output = model(**batch, annotator_ids=IDS, labels=torch.arange(ROWS) % 3)
    output.loss.backward()
    named = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return output.logits, named


@pytest.fixture
def batch(texts):
    return texts(ROWS)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_logits_and_gradients_are_the_same(pair, batch, case, checkpointing):
    kept, written = pair(**CASES[case])
    if checkpointing:
        for model in (kept, written):
            model.get_base_model().activation_checkpointing_enable()
    (wanted, gradients), (logits, found) = step(kept, batch), step(written, batch)
    torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=1e-5)
    assert found.keys() == gradients.keys() and len(gradients) > 5
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def saved_by(model, batch):
    """Numbers that are kept for the backward pass."""
    sizes = {}

    def pack(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // 4
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(**batch, annotator_ids=torch.arange(ROWS), labels=torch.zeros(ROWS).long())
        loss.loss.backward()
    return sum(sizes.values())


def test_no_generated_weights_are_kept(pair, batch):
    kept, written = pair(r=16)
    # Two factors at two modules of two layers, 32 wide.
    of_weights = ROWS * 2 * 2 * 2 * 16 * 32
    saved = saved_by(kept, batch) - saved_by(written, batch)
    assert saved > 0.7 * of_weights


def test_parameters_that_change_before_the_backward_pass_are_refused(pair, batch):
    _, written = pair()
    loss = written(**batch, annotator_ids=IDS, labels=torch.zeros(ROWS).long()).loss
    heads = adapter_network(written).sources[0].source.heads
    with torch.no_grad():
        next(heads.parameters()).mul_(2)
    with pytest.raises(ConditionError, match="changed between the forward pass and the backward"):
        loss.backward()


def test_without_gradients_all_are_written_at_once(pair, batch):
    kept, written = pair()
    network = adapter_network(written)
    conditions = network.prepare({"annotator_ids": IDS}, torch.device("cpu"))
    with torch.no_grad():
        weights = network(conditions)
        torch.testing.assert_close(
            written.eval()(**batch, annotator_ids=IDS).logits,
            kept.eval()(**batch, annotator_ids=IDS).logits,
        )
    assert not any(isinstance(site, Unwritten) for site in weights.groups[0].sites)
    assert any(isinstance(site, Unwritten) for site in network(conditions).groups[0].sites)


def test_it_is_saved_and_loaded(pair, tmp_path):
    _, written = pair()
    written.save_pretrained(tmp_path)
    loaded = ha.HyperAdapterConfig.from_pretrained(tmp_path)
    assert loaded.recompute_weights


def test_published_networks_refuse(backbone, config):
    published = config(hypernetwork="two-tower", recompute_weights=True)
    with pytest.raises(ConfigError, match="recompute_weights does not go with"):
        get_peft_model(backbone(), published)
