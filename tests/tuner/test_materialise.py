"""One condition merged into the backbone, head and all."""

import pytest
import torch

import hyperadapters as ha
from hyperadapters import Group
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.tuner.materialise import materialise

ONE = {"annotator_ids": 3}
NO_BIAS = {"bias_source": "none", "shift": False}
# Linear modules and GPT-2's Conv1D; heads of one layer, of two, and without a bias.
CASES = {
    "BERT": ("SEQ_CLS", {}),
    "RoBERTa": ("SEQ_CLS", {}),
    "DistilBERT": ("SEQ_CLS", {}),
    "ModernBERT": ("SEQ_CLS", {}),
    "BART": ("SEQ_CLS", {}),
    "T5": ("SEQ_2_SEQ_LM", {}),
    "GPT-2": ("CAUSAL_LM", {}),
    "GPT-2 head": ("SEQ_CLS", NO_BIAS),
    "BERT tokens": ("TOKEN_CLS", {}),
    "EncoderDecoder": ("SEQ_2_SEQ_LM", {}),
}
VARIANTS = {
    "rank-stabilised": {"use_rslora": True, "r": 4},
    "gains": {"gains": True, "r": 4},
    "patterns": {"rank_pattern": {"value": 3}, "alpha_pattern": {"query": 5}},
    "stored": {"source": "per-condition"},
    "output layers": {"output_source": "per-condition", "bias_source": "none"},
    "basis": {"hypernetwork": "basis"},
    "two groups on a module": {
        "groups": [
            Group(r=3, target_modules=["query", "value"]),
            Group(r=2, target_modules=["query"], source="learned", lora_alpha=3),
            Group(r=1, target_modules=["query"], gains=True, source="per-condition"),
        ]
    },
    "backbone for the unknown": {"conditions": {"annotator_ids": ha.Lookup(7, unknown="base")}},
}


@pytest.fixture
def adapted(zoo):
    def make(name="BERT", **changes):
        head, needed = CASES[name]
        case = zoo.Case(name.removesuffix(" head").removesuffix(" tokens"), head)
        return zoo.make_adapted(case, **{**needed, **changes}), zoo.make_batch(case)

    return make


def close(got, wanted):
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("annotator", [3, -1, {1: 0.25, 4: 0.75}])
@torch.no_grad()
def test_the_merged_model_answers_as_one_annotator(zoo, adapted, name, annotator):
    model, batch = adapted(name)
    model.double()
    wanted = zoo.outputs(model, batch, annotator_ids=annotator)
    with model.disable_adapter():
        plain = zoo.outputs(model, batch)
    merged = model.merge_and_unload(condition={"annotator_ids": annotator}, safe_merge=True)
    close(zoo.outputs(merged, batch), wanted)
    assert not torch.allclose(wanted, plain, atol=1e-2)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in merged.modules())
    assert not any("hyperadapter" in n or "modules_to_save" in n for n in merged.state_dict())


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_whatever_the_adapter_is_like(zoo, adapted, variant):
    for condition in (ONE, {"annotator_ids": -1}):
        model, batch = adapted(**VARIANTS[variant])
        model.double()
        wanted = zoo.outputs(model, batch, **condition)
        close(zoo.outputs(model.merge_and_unload(condition=condition), batch), wanted)


@torch.no_grad()
def test_ranks_of_groups_on_one_module_join(adapted):
    model, _ = adapted(**VARIANTS["two groups on a module"])
    weights = materialise(model.base_model, "default", ONE)
    ranks = {name.rsplit(".", 1)[-1]: lora.a.shape[0] for name, lora in weights.lora.items()}
    assert ranks == {"query": 6, "value": 3}


@torch.no_grad()
def test_materialising_leaves_the_network_as_it_was(adapted):
    model, _ = adapted(condition_dropout=0.9)
    model.train()
    one, other = (materialise(model.base_model, "default", ONE) for _ in range(2))
    assert all(torch.equal(one.lora[name].b, other.lora[name].b) for name in one.lora)
    assert all(module.training for module in model.modules())


@torch.no_grad()
def test_a_head_without_a_bias(zoo, adapted):
    model, batch = adapted("GPT-2 head", bias_source="generated", shift=True)
    message = r"score'? has no bias into .* alone \(include_head=False\), or"
    wanted = zoo.outputs(model, batch, **ONE)
    with pytest.raises(ConfigError, match=message):
        model.merge_and_unload(condition=ONE)
    assert torch.equal(zoo.outputs(model, batch, **ONE), wanted)
    assert not materialise(model.base_model, "default", ONE, with_head=False).head


