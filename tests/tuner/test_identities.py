"""What must hold exactly, whatever is learned."""

import pytest
import torch
from torch import nn

from hyperadapters import Group, adapter_network
from hyperadapters.tuner.layer import HyperAdapterLinear

PUBLISHED = {"hypernetwork": "two-tower", "bias_source": "none", "shift": False}
TEXT_ONLY = {"source": "learned", "bias_source": "none", "shift": False}
INTERCEPT = {"source": "learned", "bias_source": "per-condition", "shift": False}
VARIANTS = {
    "ours": {},
    "basis": {"hypernetwork": "basis"},
    "chunked": {"hypernetwork": "chunked", "chunk_width": 10},
    "hyperfan": {"start": "hyperfan-in"},
    "as LoRA starts": {"start": "lora"},
    "bottleneck": {"form": "bottleneck", "width": 6},
    "gains": {"gains": True, "r": 4},
    "stored": {"source": "per-condition"},
    "two groups": {
        "groups": [
            Group(form="bottleneck", source="learned", width=5),
            Group(r=3, rank_pattern={"value": 2}, layers_to_transform=[1]),
        ]
    },
    "published": PUBLISHED,
    "text-only": TEXT_ONLY,
    "intercept": INTERCEPT,
    "upper layer": {"deviating_layers": [1]},
    "B alone": {"generate_a": False},
    "everywhere": {"target_modules": "all-linear"},
}
IDS = torch.tensor([2, -1, 0, 2, 6, -1])

variants = pytest.mark.parametrize("variant", VARIANTS)
families = pytest.mark.parametrize("family", ["bert", "roberta"])


@families
@variants
@torch.no_grad()
def test_a_mixed_batch_is_one_by_one(adapted, texts, family, variant):
    # In float64, so that nothing but a mistake makes a difference.
    model, batch = adapted(family, **VARIANTS[variant]).double(), texts()
    together = model(**batch, annotator_ids=IDS).logits
    for row, index in enumerate(IDS):
        length = int(batch["attention_mask"][row].sum())
        alone = {name: value[row : row + 1, :length] for name, value in batch.items()}
        for given in (index, index.reshape(1)):
            got = model(**alone, annotator_ids=given).logits[0]
            torch.testing.assert_close(got, together[row], atol=1e-9, rtol=1e-9)
    # The test would see a mix-up: the same text gets other logits from another annotator.
    others = model(**batch, annotator_ids=(IDS + 1) % 7).logits
    assert ((others - together).abs().amax(dim=1) > 1e-3).all() == (variant != "text-only")


@families
@torch.no_grad()
def test_order_of_rows_does_not_matter(adapted, texts, family):
    model, batch = adapted(family), texts()
    logits = model(**batch, annotator_ids=IDS).logits
    for order in ([5, 4, 3, 2, 1, 0], [2, 0, 1, 5, 3, 4], [0, 0, 3, 3, 3, 1]):
        moved = {name: value[order] for name, value in batch.items()}
        got = model(**moved, annotator_ids=IDS[order]).logits
        torch.testing.assert_close(got, logits[order], atol=1e-5, rtol=1e-5)


@families
@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - {"hyperfan"}))
@torch.no_grad()
def test_it_starts_as_the_backbone_exactly(adapted, backbone, texts, family, variant):
    model, batch = adapted(family, random=False, **VARIANTS[variant]), texts()
    assert torch.equal(model(**batch, annotator_ids=IDS).logits, backbone(family)(**batch).logits)


@families
@torch.no_grad()
def test_nobody_is_answered_for_by_the_shared_adapter(adapted, texts, family):
    ours, shared, batch = adapted(family), adapted(family, **TEXT_ONLY), texts()
    source = adapter_network(ours).sources[0].source.shared
    adapter_network(shared).sources[0].source.load_state_dict(source.state_dict())
    head = ours.get_base_model().classifier.state_dict()
    shared.get_base_model().classifier.load_state_dict(head)
    wanted = shared(**batch).logits
    assert torch.equal(ours(**batch, annotator_ids=-1).logits, wanted)
    mixed = ours(**batch, annotator_ids=IDS).logits
    torch.testing.assert_close(mixed[[1, 5]], wanted[[1, 5]], atol=1e-5, rtol=1e-5)
    assert (mixed - wanted).abs().amax(dim=1)[[0, 2, 3, 4]].min() > 1e-3


@torch.no_grad()
def test_correction_of_every_layer_against_a_loop(adapted, texts):
    model, calls = adapted(), []
    layers = [m for m in model.modules() if isinstance(m, HyperAdapterLinear)]
    assert len(layers) == 4
    for layer in layers:
        layer.register_forward_hook(lambda m, args, out: calls.append((m, args[0], out)))
    model(**texts(), annotator_ids=IDS)
    weights = adapter_network(model)({"annotator_ids": IDS})
    assert [layer for layer, _, _ in calls] == layers
    for site, (layer, x, y) in enumerate(calls):
        a, b, _ = weights.at(0, site)
        for row in range(len(IDS)):
            wanted = layer.base_layer(x[row]) + 16 / 2 * x[row] @ a[row].T @ b[row].T
            torch.testing.assert_close(y[row], wanted, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_one_pass_of_the_backbone_for_any_mixture(adapted, texts):
    model, rows = adapted(), []
    key = model.get_base_model().bert.encoder.layer[0].attention.self.key
    key.register_forward_hook(lambda _, args, __: rows.append(args[0].shape[0]))
    for ids in (IDS, torch.arange(6), torch.zeros(6, dtype=torch.long)):
        model(**texts(), annotator_ids=ids)
    assert rows == [6, 6, 6]


@torch.no_grad()
def test_the_hypernetwork_sees_distinct_annotators_only(adapted, texts):
    model, seen = adapted(), []
    hypernetwork = adapter_network(model).sources[0].source
    hypernetwork.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[0]))
    model(**texts(), annotator_ids=IDS)
    model(**texts(), annotator_ids=3)
    assert seen == [4, 1]


@torch.no_grad()
def test_lora_dropout_in_training_only(adapted, texts):
    model = adapted(lora_dropout=0.5)
    for module in model.get_base_model().modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    still, other = (model(**texts(), annotator_ids=IDS).logits for _ in range(2))
    assert torch.equal(still, other)
    model.train()
    assert not torch.equal(model(**texts(), annotator_ids=IDS).logits, still)


@torch.no_grad()
def test_embeddings_as_input(adapted, texts):
    model, batch = adapted(), texts()
    embeds = model.get_base_model().bert.embeddings.word_embeddings(batch["input_ids"])
    given = {"inputs_embeds": embeds, "attention_mask": batch["attention_mask"]}
    wanted = model(**batch, annotator_ids=IDS).logits
    torch.testing.assert_close(model(**given, annotator_ids=IDS).logits, wanted)


@families
@pytest.mark.parametrize("wrapped_first", [True, False])
@torch.no_grad()
def test_half_precision(adapted, backbone, config, texts, randomised, family, wrapped_first):
    from peft import get_peft_model

    if wrapped_first:
        model = adapted(family).to(torch.bfloat16)
    else:
        model = get_peft_model(backbone(family).to(torch.bfloat16), config()).eval()
        randomised(model)
        network = adapter_network(model)
        assert {p.dtype for p in network.parameters()} == {torch.float32}
    logits = model(**texts(), annotator_ids=IDS).logits
    assert logits.dtype == torch.bfloat16
    exact = model.to(torch.float32)(**texts(), annotator_ids=IDS).logits
    torch.testing.assert_close(logits.float(), exact, atol=0.5, rtol=0.1)
