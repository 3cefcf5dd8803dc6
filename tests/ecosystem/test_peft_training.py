"""Gradients, as PEFT's common tests ask for them: who gets one, with and without checkpointing."""

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import PreTrainedModel

from hyperadapters.errors import ConfigError

# Transformers 5 renames `gradient_checkpointing_enable`; users and PEFT still call it so.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_.*able.*:FutureWarning")

IDS = torch.tensor([2, -1, 0, 2, 6, -1])
families = pytest.mark.parametrize("family", ["bert", "llama", "t5"])


def gradients(model, given, ids=IDS) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(**given, annotator_ids=ids).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def repeatable(model):
    """In training, but so that two runs are the same."""
    model.config.use_cache = False
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.train()


def ours(name: str) -> bool:
    return "hyperadapter_" in name or "modules_to_save.default" in name


@families
def test_training(adapted, batch, family):
    model = adapted(family).train()
    got = gradients(model, batch(family, labels=True))
    wanted = {name for name, p in model.named_parameters() if p.requires_grad}
    assert set(got) == wanted and all(map(ours, wanted))
    assert all(gradient.abs().sum() > 0 for gradient in got.values())


@families
def test_training_layer_indexing(adapted, backbone, batch, tmp_path, family):
    whole = adapted(family)
    model = adapted(family, layers_to_transform=[0]).train()
    got = gradients(model, batch(family, labels=True))
    assert got and all(map(ours, got))
    counted = [m.get_nb_trainable_parameters()[0] for m in (model, whole)]
    assert counted[0] < counted[1]
    model.eval().save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone(family), str(tmp_path))
    with torch.no_grad():
        wanted = model(**batch(family), annotator_ids=IDS).logits
        assert torch.equal(loaded(**batch(family), annotator_ids=IDS).logits, wanted)


@families
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in ("gradient_checkpointing_enable", "activation_checkpointing_enable")
        if hasattr(PreTrainedModel, name)
    ],
)
def test_training_gradient_checkpointing(adapted, batch, family, name):
    model, given = repeatable(adapted(family)).double(), batch(family, labels=True)
    wanted = gradients(model, given)
    getattr(model, name)()
    calls = count_calls(model)
    got = gradients(model, given)
    assert calls() > 1, "nothing was computed a second time"
    assert set(got) == set(wanted)
    for name in wanted:
        torch.testing.assert_close(got[name], wanted[name], msg=lambda m, n=name: f"{n}: {m}")


def count_calls(model):
    """How often the first adapted layer runs."""
    calls = []
    layer = next(m for m in model.modules() if hasattr(m, "base_layer"))
    layer.base_layer.register_forward_hook(lambda *_: calls.append(1))
    return lambda: len(calls)


@families
def test_two_calls_before_one_backward_with_checkpointing(adapted, batch, family):
    """As in contrastive and preference losses: each recomputation needs its own conditions."""
    model, given = repeatable(adapted(family)).double(), batch(family, labels=True)
    others = (IDS + 2).clamp(max=6)

    def both() -> dict[str, torch.Tensor]:
        model.zero_grad()
        one = model(**given, annotator_ids=IDS).loss
        two = model(**given, annotator_ids=others).loss
        (one - 2 * two).backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    wanted = both()
    model.gradient_checkpointing_enable()
    got = both()
    assert set(got) == set(wanted)
    for name in wanted:
        torch.testing.assert_close(got[name], wanted[name], msg=lambda m, n=name: f"{n}: {m}")


@families
def test_checkpointing_that_was_on_before(backbone, config, batch, randomised, family):
    """As `prepare_model_for_kbit_training` leaves a backbone, before there is an adapter."""
    results = []
    for checkpointing in (False, True):
        plain = backbone(family)
        if checkpointing:
            plain.gradient_checkpointing_enable()
        model = repeatable(get_peft_model(plain, config(family)))
        randomised(model)
        model.double()
        calls = count_calls(model)
        results.append(gradients(model, batch(family, labels=True)))
        assert (calls() > 1) == checkpointing
    assert set(results[0]) == set(results[1])
    for name in results[0]:
        torch.testing.assert_close(results[1][name], results[0][name])


@families
def test_checkpointing_ends(adapted, batch, family):
    model = repeatable(adapted(family))
    model.gradient_checkpointing_enable()
    model.gradient_checkpointing_disable()
    calls = count_calls(model)
    gradients(model, batch(family, labels=True))
    assert calls() == 1


@families
def test_reentrant_checkpointing_is_refused(adapted, family):
    """It would give the network no gradient at all, or run backward twice through it."""
    with pytest.raises(ConfigError, match="use_reentrant"):
        adapted(family).gradient_checkpointing_enable(
            gradient_checkpointing_kwargs={"use_reentrant": True}
        )


@families
def test_reentrant_checkpointing_that_was_on_before_is_refused(backbone, config, family):
    plain = backbone(family)
    plain.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": True})
    with pytest.raises(ConfigError, match="use_reentrant"):
        get_peft_model(plain, config(family))


@families
def test_only_params_are_updated(adapted, batch, family):
    """A few steps change every parameter that is learned and none that is not."""
    model, given = adapted(family, random=False).train(), batch(family, labels=True)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        model(**given, annotator_ids=IDS).loss.backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) != parameter.requires_grad, name
