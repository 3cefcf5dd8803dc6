"""A sample is read before training: what the generator reads is brought to one scale."""

import pytest
import torch
from peft import PeftModel

import hyperadapters as ha
from hyperadapters import Group
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.tuner import read_inputs
from hyperadapters.tuner.conditioning import conditioning_of

SOURCES = ["backbone", "first-pass", "encoder"]


def adapted(zoo, source, standardised=True):
    family, task = ("BERT", "SEQ_CLS") if source == "first-pass" else ("T5", "SEQ_2_SEQ_LM")
    stack = {"stack": "decoder"} if source == "encoder" else {}
    groups = [Group(source="generated", conditions=("content",), r=2, **stack)]
    if source == "first-pass":
        groups = [Group(source="learned", conditions=(), r=2, first_pass=True), *groups]
    case = zoo.Case(family, task)
    condition = ha.Instance(source=source, standardised=standardised)
    return case, zoo.make_adapted(case, conditions={"content": condition}, groups=groups)


def batches(zoo, case, count=6):
    for seed in range(count):
        torch.manual_seed(seed)
        batch = zoo.make_batch(case)
        ids = torch.randint(5, 60, batch["input_ids"].shape)
        yield {**batch, "input_ids": ids}


def standardised_vectors(model):
    seen = []
    (encoder,) = ha.adapter_network(model).encoders_of("content")
    encoder.inner.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    return seen


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_read_gets_mean_0_and_variance_1(zoo, source):
    case, model = adapted(zoo, source)
    ha.calibrate(model, batches(zoo, case))
    seen = standardised_vectors(model.eval())
    with torch.no_grad():
        for batch in batches(zoo, case):
            model(**batch)
    read = torch.cat(seen)
    assert read.mean(dim=0).abs().max() < 1e-3
    assert read.std(dim=0).max() == pytest.approx(1.0, abs=1e-3)
    assert read.std(dim=0).median() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_else_changes(zoo, source):
    case, model = adapted(zoo, source)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    conditioning = conditioning_of(model)
    control = conditioning.control = lambda _, pooled: pooled
    for training in (True, False):
        model.train(training)
        ha.calibrate(model, list(batches(zoo, case)))
        assert model.training == training and conditioning.control is control
    after = model.state_dict()
    changed = {n for n, value in after.items() if not torch.equal(value, before[n])}
    assert changed and all(n.endswith((".mean", ".deviation")) for n in changed)
    assert not any(value.grad is not None for value in model.parameters())


def test_the_sample_is_saved_with_the_adapter(zoo, tmp_path):
    case, model = adapted(zoo, "encoder")
    zoo.randomise(model)
    ha.calibrate(model, batches(zoo, case))
    batch = next(iter(batches(zoo, case)))
    with torch.no_grad():
        wanted = model.eval()(**batch).logits
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(zoo.make_backbone(case), tmp_path).eval()
    (encoder,) = ha.adapter_network(loaded).encoders_of("content")
    assert encoder.mean.abs().max() > 0
    with torch.no_grad():
        assert torch.equal(loaded(**batch).logits, wanted)


def test_rows_do_not_depend_on_each_other(zoo):
    case, model = adapted(zoo, "encoder")
    zoo.randomise(model)
    ha.calibrate(model, batches(zoo, case))
    batch = next(iter(batches(zoo, case)))
    with torch.no_grad():
        together = model.eval()(**batch).logits
        for row in range(len(together)):
            alone = model(**zoo.row_of(batch, row)).logits[0]
            torch.testing.assert_close(alone, together[row], atol=1e-4, rtol=1e-4)


def test_it_tells_inputs_apart_that_were_all_alike(zoo):
    """What a generator can see of the input: the part of its reading that differs by row."""
    case, plain = adapted(zoo, "encoder", standardised=False)
    _, model = adapted(zoo, "encoder")
    ha.calibrate(model, batches(zoo, case))
    read = read_inputs(plain, batches(zoo, case))["content"]
    seen = standardised_vectors(model.eval())
    with torch.no_grad():
        for batch in batches(zoo, case):
            model(**batch)

    def cosine(x):
        return torch.cosine_similarity(x[:, None], x[None], dim=-1).mean()

    assert cosine(torch.cat(seen)) < cosine(read)


@pytest.mark.parametrize("given", [[], iter(())])
def test_without_inputs(zoo, given):
    _, model = adapted(zoo, "encoder")
    with pytest.raises(ConfigError, match="inputs"):
        ha.calibrate(model, given)


def test_a_model_that_is_not_adapted_by_its_input(zoo):
    case = zoo.Case("BERT", "SEQ_CLS")
    model = zoo.make_adapted(case)
    assert read_inputs(model, (1 / 0 for _ in range(2))) == {}
    with pytest.raises(ConfigError, match="Instance"):
        ha.calibrate(model, batches(zoo, case))
    with pytest.raises(ConditionError, match="no hyperadapter"):
        ha.calibrate(zoo.make_backbone(case), batches(zoo, case))
