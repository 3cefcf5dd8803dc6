"""A bottleneck beside a sub-layer: against a slow reference, and gone when it should be."""

import copy

import pytest
import torch
from peft import PeftModel

import hyperadapters as ha
from hyperadapters import Group
from hyperadapters.errors import AdapterShapeError, ConditionError, SiteError
from hyperadapters.tuner.conditioning import conditioning_of

IDS = torch.tensor([3, -1, 0, 5])
BOTTLENECK = {"form": "bottleneck", "width": 6}
FAMILIES = ["BERT", "BART", "T5", "Llama", "GPT-2", "Gemma 2"]
ACTIVATIONS = {
    "gelu": torch.nn.functional.gelu,
    "relu": torch.relu,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
}

families = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture
def adapted(zoo):
    def make(family="BERT", **changes):
        case = zoo.Case(family, zoo.FAMILIES[family].heads[0])
        flat = {} if "groups" in changes else BOTTLENECK
        return zoo.make_adapted(case, **{**flat, **changes}), zoo.make_batch(case)

    return make


def spans_of(model) -> list:
    return list(model.base_model.hyperadapter_spans.values())


def hooked(model) -> list[str]:
    return [n for n, m in model.named_modules() if m._forward_hooks or m._forward_pre_hooks]


def add_by_hand(model, readers, writers, weights, activation, scale):
    """Hooks on the plain model that add, row by row, what the bottlenecks should."""
    for site, (reader, writer) in enumerate(zip(readers, writers, strict=True)):
        read = []

        def keep(_, args, kwargs, read=read):
            read.append(kwargs.get("hidden_states", args[0] if args else None))

        def add(_, args, output, read=read, site=site):
            x, result = read.pop(), output[0] if isinstance(output, tuple) else output
            down, e, up, u, _ = (None if t is None else t.double() for t in weights.at(0, site))
            rows = [
                result[i] + scale * (activation(x[i] @ down[i].T + e[i]) @ up[i].T + u[i])
                for i in range(len(x))
            ]
            added = torch.stack(rows)
            return (added, *output[1:]) if isinstance(output, tuple) else added

        model.get_submodule(reader).register_forward_pre_hook(keep, with_kwargs=True)
        model.get_submodule(writer).register_forward_hook(add)


@families
@pytest.mark.parametrize("activation", ACTIVATIONS)
@torch.no_grad()
def test_against_a_loop_over_rows(zoo, adapted, family, activation):
    scale = 0.7
    group = Group(form="bottleneck", width=6, activation=activation, scale=scale)
    model, batch = adapted(family, groups=[group], bias_source="none", shift=False, taste_rank=0)
    model.double()
    got = zoo.outputs(model, batch, annotator_ids=IDS)
    spans = model.base_model.hyperadapter_spans
    readers, writers = zip(*(key.replace("/", ".").split(">") for key in spans), strict=True)
    case = zoo.Case(family, zoo.FAMILIES[family].heads[0])
    plain = zoo.make_backbone(case).double()
    if case.head == "SEQ_CLS":
        plain.classifier = model.get_base_model().classifier.modules_to_save["default"]
        for hooks in (plain.classifier._forward_hooks, plain.classifier._forward_pre_hooks):
            hooks.clear()
    without = zoo.outputs(plain, batch)
    weights = ha.adapter_network(model)({"annotator_ids": IDS})
    add_by_hand(plain, readers, writers, weights, ACTIVATIONS[activation], scale)
    torch.testing.assert_close(got, zoo.outputs(plain, batch), atol=1e-8, rtol=1e-8)
    assert not torch.allclose(got, without, atol=1e-2)


@families
@torch.no_grad()
def test_unload_leaves_nothing(zoo, adapted, family):
    model, batch = adapted(family)
    case = zoo.Case(family, zoo.FAMILIES[family].heads[0])
    plain = zoo.make_backbone(case)
    inner = model.get_base_model()
    assert len(hooked(inner)) >= 2
    if case.head == "SEQ_CLS":
        inner.classifier.modules_to_save["default"].load_state_dict(plain.classifier.state_dict())
    unloaded = model.unload()
    assert unloaded is inner and hooked(unloaded) == []
    mine, theirs = unloaded.state_dict(), plain.state_dict()
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert torch.equal(zoo.outputs(unloaded, batch), zoo.outputs(plain, batch))


@families
@torch.no_grad()
def test_disabled_is_the_backbone_exactly(zoo, adapted, family):
    # Without a LoRA there is no wrapped layer by which PEFT would know that there is an adapter.
    model, batch = adapted(family)
    before = zoo.outputs(model, batch, annotator_ids=IDS)
    with model.disable_adapter():
        assert not model.get_model_status().enabled
        got = zoo.outputs(model, batch)
    case = zoo.Case(family, zoo.FAMILIES[family].heads[0])
    assert torch.equal(got, zoo.outputs(zoo.make_backbone(case), batch))
    assert torch.equal(zoo.outputs(model, batch, annotator_ids=IDS), before)
    with pytest.raises(ConditionError, match="missing condition"):
        model(**batch)


def test_status(adapted):
    model, _ = adapted("Llama")
    status = model.get_model_status()
    assert status.num_adapter_layers == 2 and status.enabled is True
    assert status.active_adapters == status.available_adapters == ["default"]
    assert {layer.module_type for layer in model.get_layer_status()} == {"Span"}
    assert "Span" not in repr(model.get_base_model())


