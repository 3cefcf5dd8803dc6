"""Several groups: which modules each adapts, and that together they are the sum of their parts."""

import json

import pytest
import torch
from peft import PeftModel, get_peft_model

import hyperadapters as ha
from hyperadapters import Group
from hyperadapters.errors import ConditionError, ConfigError, SiteError
from hyperadapters.tuner.layer import HyperAdapterLinear

IDS = torch.tensor([2, -1, 0, 2, 6, -1])
FOUR = torch.tensor([3, -1, 0, 5])
OTHERS = torch.tensor([0, 4, 6, 1])
QUIET = {"bias_source": "none", "shift": False, "taste_rank": 0}


def sites(model, adapter="default") -> list[list[str]]:
    return [
        [site.split(" ")[0] for site in group] for group in model.peft_config[adapter].sites or []
    ]


def in_layers(*names, layers=(0, 1)) -> list[str]:
    return [f"bert.encoder.layer.{layer}.{name}" for layer in layers for name in names]


@pytest.mark.parametrize(
    ("group", "wanted"),
    [
        ({"target_modules": ["query"]}, in_layers("attention.self.query")),
        ({"target_modules": ["self.key"]}, in_layers("attention.self.key")),
        ({"target_modules": ["output.dense"]}, in_layers("attention.output.dense", "output.dense")),
        (
            {"target_modules": r".*\.1\.attention\.self\.(query|key)"},
            in_layers("attention.self.query", "attention.self.key", layers=[1]),
        ),
        (
            {"target_modules": [r"re:.*layer\.0\..*value", "key"]},
            [
                *in_layers("attention.self.key", "attention.self.value", layers=[0]),
                *in_layers("attention.self.key", layers=[1]),
            ],
        ),
        (
            {"target_modules": "all-linear", "exclude_modules": ["dense", "key"]},
            in_layers("attention.self.query", "attention.self.value"),
        ),
        (
            {"target_modules": ["query", "value"], "exclude_modules": r".*layer\.1.*query"},
            [
                *in_layers("attention.self.query", "attention.self.value", layers=[0]),
                *in_layers("attention.self.value", layers=[1]),
            ],
        ),
        ({"layers_to_transform": 0}, in_layers("attention.self.query", "attention.self.value")[:2]),
        ({"form": "bottleneck"}, in_layers("output.dense")),
        (
            {"form": "bottleneck", "target_modules": ["attention.self>attention.output"]},
            in_layers("attention.output"),
        ),
        (
            {"form": "bottleneck", "target_modules": [r"re:bert\.encoder\.layer\.\d"]},
            ["bert.encoder.layer.0", "bert.encoder.layer.1"],
        ),
    ],
)
@torch.no_grad()
def test_which_modules(adapted, texts, group, wanted):
    model = adapted(groups=[Group(width=4, **group)], **QUIET)
    assert sites(model) == [wanted]
    logits = model(**texts(), annotator_ids=IDS).logits
    assert not torch.allclose(logits, model(**texts(), annotator_ids=IDS.flip(0)).logits)


@pytest.mark.parametrize("family", ["T5", "BART", "EncoderDecoder"])
@torch.no_grad()
def test_each_stack_by_itself(zoo, family):
    case = zoo.Case(family, "SEQ_2_SEQ_LM")
    query = [r"re:.*(\.q|q_proj|query)"]
    stacks = [Group(stack="encoder", target_modules=query, source="learned")]
    stacks += [Group(stack="decoder", target_modules=query)]
    encoder, decoder = sites(zoo.make_adapted(case, groups=stacks))
    every = sites(zoo.make_adapted(case, groups=[Group(target_modules=query)]))[0]
    assert encoder and decoder and sorted(encoder + decoder) == sorted(every)
    assert all(name.removeprefix("model.").startswith("encoder") for name in encoder)
    assert all(name.removeprefix("model.").startswith("decoder") for name in decoder)


