import copy
import inspect

import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from peft import get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

import hyperadapters as ha
from hyperadapters import HyperAdapterConfig, Lookup
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.tuner import HyperAdapterModel

IDS = torch.tensor([2, -1, 0, 2, 6, -1])


def parameters_of(model) -> list[str]:
    return list(inspect.signature(model.forward).parameters)


def test_the_signature_names_the_conditions(adapted, backbone):
    plain, inner = parameters_of(backbone()), parameters_of(adapted().get_base_model())
    assert plain[-1] == "kwargs"
    assert inner == [*plain[:-1], "annotator_ids", "kwargs"]


def test_a_condition_may_not_hide_an_argument_of_the_model(adapted):
    with pytest.raises(ConfigError, match=r"be called token_type_ids: BertForSequence\w+\.forward"):
        adapted(conditions={"token_type_ids": Lookup(2)})


@torch.no_grad()
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_unload_gives_the_plain_model_back(adapted, backbone, texts, family):
    plain, model = backbone(family), adapted(family, random=False)
    before = model.get_base_model()
    unloaded = model.unload()
    assert unloaded is before
    assert parameters_of(unloaded) == parameters_of(plain)
    assert "forward" not in vars(unloaded) and "generate" not in vars(unloaded)
    mine, theirs = unloaded.state_dict(), plain.state_dict()
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert torch.equal(unloaded(**texts()).logits, plain(**texts()).logits)
    hooked = [m for m in unloaded.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert hooked == []
    with pytest.raises(ConditionError, match="has no hyperadapter"):
        ha.adapter_network(unloaded)


@torch.no_grad()
def test_unload_keeps_the_trained_head_as_peft_does(adapted, texts):
    model = adapted()
    trained = model.get_base_model().classifier.modules_to_save["default"].weight.clone()
    with model.disable_adapter():
        frozen = model(**texts()).logits
    unloaded = model.unload()
    assert torch.equal(unloaded.classifier.weight, trained)
    assert not torch.equal(unloaded(**texts()).logits, frozen)


def test_there_is_nothing_to_merge(adapted):
    with pytest.raises(ConfigError, match="differ from row to row"):
        adapted().merge_and_unload()


@torch.no_grad()
def test_a_deep_copy_is_the_same_and_its_own(adapted, texts, randomised):
    model = adapted()
    wanted = model(**texts(), annotator_ids=IDS).logits
    copied = copy.deepcopy(model)
    assert torch.equal(copied(**texts(), annotator_ids=IDS).logits, wanted)
    with ha.conditioned(model, annotator_ids=0), pytest.raises(ConditionError):
        copied(**texts())
    randomised(copied, seed=5)
    changed = copied(**texts(), annotator_ids=IDS).logits
    assert not torch.allclose(changed, wanted)
    assert torch.equal(model(**texts(), annotator_ids=IDS).logits, wanted)
    model.unload()
    assert torch.equal(copied(**texts(), annotator_ids=IDS).logits, changed)
    copied.unload()(**texts())


@torch.no_grad()
def test_entry_points_of_the_instance_are_kept(backbone, config, texts):
    plain = backbone()
    add_hook_to_module(plain, AlignDevicesHook(io_same_device=True))
    hooked = vars(plain)["forward"]
    model = get_peft_model(plain, config()).eval()
    assert "annotator_ids" in parameters_of(plain)
    wanted = backbone()(**texts()).logits
    assert torch.equal(model(**texts(), annotator_ids=IDS).logits, wanted)
    assert vars(model.unload())["forward"] is hooked


@pytest.fixture(scope="module")
def writer():
    """A decoder that writes, adapted, with weights that matter."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2}
    plain = LlamaForCausalLM(
        LlamaConfig(**sizes, num_attention_heads=4, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    )
    config = HyperAdapterConfig(
        task_type="CAUSAL_LM",
        r=2,
        target_modules=["q_proj", "v_proj"],
        conditions={"annotator_ids": Lookup(7)},
    )
    model = get_peft_model(plain, config).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("beams", [1, 3])
@torch.no_grad()
def test_generating_for_several_annotators_is_one_by_one(writer, beams):
    prompts = torch.randint(3, 40, (4, 5), generator=torch.Generator().manual_seed(1))
    ids = torch.tensor([3, -1, 0, 3])
    options = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False, "num_beams": beams}

    def write(rows: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        mask = torch.ones_like(rows)
        return writer.generate(input_ids=rows, attention_mask=mask, annotator_ids=given, **options)

    together = write(prompts, ids)
    for row in range(4):
        assert torch.equal(write(prompts[row : row + 1], ids[row])[0], together[row])
    assert not torch.equal(write(prompts, (ids + 2) % 7), together)
    with pytest.raises(ConditionError, match="missing condition"):
        writer.generate(input_ids=prompts, attention_mask=torch.ones_like(prompts), **options)


@torch.no_grad()
def test_generating_calls_the_hypernetwork_once(writer):
    calls = []
    handle = ha.adapter_network(writer).register_forward_hook(lambda *_: calls.append(1))
    prompt = torch.full((2, 4), 7)
    writer.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        annotator_ids=torch.tensor([0, 1]),
        max_new_tokens=6,
        min_new_tokens=6,
    )
    handle.remove()
    assert calls == [1]


def test_a_deep_copy_in_the_middle_of_training(adapted, texts):
    model = adapted().train()
    model(**texts(), annotator_ids=IDS, labels=torch.arange(6) % 3)
    copied = copy.deepcopy(model.eval())
    wanted = model(**texts(), annotator_ids=IDS).logits
    assert torch.equal(copied(**texts(), annotator_ids=IDS).logits, wanted)


@torch.no_grad()
def test_the_tuner_without_a_peft_model_leaves_the_head_as_it_was(backbone, config, texts):
    plain = backbone()
    wanted = plain(**texts()).logits
    tuner = HyperAdapterModel(plain, config(), "default")
    torch.nn.init.normal_(ha.adapter_network(tuner).encoders["annotator_ids"].vectors)
    assert not torch.allclose(plain(**texts(), annotator_ids=IDS).logits, wanted)
    assert tuner.unload() is plain
    assert not plain.classifier._forward_hooks and not plain.classifier._forward_pre_hooks
    assert torch.equal(plain(**texts()).logits, wanted)
