"""One condition as an ordinary LoRA folder, which PEFT and Transformers load by themselves."""

import pytest
import torch
import transformers
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file

import hyperadapters as ha
from exported import FILES, ONE, PEOPLE, close, files
from hyperadapters import Group
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.export import lora, lora_of

CASES = [
    ("BERT", "SEQ_CLS"),
    ("RoBERTa", "SEQ_CLS"),
    ("BERT", "TOKEN_CLS"),
    ("T5", "SEQ_2_SEQ_LM"),
    ("EncoderDecoder", "SEQ_2_SEQ_LM"),
    ("GPT-2", "CAUSAL_LM"),
    ("Llama", "CAUSAL_LM"),
    ("Phi-3", "CAUSAL_LM"),
    ("BERT", "plain"),
]


@pytest.mark.parametrize(("family", "head"), CASES)
@torch.no_grad()
def test_peft_loads_it(zoo, adapted, loaded, tmp_path, family, head):
    model, batch = adapted(family, head, deviation_scale=0.1)
    wanted = zoo.outputs(model, batch, **ONE)
    assert ha.export_lora(model, ONE, tmp_path / "one") == [tmp_path / "one"]
    assert files(tmp_path / "one") == FILES
    assert type(PeftConfig.from_pretrained(str(tmp_path / "one"))) is LoraConfig
    got = loaded(tmp_path / "one", family, head)
    torch.testing.assert_close(got, wanted, atol=1e-5 * wanted.abs().max().item(), rtol=1e-5)
    assert torch.equal(zoo.outputs(model, batch, **ONE), wanted)


UPSTREAM = "Transformers 5.0 loads no stock LoRA into a BERT classifier either"
LOADING = [
    pytest.param(
        *("BERT", "SEQ_CLS"),
        marks=pytest.mark.skipif(transformers.__version__.startswith("5.0."), reason=UPSTREAM),
    ),
    ("Llama", "CAUSAL_LM"),
]


@pytest.mark.parametrize(("family", "head"), LOADING)
@torch.no_grad()
def test_transformers_loads_it_without_peft_around(zoo, adapted, tmp_path, family, head):
    model, batch = adapted(family, head)
    wanted = zoo.outputs(model, batch, **ONE)
    ha.export_lora(model, ONE, tmp_path, include_head=head != "SEQ_CLS")
    plain = zoo.make_backbone(zoo.Case(family, head))
    plain.load_adapter(str(tmp_path))
    if head == "SEQ_CLS":
        (weights,) = ha.tuner.materialise.materialise(model.base_model, "default", ONE).head
        plain.classifier.weight.copy_(weights.weight)
        plain.classifier.bias.copy_(weights.bias)
    close(zoo.outputs(plain, batch), wanted)


@torch.no_grad()
def test_the_lora_alone(zoo, adapted, tmp_path):
    model, batch = adapted()
    ha.export_lora(model, ONE, tmp_path, include_head=False)
    assert PeftConfig.from_pretrained(str(tmp_path)).modules_to_save is None
    stored = load_file(tmp_path / FILES[1])
    assert len(stored) == 8 and all("lora_" in name for name in stored)
    # With the same head on both sides the features are those of the adapter.
    case = zoo.Case("BERT", "SEQ_CLS")
    plain = PeftModel.from_pretrained(zoo.make_backbone(case), str(tmp_path)).get_base_model()
    with ha.conditioned(model, **ONE):
        features = model.get_base_model().bert(**batch).pooler_output
    close(plain.bert(**batch).pooler_output, features)


@torch.no_grad()
def test_a_head_without_a_bias_can_be_left_out(zoo, adapted, tmp_path):
    model, _ = adapted("GPT-2", "SEQ_CLS")
    with pytest.raises(ConfigError, match="score has no bias"):
        ha.export_lora(model, ONE, tmp_path)
    assert list(tmp_path.iterdir()) == []
    ha.export_lora(model, ONE, tmp_path, include_head=False)
    assert files(tmp_path) == FILES


@pytest.mark.parametrize(
    ("conditions", "condition"),
    [
        ({"who": ha.Lookup(7)}, {"who": {1: 0.25, 4: 0.75}}),
        ({"who": ha.Lookup(7)}, {"who": -1}),
        ({"who": ha.Lookup(7)}, {"who": torch.tensor(2)}),
        ({"who": PEOPLE}, {"who": {"age": "old", "country": "PT"}}),
        ({"who": PEOPLE}, {"who": [1, 3]}),
        ({"who": PEOPLE}, {"who": torch.tensor([1, -1])}),
        ({"who": ha.Vector(3)}, {"who": [0.5, 1.0, -2.0]}),
        ({"who": ha.Lookup(7), "style": ha.Vector(3)}, {"who": 4, "style": torch.ones(3)}),
        ({"who": ha.Instance()}, {"who": torch.ones(32)}),
    ],
)
@torch.no_grad()
def test_conditions_of_every_kind(zoo, adapted, loaded, tmp_path, conditions, condition):
    model, batch = adapted(conditions=conditions)
    ha.export_lora(model, condition, tmp_path)
    assert files(tmp_path) == FILES
    close(loaded(tmp_path), zoo.outputs(model, batch, **condition))


