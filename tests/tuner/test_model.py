import pytest
import torch
from peft import get_peft_model, inject_adapter_in_model
from transformers import FNetConfig, FNetForSequenceClassification

import hyperadapters as ha
from hyperadapters.errors import ConditionError, ConfigError, SiteError
from hyperadapters.tuner.layer import HyperAdapterLinear

IDS = torch.tensor([2, -1, 0, 2, 6, -1])


def trainable(model) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def adapted_sites(model) -> list[str]:
    inner = model.get_base_model()
    return [n for n, m in inner.named_modules() if isinstance(m, HyperAdapterLinear)]


def test_only_the_network_and_the_head_are_trainable(adapted):
    names = trainable(adapted())
    start = "base_model.hyperadapter_network.default."
    head = "base_model.model.classifier.modules_to_save.default."
    assert all(name.startswith((start, head)) for name in names)
    assert {name.removeprefix(start).split(".")[0] for name in names if start in name} == {
        "encoders",
        "sources",
        "head",
    }
    assert {name for name in names if head in name} == {head + "weight", head + "bias"}
    assert f"{start}encoders.annotator_ids.vectors" in names


def test_print_trainable_parameters(adapted, capsys):
    model = adapted()
    model.print_trainable_parameters()
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert f"trainable params: {learned:,} " in capsys.readouterr().out


@torch.no_grad()
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_disable_adapter_is_the_backbone_exactly(adapted, backbone, texts, family):
    model, wanted = adapted(family), backbone(family)(**texts()).logits
    before = model(**texts(), annotator_ids=IDS).logits
    with model.disable_adapter():
        assert torch.equal(model(**texts()).logits, wanted)
        assert torch.equal(model(**texts(), annotator_ids=IDS).logits, wanted)
    assert torch.equal(model(**texts(), annotator_ids=IDS).logits, before)
    with ha.conditioned(model, annotator_ids=0), model.disable_adapter():
        assert torch.equal(model(**texts()).logits, wanted)
    with pytest.raises(ConditionError, match="missing condition"):
        model(**texts())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"target_modules": ["querry", "valu"]},
            r"\['querry', 'valu'\] match nothing; linear .* near names: key, query, value$",
        ),
        (
            {"target_modules": ["xxxxxx"]},
            r"match nothing; .* near names: classifier, dense, key, query, value$",
        ),
        (
            {"target_modules": ["word_embeddings"]},
            r"bert\.embeddings\.word_embeddings: cannot adapt a Embedding; wanted a linear module",
        ),
        ({"layers_to_transform": [7]}, "match nothing"),
        ({"deviating_layers": [5]}, r"deviating_layers: .* layer 5; adapted: \[0, 1\]"),
        ({"modules_to_save": ["pooolr"]}, "modules_to_save: 'pooolr' matches nothing; .*pooler"),
    ],
)
def test_targets_that_cannot_be_adapted(adapted, changes, message):
    with pytest.raises(SiteError, match=message):
        adapted(**changes)


def test_a_family_without_default_targets(config):
    sizes = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 37}
    plain = FNetForSequenceClassification(FNetConfig(**sizes))
    message = "no default targets for the family 'fnet'; name target_modules, among .*dense"
    with pytest.raises(SiteError, match=message):
        get_peft_model(plain, config())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditions": {}}, "no conditions: name at least one"),
        (
            {"hypernetwork": "two-tower", "target_modules": "all-linear"},
            "for sites of one shape, got 32→32 LoRA",
        ),
    ],
)
def test_configurations_that_do_not_fit_the_model(adapted, changes, message):
    with pytest.raises(ConfigError, match=message):
        adapted(**changes)


@torch.no_grad()
def test_layers_to_transform(adapted, texts):
    model = adapted(layers_to_transform=[1], target_modules=["query"])
    assert adapted_sites(model) == ["bert.encoder.layer.1.attention.self.query"]
    assert len(ha.adapter_network(model)({"annotator_ids": IDS}).groups[0].sites) == 1


@torch.no_grad()
def test_without_a_task_the_lora_alone_is_generated(adapted, texts):
    model = adapted(task_type=None)
    assert ha.adapter_network(model).head is None or not any(
        part is not None for part in ha.adapter_network(model)({"annotator_ids": IDS}).head
    )
    logits = model(**texts(), annotator_ids=IDS).logits
    assert not torch.allclose(logits, model(**texts(), annotator_ids=0).logits)
    # PEFT calls the inner model directly here; it must notice a missing condition all the same.
    with pytest.raises(ConditionError, match="missing condition"):
        model(**texts())


