"""Gradient checkpointing: what is computed again is computed under the conditions of its call."""

import copy
import functools
import inspect
from contextlib import contextmanager, nullcontext

import pytest
import torch
from peft import get_peft_model
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

import hyperadapters as ha
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.tuner.checkpointing import FUNCTION
from hyperadapters.tuner.conditioning import conditioning_of

IDS = torch.tensor([3, -1, 0, 5])
FAMILIES = ["BERT", "Llama", "T5", "BART"]
families = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture
def adapted(zoo):
    def make(family="Llama", **changes):
        case = zoo.Case(family, zoo.FAMILIES[family].heads[0])
        return zoo.make_adapted(case, **changes).train(), zoo.make_batch(case)

    return make


@pytest.fixture
def gradients(zoo):
    """Of the losses of several calls, by name, after one backward pass (or one for each)."""

    def compute(model, batch, *conditions, at_once=True):
        losses = []
        for ids in conditions:
            output = zoo.outputs(model, batch, annotator_ids=ids)
            losses.append(output.square().mean())
            if not at_once:
                losses.pop().backward()
        if at_once:
            sum(losses).backward()
        assert conditioning_of(model).active is None
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    return compute


def same(got, wanted):
    assert got.keys() == wanted.keys() and wanted
    for name in wanted:
        torch.testing.assert_close(got[name], wanted[name], atol=1e-5, rtol=1e-3)


def count_of_layer_runs(model) -> list:
    runs = []
    module = next(m for m in model.modules() if type(m).__name__ == "HyperAdapterLinear")
    module.register_forward_hook(lambda *_: runs.append(1))
    return runs


@families
@pytest.mark.parametrize("at_once", [True, False])
def test_two_calls_and_one_backward_pass(adapted, gradients, family, at_once):
    calls = (IDS, IDS.flip(0), 2)
    model, batch = adapted(family)
    wanted = gradients(model, batch, *calls, at_once=at_once)
    model, batch = adapted(family)
    model.get_base_model().activation_checkpointing_enable()
    runs = count_of_layer_runs(model)
    same(gradients(model, batch, *calls, at_once=at_once), wanted)
    assert len(runs) == 6  # so it did run again


@families
def test_switched_on_before(zoo, adapted, gradients, family):
    model, batch = adapted(family)
    wanted = gradients(model, batch, IDS, IDS.flip(0))
    case = zoo.Case(family, zoo.FAMILIES[family].heads[0])
    backbone = zoo.make_backbone(case)
    backbone.activation_checkpointing_enable()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(backbone, zoo.make_adapter_config(case)).train()
    zoo.randomise(model)
    runs = count_of_layer_runs(model)
    same(gradients(model, batch, IDS, IDS.flip(0)), wanted)
    assert len(runs) == 4


def test_the_users_own_context_is_kept(adapted, gradients):
    model, batch = adapted()
    wanted, entered = gradients(model, batch, IDS, IDS.flip(0)), []

    @contextmanager
    def noted(name):
        entered.append(name)
        yield

    model, batch = adapted()
    options = {
        "use_reentrant": False,
        "context_fn": lambda: (noted("first"), noted("again")),
    }
    model.get_base_model().activation_checkpointing_enable(options)
    same(gradients(model, batch, IDS, IDS.flip(0)), wanted)
    assert entered.count("first") == entered.count("again") == 4


def test_other_options_are_kept(adapted, gradients):
    model, batch = adapted()
    wanted = gradients(model, batch, IDS)
    model, batch = adapted()
    options = {"use_reentrant": False, "determinism_check": "none", "preserve_rng_state": False}
    model.get_base_model().activation_checkpointing_enable(options)
    functions = [vars(m)[FUNCTION] for m in model.modules() if FUNCTION in vars(m)]
    assert all(f.original.keywords == options for f in functions) and functions
    same(gradients(model, batch, IDS), wanted)


@pytest.mark.skipif(
    "every_n_layers"
    not in inspect.signature(PreTrainedModel.activation_checkpointing_enable).parameters,
    reason="this version of Transformers checkpoints all layers or none",
)
def test_only_some_layers(adapted, gradients):
    model, batch = adapted()
    wanted = gradients(model, batch, IDS, 2)
    model, batch = adapted()
    model.get_base_model().activation_checkpointing_enable(every_n_layers=2)
    same(gradients(model, batch, IDS, 2), wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="memory is pinned for an accelerator")
def test_offloading(adapted, gradients):
    model, batch = adapted()
    wanted = gradients(model, batch, IDS, 2)
    model, batch = adapted()
    model.get_base_model().activation_checkpointing_enable(offload=True)
    same(gradients(model, batch, IDS, 2), wanted)


def test_a_function_of_the_users_own(adapted, gradients):
    # What `offload=True` makes: a function around `checkpoint` that is no partial of it.
    model, batch = adapted()
    wanted = gradients(model, batch, IDS, 2)
    model, batch = adapted()
    calls = []

    def aside(function, *args, **kwargs):
        calls.append(1)
        with torch.autograd.graph.save_on_cpu():
            return checkpoint(function, *args, **kwargs)

    for function in (aside, functools.partial(aside, use_reentrant=False)):
        model.get_base_model()._set_gradient_checkpointing(True, function)
        same(gradients(model, batch, IDS, 2), wanted)
        model.zero_grad()
    assert len(calls) == 8