@pytest.mark.parametrize("family", ["T5", "BART"])
@torch.no_grad()
def test_learned_in_the_encoder_and_generated_in_the_decoder(zoo, family):
    case = zoo.Case(family, "SEQ_2_SEQ_LM")
    groups = [
        Group(form="bottleneck", source="learned", stack="encoder", width=5),
        Group(form="bottleneck", stack="decoder", width=3),
    ]
    model, batch = zoo.make_adapted(case, groups=groups), zoo.make_batch(case)
    one, other = (model(**batch, annotator_ids=ids) for ids in (FOUR, OTHERS))
    assert torch.equal(one.encoder_last_hidden_state, other.encoder_last_hidden_state)
    assert (one.logits - other.logits).abs().amax(dim=(1, 2)).min() > 1e-3
    with model.disable_adapter():
        plain = model(**batch).encoder_last_hidden_state
    assert not torch.allclose(one.encoder_last_hidden_state, plain, atol=1e-3)
    learned, generated = ha.adapter_network(model)({"annotator_ids": FOUR}).groups
    assert {site.down.shape[:2] for site in learned.sites} == {(1, 5)}
    assert {site.down.shape[:2] for site in generated.sites} == {(4, 3)}


def test_sizes_by_pattern(adapted):
    groups = [
        Group(
            target_modules=["query", "key", "value"],
            rank_pattern={"key": 3, r"layer\.1\..*\.value": 1},
            alpha_pattern={"key": 6, "value": 8},
        ),
        Group(form="bottleneck", width=4, width_pattern={r"layer\.1\.output\.dense": 9}),
    ]
    network = ha.adapter_network(adapted(groups=groups))
    lora = {p.site.name[19:]: (p.form.r, p.form.scale) for p in network.spec.groups[0].placements}
    assert lora == {
        "0.attention.self.query": (8, 2.0),
        "0.attention.self.key": (3, 2.0),
        "0.attention.self.value": (8, 1.0),
        "1.attention.self.query": (8, 2.0),
        "1.attention.self.key": (3, 2.0),
        "1.attention.self.value": (1, 8.0),
    }
    assert [p.form.width for p in network.spec.groups[1].placements] == [4, 9]


@pytest.mark.parametrize("source", ["generated", "learned", "per-condition"])
@torch.no_grad()
def test_gains_of_a_group(adapted, texts, source):
    model = adapted(groups=[Group(r=4, source=source, gains=True)], **QUIET)
    batch, gains = texts(), ha.adapter_network(model).sources[0].gains["4"]
    wanted = model(**batch, annotator_ids=IDS).logits
    gains.deviation.vectors[2] += 1.0
    changed = (model(**batch, annotator_ids=IDS).logits - wanted).abs().amax(dim=1) > 1e-4
    assert changed.tolist() == [True, False, False, True, False, False]


@torch.no_grad()
def test_stored_adapters_are_independent(adapted, texts):
    model = adapted(groups=[Group(source="per-condition")], **QUIET)
    wanted = model(**texts(), annotator_ids=IDS).logits
    stored = ha.adapter_network(model).sources[0].source.parameters()
    for parameter in (p for p in stored if p.shape[0] == 7):
        parameter[2] = torch.randn_like(parameter[2])
    changed = (model(**texts(), annotator_ids=IDS).logits - wanted).abs().amax(dim=1) > 1e-4
    # Where nothing is shared, nobody in particular is the mean of all.
    assert changed.tolist() == [True, True, False, True, False, True]