@pytest.fixture
def two(adapted, config, randomised):
    """A model with a second adapter that has sites and a condition of its own."""
    model = adapted()
    second = {"conditions": {"task_index": ha.Lookup(3)}, "target_modules": ["key", "query"]}
    model.add_adapter("second", config(**second))
    model.set_adapter("second")
    randomised(model, seed=9)
    return model.eval()


@torch.no_grad()
def test_set_adapter_switches(two, adapted, texts):
    wanted = adapted()(**texts(), annotator_ids=IDS).logits
    tasks = torch.tensor([0, 1, 2, 0, -1, 1])
    second = two(**texts(), task_index=tasks).logits
    with pytest.raises(ConditionError, match="missing condition task_index"):
        two(**texts(), annotator_ids=IDS)
    two.set_adapter("default")
    assert torch.equal(two(**texts(), annotator_ids=IDS).logits, wanted)
    two.set_adapter("second")
    assert torch.equal(two(**texts(), task_index=tasks).logits, second)
    assert not torch.allclose(second, wanted)


def test_the_active_adapter_is_the_trainable_one(two):
    for name, other in (("second", "default"), ("default", "second")):
        two.set_adapter(name)
        names = trainable(two)
        assert any(f"hyperadapter_network.{name}." in n for n in names)
        assert not any(f".{other}." in n for n in names)


@torch.no_grad()
def test_a_second_adapter_is_saved_and_loaded(two, backbone, texts, tmp_path):
    from peft import PeftModel

    tasks = torch.tensor([0, 1, 2, 0, -1, 1])
    wanted = two(**texts(), task_index=tasks).logits
    two.set_adapter("default")
    first = two(**texts(), annotator_ids=IDS).logits
    two.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone(), str(tmp_path))
    loaded.load_adapter(str(tmp_path / "second"), "again")
    assert torch.equal(loaded(**texts(), annotator_ids=IDS).logits, first)
    loaded.set_adapter("again")
    assert torch.equal(loaded(**texts(), task_index=tasks).logits, wanted)


@torch.no_grad()
@pytest.mark.parametrize("active", ["default", "second"])
def test_delete_adapter_removes_its_network_and_leaves_the_other(two, adapted, texts, active):
    two.set_adapter(active)
    if active == "second":
        with pytest.warns(UserWarning, match="Setting active adapter to default"):
            two.delete_adapter("second")
    else:
        two.delete_adapter("second")
    assert not any("second" in name for name, _ in two.named_parameters())
    wanted = adapted()(**texts(), annotator_ids=IDS).logits
    assert torch.equal(two(**texts(), annotator_ids=IDS).logits, wanted)
    assert any("hyperadapter_network.default" in name for name in trainable(two))
    with pytest.raises(ConfigError, match="no adapter 'second'; the model has default"):
        ha.adapter_network(two, "second")


@torch.no_grad()
def test_an_adapter_that_cannot_be_added_leaves_the_first_as_it_was(adapted, config, texts):
    model = adapted()
    wanted = model(**texts(), annotator_ids=IDS).logits
    for targets, message in (
        (["qeury"], "near names: key, query$"),
        (["word_embeddings"], "adapt"),
    ):
        with pytest.raises(SiteError, match=message):
            model.add_adapter("second", config(target_modules=targets))
        assert list(model.peft_config) == ["default"]
        assert torch.equal(model(**texts(), annotator_ids=IDS).logits, wanted)
    model.add_adapter("second", config())


def test_the_network_is_not_lost_by_injection_without_a_tuner(backbone, config):
    with pytest.raises(ValueError, match="uses shared state"):
        inject_adapter_in_model(config(), backbone())


@pytest.mark.parametrize("name", ["head", "shared", "annotator_ids", "weight", "0"])
def test_names_of_adapters_that_peft_would_mix_up(adapted, config, name):
    model = adapted()
    with pytest.raises(ConfigError, match=f"an adapter cannot be called {name}: a part of the"):
        model.add_adapter(name, config())
    assert list(model.peft_config) == ["default"]
