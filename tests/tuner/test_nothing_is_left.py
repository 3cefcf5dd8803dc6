"""After a call nothing of it is left, however it ended; and other odd things that users do."""

import copy
import threading

import pytest
import torch

import hyperadapters as ha
from hyperadapters.errors import ConditionError
from hyperadapters.tuner.conditioning import conditioning_of

IDS = torch.tensor([3, -1, 0, 5])
WRITING = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}


@pytest.fixture
def adapted(zoo):
    def make(family="BERT", head=None, **changes):
        case = zoo.Case(family, head or zoo.FAMILIES[family].heads[0])
        return zoo.make_adapted(case, **changes), zoo.make_batch(case)

    return make


def assert_nothing_is_left(model):
    conditioning = conditioning_of(model)
    assert conditioning.active is None and conditioning.enabled and conditioning.waiting == {}
    head = conditioning.tuner._head
    assert head is None or head._of_features is None


def failing(module):
    """A hook that lets a module fail; by its handle it is taken off."""
    return module.register_forward_pre_hook(lambda *_: 1 / 0)


@pytest.mark.parametrize(
    "place", ["bert.embeddings", "bert.encoder.layer.1.attention.self.value", "bert.pooler"]
)
def test_a_call_that_fails_inside(zoo, adapted, place):
    model, batch = adapted(conditions={"annotator_ids": ha.Lookup(7)})
    wanted = zoo.outputs(model, batch, annotator_ids=IDS)
    handle = failing(model.get_base_model().get_submodule(place))
    with pytest.raises(ZeroDivisionError):
        model(**batch, annotator_ids=IDS.flip(0))
    assert_nothing_is_left(model)
    handle.remove()
    assert torch.equal(zoo.outputs(model, batch, annotator_ids=IDS), wanted)


def test_a_head_that_fails_between_its_two_hooks(zoo, adapted):
    model, batch = adapted()
    wanted = zoo.outputs(model, batch, annotator_ids=IDS)
    layer = model.get_base_model().classifier.modules_to_save["default"]
    handle = failing(layer)
    with pytest.raises(ZeroDivisionError):
        model(**batch, annotator_ids=IDS)
    assert_nothing_is_left(model)
    handle.remove()
    copy.deepcopy(model)
    with model.disable_adapter():
        model(**batch)
    assert torch.equal(zoo.outputs(model, batch, annotator_ids=IDS), wanted)


@torch.no_grad()
@pytest.mark.parametrize("instance", [False, True])
def test_writing_that_fails_at_the_third_word(zoo, adapted, instance):
    conditions = {"annotator_ids": ha.Lookup(7)} | ({"text": ha.Instance()} if instance else {})
    model, _ = adapted("Llama", conditions=conditions)
    left = zoo.make_texts(left=True)
    wanted = model.generate(**left, annotator_ids=IDS, **WRITING)

    def stop(ids, scores):
        if ids.shape[1] == left["input_ids"].shape[1] + 2:
            raise ZeroDivisionError
        return scores

    with pytest.raises(ZeroDivisionError):
        model.generate(**left, annotator_ids=IDS.flip(0), logits_processor=[stop], **WRITING)
    assert_nothing_is_left(model)
    with pytest.raises(ConditionError, match="missing condition annotator_ids"):
        model.generate(**left, **WRITING)
    assert torch.equal(model.generate(**left, annotator_ids=IDS, **WRITING), wanted)


@torch.no_grad()
def test_a_block_that_fails_inside_a_block(zoo, adapted):
    model, batch = adapted(conditions={"annotator_ids": ha.Lookup(7), "text": ha.Instance()})
    with ha.conditioned(model, annotator_ids=1):
        wanted = zoo.outputs(model, batch)
        with pytest.raises(ConditionError), ha.conditioned(model, annotator_ids=9):
            model(**batch)
        assert torch.equal(zoo.outputs(model, batch), wanted)
    assert_nothing_is_left(model)