@torch.no_grad()
def test_groups_on_one_module_add_up(adapted, texts):
    groups = [Group(r=3, target_modules=["query"]), Group(r=2, target_modules=["query"])]
    groups += [Group(form="bottleneck", width=4, target_modules=["query"])]
    model, calls = adapted(groups=groups, **QUIET), []
    layers = [m for m in model.modules() if isinstance(m, HyperAdapterLinear)]
    assert len(layers) == 2
    for layer in layers:
        layer.register_forward_hook(lambda m, args, out: calls.append((m, args[0], out)))
    model(**texts(), annotator_ids=IDS)
    weights = ha.adapter_network(model)({"annotator_ids": IDS})
    for site, (layer, x, y) in enumerate(calls):
        (a, b, _), (c, d, _), (down, e, up, u, _) = (weights.at(g, site) for g in range(3))
        for row in range(6):
            wanted = layer.base_layer.weight @ x[row].T + layer.base_layer.bias[:, None]
            wanted += 16 / 3 * b[row] @ a[row] @ x[row].T + 16 / 2 * d[row] @ c[row] @ x[row].T
            hidden = torch.nn.functional.gelu(down[row] @ x[row].T + e[row][:, None])
            wanted += up[row] @ hidden + u[row][:, None]
            # The bottleneck's hook stands on the module, before the hook of this test.
            torch.testing.assert_close(y[row], wanted.T, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("order", [1, -1])
@torch.no_grad()
def test_a_lora_and_a_bottleneck_on_one_module(adapted, texts, order):
    lora = Group(r=2, target_modules=["intermediate.dense"])
    bottleneck = Group(form="bottleneck", width=4, target_modules=["intermediate.dense"])
    model = adapted(groups=[lora, bottleneck][::order], **QUIET)
    inner = model.get_base_model()
    module = inner.bert.encoder.layer[0].intermediate.dense
    seen = []
    module.register_forward_hook(lambda _, args, out: seen.append((args[0], out)))
    model(**texts(), annotator_ids=IDS)
    weights = ha.adapter_network(model)({"annotator_ids": IDS})
    (a, b, _), (down, e, up, u, _) = (weights.at(g, 0) for g in (0, 1)[::order])
    (x, y), base = seen[0], module.base_layer
    for row in range(6):
        hidden = torch.nn.functional.gelu(x[row] @ down[row].T + e[row])
        wanted = x[row] @ base.weight.T + base.bias + hidden @ up[row].T + u[row]
        wanted = wanted + 8 * x[row] @ a[row].T @ b[row].T
        torch.testing.assert_close(y[row], wanted, atol=1e-3, rtol=1e-4)
    unloaded = model.unload()
    assert unloaded.bert.encoder.layer[0].intermediate.dense is base
    assert not base._forward_hooks and not base._forward_pre_hooks


@torch.no_grad()
def test_each_group_adapts_to_its_own_conditions(adapted, texts):
    conditions = {"who": ha.Lookup(7), "task": ha.Lookup(3)}
    groups = [
        Group(target_modules=["query"], conditions=["who"]),
        Group(target_modules=["intermediate.dense"], conditions=["task"]),
    ]
    model = adapted(groups=groups, conditions=conditions, **QUIET)
    tasks = torch.tensor([0, 1, 2, 2, 1, 1])
    whos = (model(**texts(), who=ids, task=tasks).logits for ids in (IDS, IDS.flip(0)))
    assert not torch.allclose(*whos)
    network = ha.adapter_network(model)
    one = network({"who": IDS, "task": tasks})
    for changed, name in ((0, "who"), (1, "task")):
        given = {"who": IDS, "task": tasks}
        other = network({**given, name: given[name].flip(0)})
        moved = [not torch.equal(one.at(group, 0).b, other.at(group, 0).b) for group in range(2)]
        assert moved == [changed == 0, changed == 1]
    with pytest.raises(ConditionError, match="missing condition task"):
        model(**texts(), who=IDS)


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [
        ({"targets": ["query"]}, ConfigError, "a group has no field 'targets'"),
        ({"target_module": ["q"]}, ConfigError, "'target_module'; did you mean 'target_modules'"),
        ({"r": 0}, ConfigError, "the LoRA rank r must be at least 1, got 0"),
        ({"dropout": 1.0}, ConfigError, r"dropout must be in \[0, 1\), got 1.0"),
        ({"rank_pattern": {"key": 0}}, ConfigError, "rank r must be at least 1, got 0"),
        ({"width_pattern": {"key": 0}}, ConfigError, "width must be at least 1, got 0"),
        ({"scale": 0.0}, ConfigError, "scale must be positive, got 0.0"),
        ({"conditions": ["task"]}, ConfigError, "adapts to task; declared: annotator_ids"),
        ({"conditions": []}, ConfigError, "a group adapts to no condition at all"),
        (
            {"deviating_layers": [0, 7]},
            SiteError,
            r"deviating_layers: .*7; adapted: \[0, 1\]",
        ),
        ({"layers_to_transform": [0, 7]}, SiteError, r"layers_to_transform: .* layer 7"),
        ({"target_modules": ["query", "vlaue"]}, SiteError, r"target_modules: 'vlaue' .*value"),
        ({"exclude_modules": ["vlaue"]}, SiteError, r"exclude_modules: 'vlaue' .*value"),
        ({"rank_pattern": {"qurey": 4}}, SiteError, r"rank_pattern: 'qurey' .*query"),
        ({"alpha_pattern": {"key": 4}}, SiteError, r"alpha_pattern: 'key' matches nothing"),
        ({"target_modules": ["qeury"]}, SiteError, "linear modules with near names: .*query"),
        ({"target_modules": "query"}, SiteError, "a string is a regular expression of the whole"),
        ({"layers_to_transform": [4]}, SiteError, r"in layers \[4\] match nothing"),
        ({"stack": "decoder"}, SiteError, "of the decoder match nothing"),
        (
            {"form": "bottleneck", "target_modules": ["intermediat"]},
            SiteError,
            r"\['intermediat'\] match nothing; modules with near names: .*intermediate$",
        ),
        (
            {"form": "bottleneck", "target_modules": ["intermediate.dens>output.dense"]},
            SiteError,
            "match nothing; modules with near names: intermediate",
        ),
        (
            {"form": "bottleneck", "target_modules": ["LayerNorm"]},
            SiteError,
            "cannot tell the width of a LayerNorm",
        ),
        ({"exclude_modules": ["query", "value"]}, SiteError, "match nothing"),
    ],
)
def test_groups_that_cannot_be(adapted, group, error, message):
    with pytest.raises(error, match=message):
        adapted(groups=[{"target_modules": ["query"]}, group])