@torch.no_grad()
def test_several_adapters(zoo, adapted):
    model, batch = adapted("Llama")
    first = zoo.outputs(model, batch, annotator_ids=IDS)
    case = zoo.Case("Llama", "CAUSAL_LM")
    second = {"conditions": {"task": ha.Lookup(3)}, "layers_to_transform": [1]}
    model.add_adapter("second", zoo.make_adapter_config(case, **BOTTLENECK, **second))
    assert len(spans_of(model)) == 2
    model.set_adapter("second")
    zoo.randomise(model, 5)
    model.eval()
    tasks = [0, 1, 2, 0]
    other = zoo.outputs(model, batch, task=tasks)
    model.base_model.set_adapter(["default", "second"])
    assert model.get_model_status().active_adapters == ["default", "second"]
    both = zoo.outputs(model, batch, task=tasks, annotator_ids=IDS)
    assert not any(torch.allclose(both, one) for one in (first, other))
    model.set_adapter("default")
    assert torch.equal(zoo.outputs(model, batch, annotator_ids=IDS), first)
    model.delete_adapter("default")
    # Of the layer that only this one had adapted, nothing is left.
    assert len(spans_of(model)) == 1
    assert [n for n in hooked(model.get_base_model()) if "layers.0" in n] == []
    assert torch.equal(zoo.outputs(model, batch, task=tasks), other)


@torch.no_grad()
def test_an_adapter_that_could_not_be_added_leaves_nothing(zoo, adapted):
    model, batch = adapted("Llama")
    wanted = zoo.outputs(model, batch, annotator_ids=IDS)
    case = zoo.Case("Llama", "CAUSAL_LM")
    good = [Group(form="bottleneck", width=3), Group(r=2)]
    with pytest.raises(SiteError, match="match nothing"):
        groups = [*good, Group(target_modules=["no_such"])]
        model.add_adapter("second", zoo.make_adapter_config(case, groups=groups))
    assert model.get_model_status().available_adapters == ["default"]
    assert torch.equal(zoo.outputs(model, batch, annotator_ids=IDS), wanted)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.add_adapter("second", zoo.make_adapter_config(case, groups=good))
    model.set_adapter("second")
    zoo.randomise(model)
    alone = zoo.make_adapted(case, groups=good)
    got = zoo.outputs(model.eval(), batch, annotator_ids=IDS)
    torch.testing.assert_close(got, zoo.outputs(alone, batch, annotator_ids=IDS))


@torch.no_grad()
def test_a_deep_copy_is_its_own(zoo, adapted):
    model, batch = adapted("GPT-2")
    wanted = zoo.outputs(model, batch, annotator_ids=IDS)
    copied = copy.deepcopy(model)
    assert torch.equal(zoo.outputs(copied, batch, annotator_ids=IDS), wanted)
    zoo.randomise(copied, 7)
    changed = zoo.outputs(copied, batch, annotator_ids=IDS)
    assert not torch.allclose(changed, wanted)
    assert torch.equal(zoo.outputs(model, batch, annotator_ids=IDS), wanted)
    model.unload()
    assert torch.equal(zoo.outputs(copied, batch, annotator_ids=IDS), changed)
    assert hooked(copied.unload()) == []


@torch.no_grad()
def test_a_folder(zoo, adapted, tmp_path):
    model, batch = adapted("Gemma 2")
    wanted = zoo.outputs(model, batch, annotator_ids=IDS)
    model.save_pretrained(str(tmp_path))
    backbone = zoo.make_backbone(zoo.Case("Gemma 2", "CAUSAL_LM"))
    loaded = PeftModel.from_pretrained(backbone, str(tmp_path))
    assert torch.equal(zoo.outputs(loaded, batch, annotator_ids=IDS), wanted)


@torch.no_grad()
def test_an_input_of_another_width(adapted):
    model, _ = adapted("BERT")
    layer = model.get_base_model().bert.encoder.layer[0]
    span = spans_of(model)[0]
    for given, shape in (((torch.zeros(2, 3, 31),), r"\(2, 3, 31\)"), ((), "None")):
        with (
            ha.conditioned(model, annotator_ids=1),
            pytest.raises(AdapterShapeError, match=f"got an input of shape {shape}, wanted .* 32"),
        ):
            span.read(layer.intermediate, given, {})
    assert span._input is None


@pytest.mark.parametrize("place", ["intermediate", "output.dense", "output"])
def test_nothing_is_left_of_a_call_that_failed(zoo, adapted, place):
    model, batch = adapted("BERT")
    wanted = zoo.outputs(model, batch, annotator_ids=IDS)
    layer = model.get_base_model().bert.encoder.layer[1]
    handle = layer.get_submodule(place).register_forward_pre_hook(lambda *_: 1 / 0)
    for given in ({"annotator_ids": IDS}, {}):
        with pytest.raises((ZeroDivisionError, ConditionError)):
            model(**batch, **given)
        assert all(span._input is None for span in spans_of(model))
    handle.remove()
    # What is left of a graph could not be copied.
    copied = copy.deepcopy(model)
    for one in (model, copied):
        assert torch.equal(zoo.outputs(one, batch, annotator_ids=IDS), wanted)


@families
def test_under_checkpointing(zoo, adapted, family):
    gradients = []
    for checkpointing in (False, True):
        model, batch = adapted(family)
        model.train()
        if checkpointing:
            model.get_base_model().activation_checkpointing_enable()
        loss = 0.0
        for ids in (IDS, IDS.flip(0)):
            loss = loss + zoo.outputs(model, batch, annotator_ids=ids).square().mean()
        loss.backward()
        assert all(span._input is None for span in spans_of(model))
        assert conditioning_of(model).active is None
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert gradients[0]
    for without, with_it in zip(*gradients, strict=True):
        torch.testing.assert_close(with_it, without, atol=1e-5, rtol=1e-3)
