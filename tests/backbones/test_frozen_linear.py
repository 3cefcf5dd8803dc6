import copy

import pytest
import torch
from peft import get_peft_model
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

import hyperadapters as ha
from hyperadapters.backbones import (
    FrozenLinear,
    onednn,
    use_fast_products,
    use_plain_products,
)

pytestmark = pytest.mark.skipif(not onednn.is_there(), reason="this PyTorch has no oneDNN")
LARGE, SMALL = (64, 16, 128), (2, 3, 128)


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return nn.Linear(128, 192).requires_grad_(False)


@pytest.fixture
def fast(layer):
    made = copy.deepcopy(layer)
    use_fast_products(made)
    assert type(made) is FrozenLinear
    return made


@pytest.fixture
def counted(monkeypatch):
    """Every product that oneDNN takes is counted."""
    calls = []
    plain = onednn.linear

    def linear(*args):
        calls.append(args)
        return plain(*args)

    monkeypatch.setattr(onednn, "linear", linear)
    return calls


@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_the_layer(bias, counted):
    layer = nn.Linear(128, 192, bias=bias).requires_grad_(False)
    fast = copy.deepcopy(layer)
    use_fast_products(fast)
    x = torch.randn(*LARGE, requires_grad=True)
    weights = torch.randn(*LARGE[:-1], 192)
    made = []
    for module in (layer, fast):
        y = module(x)
        (gradient,) = torch.autograd.grad((y * weights).sum(), x)
        made.append((y, gradient))
    torch.testing.assert_close(made[1], made[0], atol=2e-5, rtol=1e-5)
    assert len(counted) == 2  # one forward, one backward


def test_a_gradient_that_is_laid_out_otherwise(layer, fast):
    x = torch.randn(*LARGE, requires_grad=True)
    wanted, found = (
        torch.autograd.grad(module(x).transpose(0, 1).square().sum(), x)[0]
        for module in (layer, fast)
    )
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-5)


def test_a_gradient_of_the_gradient(layer, fast):
    x = torch.randn(*LARGE, requires_grad=True)
    found = []
    for module in (layer, fast):
        (first,) = torch.autograd.grad(module(x).pow(3).sum(), x, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), x)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=found[0].abs().max() * 1e-5)


def test_small_products_are_the_layers_own(layer, fast, counted):
    x = torch.randn(*SMALL)
    assert torch.equal(fast(x), layer(x))
    assert not counted


def test_a_layer_that_is_trained_again_is_the_layer_it_was(layer, fast, counted):
    x = torch.randn(*LARGE)
    fast.requires_grad_(True)
    fast(x).sum().backward()
    assert fast.weight.grad is not None and fast.bias.grad is not None
    assert not counted
    fast.requires_grad_(False)
    fast.bias.requires_grad_(True)
    fast.bias.grad = None
    fast(x).sum().backward()
    assert fast.bias.grad is not None
    assert not counted
    with torch.no_grad():
        fast(x)
    assert len(counted) == 1


def test_other_types_and_autocast_are_the_layers_own(layer, fast, counted):
    x = torch.randn(*LARGE)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fast(x), layer(x))
    assert torch.equal(fast.double()(x.double()), layer.double()(x.double()))
    assert not counted


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compiled_traced_and_mapped_it_is_the_layers_own(layer, fast, counted):
    x = torch.randn(*LARGE)
    mapped = torch.func.vmap(fast)(x)
    torch.testing.assert_close(mapped, layer(x))
    compiled = torch.compile(fast, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x))
    traced = torch.jit.trace(fast, x, check_trace=False)
    assert "mkldnn" not in str(traced.graph)
    assert not counted


def test_a_changed_weight_is_seen(layer, fast):
    x = torch.randn(*LARGE)
    before = fast(x)
    with torch.no_grad():
        fast.weight.mul_(2)
        layer.weight.mul_(2)
    torch.testing.assert_close(fast(x), layer(x), atol=2e-5, rtol=1e-5)
    assert not torch.equal(before, fast(x))


def test_only_frozen_layers_that_are_plain_are_changed_and_all_are_changed_back():
    class Other(nn.Linear):
        pass

    frozen, trained, other = nn.Linear(3, 3), nn.Linear(3, 3), Other(3, 3)
    frozen.requires_grad_(False)
    other.requires_grad_(False)
    model = nn.Sequential(frozen, trained, other)
    names = list(model.state_dict())
    use_fast_products(model)
    assert [type(module) for module in model] == [FrozenLinear, nn.Linear, Other]
    assert all(isinstance(module, nn.Linear) for module in model)
    assert list(model.state_dict()) == names
    use_plain_products(model)
    assert [type(module) for module in model] == [nn.Linear, nn.Linear, Other]


def test_where_there_is_no_onednn_nothing_is_changed(layer, monkeypatch):
    monkeypatch.setattr(onednn, "is_there", lambda: False)
    use_fast_products(layer)
    assert type(layer) is nn.Linear


def test_an_adapted_model_uses_it_and_an_unloaded_one_does_not(counted):
    torch.manual_seed(0)
    shape = {"hidden_size": 96, "intermediate_size": 192, "num_attention_heads": 4}
    config = BertConfig(vocab_size=50, num_hidden_layers=2, num_labels=2, **shape)
    backbone = BertForSequenceClassification(config).eval()
    inputs = {"input_ids": torch.randint(50, (32, 20))}
    with torch.no_grad():
        plain = backbone(**inputs).logits
    adapter = ha.HyperAdapterConfig(
        task_type="SEQ_CLS", r=4, conditions={"annotator_ids": ha.Lookup(5)}
    )
    model = get_peft_model(backbone, adapter).eval()
    output = model(**inputs, annotator_ids=torch.arange(32) % 5, labels=torch.zeros(32).long())
    torch.testing.assert_close(output.logits, plain, atol=1e-5, rtol=1e-5)
    output.loss.backward()
    # 2 layers of 6 products; behind the first adapted module all but the head's have a gradient.
    assert len(counted) > 12
    unloaded = model.unload()
    counted.clear()
    with torch.no_grad():
        assert torch.equal(unloaded(**inputs).logits, plain)
    assert not counted
    assert not any(isinstance(module, FrozenLinear) for module in unloaded.modules())
