"""Several adapters in one model, as PEFT's common tests have them: add, save, switch, delete."""

import pytest
import torch
from peft import PeftModel, get_peft_model

from hyperadapters.errors import ConditionError

IDS = torch.tensor([2, -1, 0, 2, 6, -1])
families = pytest.mark.parametrize("family", ["bert", "llama", "t5"])


@pytest.fixture
def several(adapted, config, randomised):
    """A model with the adapters `default`, `delete-me` and `other`; `default` is active."""

    def build(family: str) -> PeftModel:
        model = adapted(family)
        for seed, name in enumerate(("delete-me", "other"), start=5):
            model.add_adapter(name, config(family))
            model.set_adapter(name)
            randomised(model, seed=seed)
        model.set_adapter("default")
        return model.eval()

    return build


@torch.no_grad()
def logits_by_adapter(model, given) -> dict[str, torch.Tensor]:
    logits = {}
    before = model.active_adapter
    for name in list(model.peft_config):
        model.set_adapter(name)
        logits[name] = model(**given, annotator_ids=IDS).logits
    model.set_adapter(before)
    return logits


def mentions(model, name: str) -> list[str]:
    return [path for path in model.state_dict() if f".{name}." in path]


@families
def test_adding_multiple_adapters(several, batch, family):
    logits = list(logits_by_adapter(several(family), batch(family)).values())
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not torch.allclose(logits[one], logits[other], atol=1e-3)


@families
def test_add_adapter_rejects_duplicate_name_without_mutation(several, config, batch, family):
    model = several(family)
    before, keys = logits_by_adapter(model, batch(family)), list(model.state_dict())
    with pytest.raises(ValueError, match="already exists"):
        model.add_adapter("other", config(family))
    assert list(model.state_dict()) == keys
    after = logits_by_adapter(model, batch(family))
    assert all(torch.equal(after[name], before[name]) for name in before)


@families
def test_save_pretrained_selected_adapters(several, backbone, batch, tmp_path, family):
    model = several(family)
    wanted = logits_by_adapter(model, batch(family))
    model.save_pretrained(str(tmp_path), selected_adapters=["default", "other"])
    assert not (tmp_path / "delete-me").exists()
    loaded = PeftModel.from_pretrained(backbone(family), str(tmp_path))
    loaded.load_adapter(str(tmp_path / "other"), adapter_name="other")
    got = logits_by_adapter(loaded, batch(family))
    assert set(got) == {"default", "other"}
    assert all(torch.equal(got[name], wanted[name]) for name in got)


@families
def test_save_pretrained_adapter_name_substring(adapted, config, batch, backbone, tmp_path, family):
    """Names that contain one another are not mixed up in the files."""
    model = adapted(family, name="ab")
    model.add_adapter("abc", config(family))
    wanted = logits_by_adapter(model.eval(), batch(family))
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone(family), str(tmp_path / "ab"), adapter_name="ab")
    loaded.load_adapter(str(tmp_path / "abc"), adapter_name="abc")
    got = logits_by_adapter(loaded, batch(family))
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)
    assert not torch.allclose(wanted["ab"], wanted["abc"], atol=1e-3)


@families
def test_load_multiple_adapters(adapted, backbone, batch, tmp_path, family):
    model = adapted(family)
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone(family), str(tmp_path))
    loaded.load_adapter(str(tmp_path), adapter_name="again")
    got = logits_by_adapter(loaded, batch(family))
    assert list(got) == ["default", "again"]
    assert torch.equal(got["default"], got["again"])


@families
def test_delete_adapter(several, batch, family):
    model = several(family)
    wanted = logits_by_adapter(model, batch(family))
    model.set_adapter("delete-me")
    with pytest.warns(UserWarning, match="Setting active adapter to"):
        model.delete_adapter("delete-me")
    assert "delete-me" not in model.peft_config
    assert model.active_adapters == ["default"]
    assert mentions(model, "delete-me") == []
    got = logits_by_adapter(model, batch(family))
    assert set(got) == {"default", "other"}
    assert all(torch.equal(got[name], wanted[name]) for name in got)


@families
def test_delete_inactive_adapter(several, batch, family):
    model = several(family)
    wanted = logits_by_adapter(model, batch(family))
    model.delete_adapter("delete-me")
    assert model.active_adapters == ["default"]
    assert mentions(model, "delete-me") == []
    got = logits_by_adapter(model, batch(family))
    assert all(torch.equal(got[name], wanted[name]) for name in got)


@families
def test_delete_unknown_adapter_raises(several, batch, family):
    model = several(family)
    with pytest.raises(ValueError, match="unknown-adapter does not exist"):
        model.delete_adapter("unknown-adapter")
    assert len(logits_by_adapter(model, batch(family))) == 3


@torch.no_grad()
@families
def test_unload_adapter(several, backbone, batch, family):
    plain, model = backbone(family), several(family)
    with model.disable_adapter():
        wanted = model(**batch(family)).logits
    unloaded = model.unload()
    assert type(unloaded) is type(plain)
    assert set(unloaded.state_dict()) == set(plain.state_dict())
    if family != "bert":  # whose trained head stays, as with every method of PEFT
        assert torch.equal(unloaded(**batch(family)).logits, wanted)


@torch.no_grad()
@families
def test_an_unloaded_model_can_be_adapted_again(adapted, config, batch, randomised, family):
    model = adapted(family)
    wanted = model(**batch(family), annotator_ids=IDS).logits
    again = get_peft_model(model.unload(), config(family)).eval()
    assert not torch.allclose(again(**batch(family), annotator_ids=IDS).logits, wanted, atol=1e-3)
    with pytest.raises(ConditionError, match="missing condition"):
        again(**batch(family))


@torch.no_grad()
@families
def test_disable_adapter(adapted, backbone, batch, prompt, family):
    model, plain = adapted(family), backbone(family)
    wanted = plain(**batch(family)).logits
    before = model(**batch(family), annotator_ids=IDS).logits
    with model.disable_adapter():
        assert torch.equal(model(**batch(family)).logits, wanted)
        if family != "bert":
            options = {"max_new_tokens": 4, "do_sample": False}
            written = model.generate(**prompt(family), **options)
            assert torch.equal(written, plain.generate(**prompt(family), **options))
    assert not torch.allclose(before, wanted, atol=1e-3)
    assert torch.equal(model(**batch(family), annotator_ids=IDS).logits, before)


@torch.no_grad()
@families
def test_disable_adapters_exiting_context_restores_previous_state(adapted, batch, family):
    model = adapted(family)
    model.base_model.disable_adapter_layers()
    wanted = model(**batch(family)).logits
    with model.disable_adapter():
        assert torch.equal(model(**batch(family)).logits, wanted)
    assert torch.equal(model(**batch(family)).logits, wanted)
    model.base_model.enable_adapter_layers()
    with pytest.raises(ConditionError, match="missing condition"):
        model(**batch(family))


@families
def test_set_requires_grad(several, family):
    model = several(family)

    def trainable(name: str) -> bool:
        own = [p for path, p in model.named_parameters() if f"hyperadapter_network.{name}." in path]
        assert len({p.requires_grad for p in own}) == 1
        return own[0].requires_grad

    assert [trainable(name) for name in ("default", "other")] == [True, False]
    model.set_requires_grad("other", requires_grad=True)
    model.set_requires_grad("default", requires_grad=False)
    assert [trainable(name) for name in ("default", "other")] == [False, True]