@pytest.mark.parametrize(
    "changes",
    [
        {"target_modules": ["query"]},
        {"exclude_modules": ["query"]},
        {"layers_to_transform": [1]},
        {"layers_to_transform": 0},
    ],
)
def test_targets_outside_of_the_groups(config, changes):
    with pytest.raises(ConfigError, match="belong into each group"):
        config(groups=[Group()], **changes)


def test_no_groups(config):
    with pytest.raises(ConfigError, match="groups is empty"):
        config(groups=[])


@torch.no_grad()
def test_groups_in_a_folder(adapted, backbone, texts, tmp_path):
    groups = [
        Group(
            target_modules={"value", "query"},
            exclude_modules=["layer.0.attention.self.value"],
            rank_pattern={"query": 3},
            alpha_pattern={"query": 5},
            use_rslora=True,
            dropout=0.1,
        ),
        Group(form="bottleneck", source="learned", width=4, activation="tanh", scale=0.5),
        Group(source="per-condition", target_modules=["key"], gains=True, layers_to_transform=1),
    ]
    model = adapted(groups=groups)
    wanted = model(**texts(), annotator_ids=IDS).logits
    model.save_pretrained(str(tmp_path))
    stored = json.loads((tmp_path / "adapter_config.json").read_text())
    assert stored["groups"][0]["target_modules"] == ["query", "value"]
    assert stored["groups"][2] == {
        "source": "per-condition",
        "target_modules": ["key"],
        "gains": True,
        "layers_to_transform": 1,
    }
    assert stored["sites"][2] == ["bert.encoder.layer.1.attention.self.key 32→32"]
    assert [len(group) for group in stored["sites"]] == [3, 2, 1]
    loaded = PeftModel.from_pretrained(backbone(), str(tmp_path))
    torch.testing.assert_close(loaded(**texts(), annotator_ids=IDS).logits, wanted)
    assert loaded.peft_config["default"].sites == model.peft_config["default"].sites


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_hidden_layers": 1}, "4 sites, this model has 2; it misses bert.encoder.layer.1.att"),
        ({"num_hidden_layers": 3}, "4 sites, this model has 6; it has bert.encoder.layer.2.att"),
        (
            {"hidden_size": 16},
            "4 sites, this model has 4; it misses .*query 32→32; it has .*query 16→16",
        ),
    ],
)
def test_a_folder_for_another_backbone(zoo, tmp_path, sizes, message):
    case = zoo.Case("BERT", "SEQ_CLS")
    zoo.make_adapted(case).save_pretrained(str(tmp_path))
    with pytest.raises(SiteError, match=f"the adapter was made for {message}"):
        PeftModel.from_pretrained(zoo.make_backbone(case, **sizes), str(tmp_path))


@torch.no_grad()
def test_a_configuration_serves_backbones_of_several_depths(zoo):
    case = zoo.Case("BERT", "SEQ_CLS")
    config = zoo.make_adapter_config(case)
    for layers in (1, 3):
        model = get_peft_model(zoo.make_backbone(case, num_hidden_layers=layers), config)
        assert len(sites(model)[0]) == 2 * layers


@torch.no_grad()
def test_a_second_adapter_on_everything(adapted, config, texts, randomised):
    model = adapted()
    wanted = model(**texts(), annotator_ids=IDS).logits
    first, _ = sites(model), model.add_adapter("second", config(target_modules="all-linear"))
    assert len(sites(model, "second")[0]) == 13 and sites(model) == first
    model.set_adapter("second")
    randomised(model, seed=4)
    assert not torch.allclose(model.eval()(**texts(), annotator_ids=IDS).logits, wanted)
    model.set_adapter("default")
    assert torch.equal(model(**texts(), annotator_ids=IDS).logits, wanted)
