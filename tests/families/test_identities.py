"""What must hold exactly for every family of models, whatever is learned."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GenerationConfig, PreTrainedModel

import hyperadapters as ha
from hyperadapters.tuner.layer import HyperAdapterLinear

# The name in Transformers 5, and the one before it.
CHECKPOINTING = [
    name
    for name in ("activation_checkpointing_enable", "gradient_checkpointing_enable")
    if hasattr(PreTrainedModel, name)
]
LENGTH = {"min_new_tokens": 4, "max_new_tokens": 4}
WRITING = {
    "greedy": {"do_sample": False, **LENGTH},
    "beams": {"do_sample": False, "num_beams": 3, "num_return_sequences": 3, **LENGTH},
    "configured": {"generation_config": GenerationConfig(do_sample=False, num_beams=2, **LENGTH)},
    # Draws, but from one word, so that the batch and its rows draw the same.
    "sampled": {"do_sample": True, "top_k": 1, **LENGTH},
    "static cache": {"do_sample": False, "cache_implementation": "static", **LENGTH},
}


@pytest.mark.identity("batched = single")
@torch.no_grad()
def test_a_mixed_batch_is_one_by_one(zoo, case):
    # In float64, so that nothing but a mistake makes a difference.
    model, batch = zoo.make_adapted(case).double(), zoo.make_batch(case)
    together = zoo.outputs(model, batch, annotator_ids=zoo.IDS)
    for row, index in enumerate(zoo.IDS):
        alone = zoo.outputs(model, zoo.row_of(batch, row), annotator_ids=index)[0]
        wanted = together[row] if alone.ndim == 1 else together[row, : len(alone)]
        torch.testing.assert_close(alone, wanted, atol=1e-9, rtol=1e-9)
    # The test would see a mix-up: other annotators give other outputs in every row.
    others = zoo.outputs(model, batch, annotator_ids=zoo.OTHER_IDS)
    assert (others - together).abs().flatten(1).amax(dim=1).min() > 1e-2


@pytest.mark.identity("zero start")
@torch.no_grad()
def test_it_starts_as_the_backbone_exactly(zoo, case):
    model, batch = zoo.make_adapted(case, random=False), zoo.make_batch(case)
    wanted = zoo.outputs(zoo.make_backbone(case), batch)
    assert torch.equal(zoo.outputs(model, batch, annotator_ids=zoo.IDS), wanted)


def test_every_learned_tensor_has_a_gradient_at_the_start(zoo, case):
    model = zoo.make_adapted(case, random=False).train()
    logits = zoo.outputs(model, zoo.make_batch(case), annotator_ids=zoo.IDS)
    (logits * _directions(logits)).sum().backward()
    learned = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    still = [name for name, grad in learned.items() if grad is None or not grad.any()]
    assert learned and still == []


@pytest.mark.identity("saved = loaded")
def test_another_process_with_other_hashes_loads_the_same(zoo, saved, main_case):
    before, after = (zoo.logits_of(saved, main_case, when) for when in ("saved", "loaded"))
    torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-6)
    plain = zoo.outputs(zoo.make_backbone(main_case), zoo.make_batch(main_case))
    assert (before - plain).abs().max() > 1e-2


@pytest.mark.identity("exported = adapter")
@torch.no_grad()
def test_the_exported_lora_is_the_adapter_of_one_annotator(zoo, export_case, tmp_path):
    # A decoder's head has no bias that could take up what the hypernetwork adds to the logits.
    bias_free = export_case.head == "SEQ_CLS" and export_case.kind == zoo.DECODER
    changes = {"bias_source": "none", "shift": False} if bias_free else {}
    model, batch = zoo.make_adapted(export_case, **changes), zoo.make_batch(export_case)
    ha.export_lora(model, {"annotator_ids": 3}, tmp_path)
    loaded = PeftModel.from_pretrained(zoo.make_backbone(export_case), str(tmp_path)).eval()
    assert type(loaded.peft_config["default"]) is LoraConfig
    got = zoo.outputs(loaded, batch)
    wanted, other = (zoo.outputs(model, batch, annotator_ids=index) for index in (3, 4))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    assert (got - other).abs().max() > 1e-2


@pytest.mark.identity("checkpointing")
# Transformers has renamed the method, and keeps the old name until version 6.
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable.*:FutureWarning")
@pytest.mark.parametrize("method", CHECKPOINTING)
def test_checkpointing_changes_no_gradient(zoo, main_case, method):
    if not zoo.make_backbone(main_case).supports_gradient_checkpointing:
        pytest.skip("no checkpointing in Transformers")
    wanted, calls, more_calls = _gradients_of_two_forwards(zoo, main_case, None)
    assert more_calls == calls
    got, calls, more_calls = _gradients_of_two_forwards(zoo, main_case, method)
    assert more_calls == 2 * calls, "nothing was computed again"
    assert got.keys() == wanted.keys()
    for name, gradient in wanted.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(got[name], gradient, atol=1e-6 * scale, rtol=1e-6, msg=name)


def _gradients_of_two_forwards(zoo, case, method: str | None):
    """Of a loss over two calls under different conditions, as in contrastive losses.

    Also how often an adapted layer was called until the backward pass, and until its end.
    """
    model, batch, calls = zoo.make_adapted(case).double().train(), zoo.make_batch(case), []
    if method is not None:
        getattr(model, method)()
    for module in model.modules():
        if isinstance(module, HyperAdapterLinear):
            module.register_forward_pre_hook(lambda *_: calls.append(1))
    first, second = (
        zoo.outputs(model, batch, annotator_ids=ids) for ids in (zoo.IDS, zoo.OTHER_IDS)
    )
    until_backward = len(calls)
    ((first - second).square() * _directions(first)).sum().backward()
    learned = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return {n: g for n, g in learned.items() if g is not None}, until_backward, len(calls)


def _directions(logits: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(logits.shape, generator=generator).to(logits.dtype)


@pytest.mark.identity("generation")
@pytest.mark.parametrize("way", WRITING)
@torch.no_grad()
def test_generating_for_a_mixed_batch_is_one_by_one(zoo, writing_case, way):
    # In float32: in float64 Gemma 2's own mask overflows where a row begins with padding.
    model, calls = zoo.make_adapted(writing_case), []
    ha.adapter_network(model).register_forward_hook(lambda *_: calls.append(1))
    # Decoders go on at the end of the prompt, so the padding is at its start.
    prompts = zoo.make_texts(left=writing_case.kind == zoo.DECODER)

    def write(batch, **conditions):
        written = model.generate(**batch, **conditions, **WRITING[way])
        return written[:, -LENGTH["max_new_tokens"] :].unflatten(0, (len(batch["input_ids"]), -1))

    together = write(prompts, annotator_ids=zoo.IDS)
    assert len(calls) == 1
    for row, index in enumerate(zoo.IDS):
        alone = write(zoo.row_of(prompts, row), annotator_ids=index.reshape(1))
        assert torch.equal(alone[0], together[row])
    assert not torch.equal(write(prompts, annotator_ids=zoo.OTHER_IDS), together)
    with model.disable_adapter():
        assert not torch.equal(write(prompts), together)


@pytest.mark.identity("removed")
@torch.no_grad()
def test_removing_it_leaves_the_backbone_as_it_was(zoo, case):
    plain, batch = zoo.make_backbone(case), zoo.make_batch(case)
    wanted = zoo.outputs(plain, batch)
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    model = get_peft_model(plain, zoo.make_adapter_config(case)).eval()
    # Without the head, which stays as it was trained when the adapter goes.
    zoo.randomise(ha.adapter_network(model))
    assert not torch.allclose(zoo.outputs(model, batch, annotator_ids=zoo.IDS), wanted)
    removed = model.unload()
    assert removed is plain
    after = removed.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert torch.equal(zoo.outputs(removed, batch), wanted)