@torch.no_grad()
def test_two_models_in_two_threads(zoo, adapted):
    models = [adapted()[0] for _ in range(2)]
    batch = zoo.make_batch(zoo.Case("BERT", "SEQ_CLS"))
    wanted = [zoo.outputs(m, batch, annotator_ids=i) for i, m in enumerate(models)]
    wrong = []

    @torch.no_grad()
    def work(number):
        for _ in range(30):
            got = zoo.outputs(models[number], batch, annotator_ids=number)
            if not torch.allclose(got, wanted[number], atol=1e-5):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@torch.no_grad()
def test_ways_to_call_it(zoo, adapted):
    model, batch = adapted()
    wanted = zoo.outputs(model, batch, annotator_ids=IDS)
    inner, ids, mask = model.get_base_model(), batch["input_ids"], batch["attention_mask"]
    for got in (
        model(ids, mask, annotator_ids=IDS).logits,
        model.base_model(ids, mask, annotator_ids=IDS).logits,
        model.base_model.model(ids, attention_mask=mask, annotator_ids=IDS).logits,
        inner.forward(ids, mask, annotator_ids=IDS).logits,
        model(**batch, annotator_ids=IDS, return_dict=False)[0],
        model(**batch, annotator_ids=IDS, output_hidden_states=True).logits,
    ):
        assert torch.equal(got, wanted)
    states = model(**batch, annotator_ids=IDS, output_hidden_states=True).hidden_states
    assert len(states) == 3


@torch.no_grad()
def test_a_batch_of_one_and_other_shapes_in_turn(zoo, adapted):
    model, batch = adapted()
    wanted = zoo.outputs(model, batch, annotator_ids=IDS)
    for row in range(4):
        for given in (IDS[row], IDS[row : row + 1], [int(IDS[row])]):
            got = zoo.outputs(model, zoo.row_of(batch, row), annotator_ids=given)
            torch.testing.assert_close(got[0], wanted[row], atol=1e-5, rtol=1e-5)
    assert torch.equal(zoo.outputs(model, batch, annotator_ids=IDS), wanted)


@torch.no_grad()
@pytest.mark.parametrize("form", ["lora", "bottleneck"])
def test_half_precision_throughout(zoo, adapted, form):
    model, batch = adapted(form=form, width=4)
    wanted = zoo.outputs(model, batch, annotator_ids=IDS)
    got = zoo.outputs(model.half(), batch, annotator_ids=IDS)
    assert got.dtype == torch.float16
    torch.testing.assert_close(got.float(), wanted, atol=0.3, rtol=0.1)


@torch.no_grad()
def test_a_classifier_without_a_task_keeps_its_head(zoo, adapted):
    model, batch = adapted(task_type=None)
    plain = zoo.make_backbone(zoo.Case("BERT", "SEQ_CLS"))
    head = model.get_base_model().classifier
    assert torch.equal(head.weight, plain.classifier.weight) and not head.weight.requires_grad
    got = zoo.outputs(model, batch, annotator_ids=IDS)
    with ha.conditioned(model, annotator_ids=IDS):
        features = model.get_base_model().bert(**batch).pooler_output
    assert torch.equal(got, plain.classifier(features))


@torch.no_grad()
def test_two_adapters_at_once_add_up(zoo, adapted):
    model, batch = adapted("Llama")
    case = zoo.Case("Llama", "CAUSAL_LM")
    model.add_adapter("second", zoo.make_adapter_config(case, conditions={"task": ha.Lookup(3)}))
    model.base_model.set_adapter(["default", "second"])
    zoo.randomise(model, 5)
    model.eval()
    given = {"annotator_ids": IDS, "task": torch.tensor([0, 1, 2, -1])}
    together = zoo.outputs(model, batch, **given)
    for row in range(4):
        single = {name: value[row] for name, value in given.items()}
        got = zoo.outputs(model, zoo.row_of(batch, row), **single)[0]
        torch.testing.assert_close(got, together[row, : len(got)], atol=1e-4, rtol=1e-4)
    for name in given:
        with pytest.raises(ConditionError, match=f"missing condition {name}"):
            model(**batch, **{n: v for n, v in given.items() if n != name})
        other = zoo.outputs(model, batch, **{**given, name: given[name].roll(1)})
        assert not torch.allclose(other, together)