@pytest.mark.parametrize("when", ["before", "after"])
def test_reentrant_checkpointing_is_refused(zoo, when):
    case, options = zoo.Case("Llama", "CAUSAL_LM"), {"use_reentrant": True}
    backbone = zoo.make_backbone(case)
    if when == "before":
        backbone.activation_checkpointing_enable(options)
        with pytest.raises(ConfigError, match="reentrant gradient checkpointing loses the grad"):
            get_peft_model(backbone, zoo.make_adapter_config(case))
        return
    model = get_peft_model(backbone, zoo.make_adapter_config(case))
    with pytest.raises(ConfigError, match=r"\{'use_reentrant': False\}"):
        model.get_base_model().activation_checkpointing_enable(options)
    assert not any(getattr(m, "gradient_checkpointing", False) for m in backbone.modules())


def test_off_and_on_again(adapted, gradients):
    model, batch = adapted()
    wanted = gradients(model, batch, IDS, 2)
    model, batch = adapted()
    runs, inner = count_of_layer_runs(model), model.get_base_model()
    for switch, count in (
        (inner.activation_checkpointing_enable, 4),
        (inner.activation_checkpointing_disable, 2),
        (inner.activation_checkpointing_enable, 4),
    ):
        switch()
        model.zero_grad()
        runs.clear()
        same(gradients(model, batch, IDS, 2), wanted)
        assert len(runs) == count


@pytest.mark.parametrize("when", ["before", "after"])
def test_unload_gives_the_plain_functions_back(zoo, when):
    case = zoo.Case("Llama", "CAUSAL_LM")
    backbone = zoo.make_backbone(case)
    if when == "before":
        backbone.activation_checkpointing_enable()
    model = get_peft_model(backbone, zoo.make_adapter_config(case))
    if when == "after":
        backbone.activation_checkpointing_enable()
    model.add_adapter("second", zoo.make_adapter_config(case))
    unloaded = model.unload()
    assert "_set_gradient_checkpointing" not in vars(unloaded)
    functions = [vars(m)[FUNCTION] for m in unloaded.modules() if FUNCTION in vars(m)]
    assert functions and all(isinstance(f, functools.partial) for f in functions)
    assert all(f.func is checkpoint for f in functions)
    for parameter in unloaded.parameters():
        parameter.requires_grad_(True)
    batch = zoo.make_batch(case)
    unloaded.train()(**batch, labels=batch["input_ids"], use_cache=False).loss.backward()


def test_backward_sees_what_forward_saw_whatever_holds_by_then(zoo, adapted, gradients):
    model, batch = adapted()
    wanted = gradients(model, batch, IDS)
    model, batch = adapted()
    model.get_base_model().activation_checkpointing_enable()
    for around in (
        lambda: model.disable_adapter(),
        lambda: ha.conditioned(model, annotator_ids=5),
        nullcontext,
    ):
        model.zero_grad()
        loss = zoo.outputs(model, batch, annotator_ids=IDS).square().mean()
        with around():
            before = conditioning_of(model).active, conditioning_of(model).enabled
            loss.backward()
            assert (conditioning_of(model).active, conditioning_of(model).enabled) == before
        same({n: p.grad for n, p in model.named_parameters() if p.grad is not None}, wanted)


def test_a_disabled_call_is_run_again_disabled(zoo, adapted):
    model, batch = adapted()
    inner = model.get_base_model()
    inner.activation_checkpointing_enable()
    embeds = inner.model.embed_tokens(batch["input_ids"]).detach().requires_grad_()
    given = {"inputs_embeds": embeds, "attention_mask": batch["attention_mask"]}
    with model.disable_adapter():
        loss = zoo.outputs(model, given).square().mean()
    loss.backward()
    got, embeds.grad = embeds.grad, None
    plain = zoo.make_backbone(zoo.Case("Llama", "CAUSAL_LM"))
    zoo.outputs(plain, given).square().mean().backward()
    torch.testing.assert_close(got, embeds.grad, atol=1e-5, rtol=1e-4)


def test_a_checkpoint_of_someone_elses_is_an_error_and_not_wrong(zoo, adapted):
    model, batch = adapted()
    for module in model.modules():
        if hasattr(module, "gradient_checkpointing"):
            setattr(module, FUNCTION, functools.partial(checkpoint, use_reentrant=False))
            module.gradient_checkpointing = True
    loss = zoo.outputs(model, batch, annotator_ids=IDS).square().mean()
    with pytest.raises(ConditionError, match="a checkpointed layer is run again in the backward"):
        loss.backward()


@torch.no_grad()
def test_writing_in_training_mode(zoo, adapted):
    model, _ = adapted()
    left = zoo.make_texts(left=True)
    options = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False, "use_cache": False}
    wanted = model.eval().generate(**left, annotator_ids=IDS, **options)
    model.train().get_base_model().activation_checkpointing_enable()
    got = model.generate(**left, annotator_ids=IDS, **options)
    assert torch.equal(got, wanted)


def test_a_copy_has_checkpoints_of_its_own(adapted, gradients):
    model, batch = adapted()
    wanted = gradients(model, batch, IDS, 2)
    model, batch = adapted()
    model.get_base_model().activation_checkpointing_enable()
    copied = copy.deepcopy(model)
    same(gradients(copied, batch, IDS, 2), wanted)
    model.unload()
    copied.zero_grad()
    same(gradients(copied, batch, IDS, 2), wanted)
