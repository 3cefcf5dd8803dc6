import copy

import pytest
import torch
from peft import get_peft_model
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
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


@pytest.mark.parametrize("kind", ["every other", "column", "one number"])
def test_a_bias_of_any_layout(layer, fast, kind):
    values = torch.randn(2 * 192)
    bias = {
        "every other": values[::2],
        "column": values.view(192, 2)[:, 1],
        "one number": torch.full((1,), 0.5).expand(192),
    }[kind]
    for module in (layer, fast):
        module.bias = nn.Parameter(bias, requires_grad=False)
    x = torch.randn(*LARGE)
    torch.testing.assert_close(fast(x), layer(x), atol=2e-5, rtol=1e-5)


def test_forward_mode_derivatives(layer, fast, counted):
    x, v = torch.randn(*LARGE), torch.randn(*LARGE)
    tangents = []
    for module in (layer, fast):
        with torch.autograd.forward_ad.dual_level():
            y = module(torch.autograd.forward_ad.make_dual(x, v))
            tangents.append(torch.autograd.forward_ad.unpack_dual(y).tangent)
    assert torch.equal(tangents[1], tangents[0])
    found = [torch.func.jvp(module, (x,), (v,))[1] for module in (layer, fast)]
    assert torch.equal(found[1], found[0]) and not counted


def test_where_operators_are_counted_they_are_the_layers_own(layer, fast, counted):
    x = torch.randn(*LARGE)
    found = []
    for module in (layer, fast):
        with FlopCounterMode(display=False) as counter:
            module(x)
        found.append(counter.get_total_flops())
    assert found[0] == found[1] > 0
    torch._C._set_mkldnn_enabled(False)
    try:
        fast(x)
    finally:
        torch._C._set_mkldnn_enabled(True)
    assert not counted


def test_a_weight_of_a_kind_of_its_own_says_what_a_product_is(fast, counted):
    class Doubled(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            with torch._C.DisableTorchFunctionSubclass():
                made = function(*args, **(kwargs or {}))
            return 2 * made if function is nn.functional.linear else made

    x = torch.randn(*LARGE)
    wanted = 2 * nn.functional.linear(x, fast.weight, fast.bias)
    weight = fast.weight.data.as_subclass(Doubled)
    del fast.weight
    fast.weight = weight
    torch.testing.assert_close(torch.Tensor(fast(x)), wanted)
    assert not counted


def test_a_method_that_somebody_has_bound_works_after_the_layer_is_plain_again(layer, fast):
    bound = fast.forward
    use_plain_products(fast)
    for shape in (SMALL, LARGE):
        x = torch.randn(*shape)
        torch.testing.assert_close(bound(x), layer(x), atol=2e-5, rtol=1e-5)


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
    use_plain_products(model)
    model.add_adapter("second", adapter)
    assert not any(isinstance(module, FrozenLinear) for module in model.modules())
    use_fast_products(model.get_base_model())
    unloaded = model.unload()
    counted.clear()
    with torch.no_grad():
        assert torch.equal(unloaded(**inputs).logits, plain)
    assert not counted
    assert not any(isinstance(module, FrozenLinear) for module in unloaded.modules())