@pytest.mark.parametrize(
    ("changes", "condition", "message"),
    [
        ({}, None, "the weights differ from row to row, so there is nothing single to merge"),
        ({}, {"annotator_ids": [3, 4]}, r"wanted a single condition, got \{'annotator_ids': 2\}"),
        ({}, {"annotator": 3}, "the model has no condition annotator; it has annotator_ids"),
        ({"form": "bottleneck"}, ONE, "has a bottleneck, which is not linear"),
        ({"conditions": {"text": ha.Instance()}}, {}, "text is the input itself"),
    ],
)
def test_what_cannot_be_merged(zoo, adapted, changes, condition, message):
    model, batch = adapted(**changes)
    given = ONE if "conditions" not in changes else {}
    wanted = zoo.outputs(model, batch, **given)
    with pytest.raises(ConfigError, match=message):
        model.merge_and_unload(condition=condition)
    assert torch.equal(zoo.outputs(model, batch, **given), wanted)


def test_conditions_out_of_range(adapted):
    model, _ = adapted()
    with pytest.raises(ConditionError, match="annotator_ids: got index 7; wanted 0 to 6"):
        model.merge_and_unload(condition={"annotator_ids": 7})
    with pytest.raises(ConditionError, match="missing condition annotator_ids"):
        model.merge_and_unload(condition={})


@torch.no_grad()
def test_the_pooled_input_can_be_merged(zoo, adapted):
    model, batch = adapted(conditions={"text": ha.Instance()})
    model.double()
    vector = torch.randn(32, dtype=torch.float64)
    wanted = zoo.outputs(model, batch, text=vector)
    close(zoo.outputs(model.merge_and_unload(condition={"text": vector}), batch), wanted)


@torch.no_grad()
def test_a_shared_adapter_needs_no_condition(zoo, adapted):
    model, batch = adapted(source="learned", **NO_BIAS, taste_rank=0)
    wanted = zoo.outputs(model, batch)
    merged = model.merge_and_unload()
    torch.testing.assert_close(zoo.outputs(merged, batch), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["BERT", "RoBERTa"])
@torch.no_grad()
def test_an_adapter_that_is_not_active_takes_its_own_head(zoo, adapted, name):
    model, batch = adapted(name)
    model.add_adapter("second", zoo.make_adapter_config(zoo.Case(name, "SEQ_CLS")))
    model.set_adapter("second")
    zoo.randomise(model, 5)
    model.eval().double()
    wanted = zoo.outputs(model, batch, **ONE)
    model.set_adapter("default")
    merged = model.merge_and_unload(condition=ONE, adapter_names=["second"])
    close(zoo.outputs(merged, batch), wanted)


@torch.no_grad()
def test_two_adapters_with_conditions_of_their_own(zoo, adapted):
    model, batch = adapted("GPT-2")
    case, tasks = zoo.Case("GPT-2", "CAUSAL_LM"), {"task": ha.Lookup(3)}
    model.add_adapter("second", zoo.make_adapter_config(case, conditions=tasks))
    model.base_model.set_adapter(["default", "second"])
    zoo.randomise(model, 5)
    model.eval().double()
    condition = {"annotator_ids": 3, "task": 1}
    wanted = zoo.outputs(model, batch, **condition)
    with pytest.raises(ConfigError, match="the model has no condition taks"):
        model.merge_and_unload(condition={"annotator_ids": 3, "task": 1, "taks": 1})
    close(zoo.outputs(model.merge_and_unload(condition=condition), batch), wanted)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
def test_a_weight_that_is_also_the_embedding_is_left_alone(zoo):
    case = zoo.Case("Llama", "CAUSAL_LM")
    backbone = zoo.make_backbone(case, tie_word_embeddings=True)
    model = zoo.get_peft_model(backbone, zoo.make_adapter_config(case, target_modules=["lm_head"]))
    with pytest.raises(ConfigError, match=r"of lm_head is also that of model\.embed_tokens"):
        model.merge_and_unload(condition=ONE)


@torch.no_grad()
def test_weights_that_are_not_finite(zoo, adapted):
    model, batch = adapted()
    next(ha.adapter_network(model).sources[0].source.shared.parameters()).fill_(torch.nan)
    with pytest.raises(ConfigError, match="the merged weight would not be finite"):
        model.merge_and_unload(condition=ONE, safe_merge=True)
    assert zoo.outputs(model.merge_and_unload(condition=ONE), batch).isnan().any()
