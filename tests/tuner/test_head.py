import pytest
import torch
from torch import nn

import hyperadapters as ha
from hyperadapters.tuner.head import find_head, freeze_outputs, head_layers

IDS = torch.tensor([2, -1, 0, 2, 6, -1])


@torch.no_grad()
def test_what_the_head_receives_against_a_loop(adapted, texts):
    model = adapted()
    inner, seen = model.get_base_model(), []
    inner.bert.pooler.register_forward_hook(lambda _, __, out: seen.append(out))
    logits = model(**texts(), annotator_ids=IDS).logits
    head = ha.adapter_network(model)({"annotator_ids": IDS}).head_per_row()
    shift, bias, gate, taste_in, taste_out, matrix = head
    assert matrix is None
    trained = inner.classifier.modules_to_save["default"]
    for row in range(6):
        h = seen[0][row] + shift[row]
        wanted = trained(h) + bias[row] + taste_out @ (gate[row] * (taste_in @ h))
        torch.testing.assert_close(logits[row], wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_head_of_several_layers_against_a_loop(adapted, texts):
    model = adapted("roberta")
    inner, seen = model.get_base_model(), []
    inner.roberta.register_forward_hook(lambda _, __, out: seen.append(out[0]))
    logits = model(**texts(), annotator_ids=IDS).logits
    head = ha.adapter_network(model)({"annotator_ids": IDS}).head_per_row()
    shift, bias, gate, taste_in, taste_out, matrix = head
    assert matrix is None
    trained = inner.classifier.modules_to_save["default"]
    for row in range(6):
        h = torch.tanh(trained.dense(seen[0][row, 0] + shift[row]))
        wanted = trained.out_proj(h) + bias[row] + taste_out @ (gate[row] * (taste_in @ h))
        torch.testing.assert_close(logits[row], wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta"])
@torch.no_grad()
def test_an_output_layer_of_its_own_against_a_loop(adapted, texts, family):
    only = {"source": "learned", "bias_source": "none", "shift": False, "taste_rank": 0}
    model, seen = adapted(family, output_source="per-condition", **only), []
    trained = model.get_base_model().classifier.modules_to_save["default"]
    last = head_layers(trained)[-1]
    last.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    logits = model(**texts(), annotator_ids=IDS).logits
    (stored,) = ha.adapter_network(model).outputs.values()
    weights = stored.weight.vectors.reshape(-1, *last.weight.shape)
    for row, index in enumerate(IDS.tolist()):
        if index >= 0:
            weight, bias = weights[index], stored.bias.vectors[index]
        else:
            weight, bias = weights.mean(dim=0), stored.bias.vectors.mean(dim=0)
        wanted = (last.weight + weight) @ seen[0][row] + last.bias + bias
        torch.testing.assert_close(logits[row], wanted, atol=1e-5, rtol=1e-5)


def test_freezing_the_output_layer(adapted):
    model = adapted("roberta")
    freeze_outputs(model.get_base_model(), "SEQ_CLS")
    head = model.get_base_model().classifier
    copies = [head.original_module, head.modules_to_save["default"]]
    assert not any(p.requires_grad for copied in copies for p in copied.out_proj.parameters())
    assert all(p.requires_grad for p in copies[1].dense.parameters())
    freeze_outputs(model.get_base_model(), "CAUSAL_LM")  # has none


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_finding_the_head(backbone, family):
    model = backbone(family)
    assert find_head(model, "SEQ_CLS") == "classifier"
    assert find_head(model, "CAUSAL_LM") is None
    assert next(iter(head_layers(model.classifier))).in_features == 32
    assert find_head(model.base_model, "SEQ_CLS") is None
    assert head_layers(nn.ReLU()) == []


@torch.no_grad()
def test_the_head_that_peft_trains_is_the_one_that_is_hooked(adapted):
    inner = adapted().get_base_model()
    hooked = [n for n, m in inner.named_modules() if m._forward_hooks or m._forward_pre_hooks]
    assert hooked == ["classifier.original_module", "classifier.modules_to_save.default"]