@pytest.mark.parametrize(
    ("changes", "condition", "error", "message"),
    [
        ({"form": "bottleneck"}, ONE, ConfigError, "has a bottleneck, which is not linear"),
        ({"conditions": {"x": ha.Instance()}}, {}, ConfigError, "x is the input itself: there is"),
        ({}, {"anotator": 3}, ConfigError, "the model has no condition anotator; it has annotator"),
        ({}, {}, ConditionError, "missing condition annotator_ids"),
        ({}, {"annotator_ids": 7}, ConditionError, "got index 7; wanted 0 to 6"),
        ({}, {"annotator_ids": [0, 9]}, ConditionError, "got index 9; wanted 0 to 6"),
        ({"conditions": {"x": PEOPLE}}, {"x": [[1, 2], [0, 1]]}, ConfigError, "a single condition"),
    ],
)
def test_refusals(adapted, tmp_path, changes, condition, error, message):
    model, _ = adapted(**changes)
    with pytest.raises(error, match=message):
        ha.export_lora(model, condition, tmp_path / "new")
    assert not (tmp_path / "new" / FILES[0]).exists()


def test_a_file_where_the_folder_should_be(adapted, tmp_path):
    model, _ = adapted()
    (tmp_path / "taken").write_text("mine")
    for folder in ("taken", "taken/below"):
        with pytest.raises(ConfigError, match="taken is a file; wanted a folder"):
            ha.export_lora(model, ONE, tmp_path / folder)
    with pytest.raises(ConfigError, match="taken is a file; wanted a folder"):
        ha.export_lora(model, {"annotator_ids": [1, 2]}, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("what", ["save_file", "LoraConfig.save_pretrained"])
def test_a_failure_leaves_what_was_there(adapted, tmp_path, monkeypatch, what):
    model, _ = adapted()
    ha.export_lora(model, ONE, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in FILES}

    def full(*args, **kwargs):
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(f"{lora.__name__}.{what}", full)
        with pytest.raises(OSError, match="no space left"):
            ha.export_lora(model, {"annotator_ids": 4}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == before
    ha.export_lora(model, {"annotator_ids": 4}, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} != before


def test_writing_over_leaves_the_users_own_files(adapted, tmp_path):
    model, _ = adapted()
    (tmp_path / "README.md").write_text("mine")
    for index in (1, 2):
        ha.export_lora(model, {"annotator_ids": index}, tmp_path)
    assert files(tmp_path) == ["README.md", *FILES]
    assert (tmp_path / "README.md").read_text() == "mine"


@torch.no_grad()
def test_a_named_adapter_with_its_own_head(zoo, adapted, loaded, tmp_path):
    model, batch = adapted(task_type=None)
    model.add_adapter("second", zoo.make_adapter_config(zoo.Case("BERT", "SEQ_CLS")))
    model.add_adapter("third", zoo.make_adapter_config(zoo.Case("BERT", "SEQ_CLS")))
    wanted = {}
    for seed, name in enumerate(("second", "third")):
        model.set_adapter(name)
        zoo.randomise(model, seed + 5)
        wanted[name] = zoo.outputs(model.eval(), batch, **ONE)
    for name in wanted:
        ha.export_lora(model, ONE, tmp_path / name, adapter_name=name)
        close(loaded(tmp_path / name), wanted[name])
    with pytest.raises(ConfigError, match="no adapter 'fourth'; the model has default, second"):
        ha.export_lora(model, ONE, tmp_path / "x", adapter_name="fourth")


@torch.no_grad()
def test_after_further_training(zoo, adapted, loaded, tmp_path):
    model, batch = adapted()
    ha.export_lora(model, ONE, tmp_path)
    first = loaded(tmp_path)
    with torch.enable_grad():
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        model.train()(**batch, **ONE, labels=torch.tensor([0, 1, 2, 0])).loss.backward()
        optimizer.step()
    ha.export_lora(model, ONE, tmp_path)
    assert model.training
    wanted = zoo.outputs(model.eval(), batch, **ONE)
    close(loaded(tmp_path), wanted)
    assert not torch.allclose(first, wanted, atol=1e-3)


@torch.no_grad()
def test_modules_that_the_user_trains_whole(zoo, adapted, loaded, tmp_path):
    model, batch = adapted(modules_to_save=["pooler"])
    ha.export_lora(model, ONE, tmp_path)
    config = PeftConfig.from_pretrained(str(tmp_path))
    assert sorted(config.modules_to_save) == ["classifier", "pooler"]
    close(loaded(tmp_path), zoo.outputs(model, batch, **ONE))


@pytest.mark.parametrize(
    "changes",
    [
        {"use_rslora": True, "r": 4},
        {"gains": True, "r": 4},
        {"rank_pattern": {"value": 3, r"layer\.1\..*query": 5}, "alpha_pattern": {"query": 5}},
        {"groups": [Group(r=3), Group(r=2, target_modules=["query"], source="learned")]},
        {"layers_to_transform": [1], "target_modules": ["query"]},
        {"target_modules": "all-linear"},
    ],
)
@torch.no_grad()
def test_ranks_and_scales(zoo, adapted, loaded, tmp_path, changes):
    model, batch = adapted(deviation_scale=0.1, **changes)
    ha.export_lora(model, ONE, tmp_path)
    wanted = zoo.outputs(model, batch, **ONE)
    torch.testing.assert_close(loaded(tmp_path), wanted, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_in_memory(zoo, adapted):
    model, batch = adapted("Llama", "CAUSAL_LM")
    config, state = lora_of(model, ONE)
    assert config.inference_mode and all(not tensor.requires_grad for tensor in state.values())
    plain = get_peft_model(zoo.make_backbone(zoo.Case("Llama", "CAUSAL_LM")), config)
    result = set_peft_model_state_dict(plain, state)
    assert result.unexpected_keys == []
    close(zoo.outputs(plain.eval(), batch), zoo.outputs(model, batch, **ONE))


def test_a_model_without_an_adapter(zoo, tmp_path):
    with pytest.raises(ConditionError, match="has no hyperadapter"):
        ha.export_lora(zoo.make_backbone(zoo.Case("BERT", "SEQ_CLS")), ONE, tmp_path)
