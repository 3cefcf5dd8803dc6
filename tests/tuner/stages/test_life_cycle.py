"""Saved, copied, switched off and removed; several adapters; failures in the middle."""

import copy

import pytest
import torch
from peft import PeftModel
from torch import nn

import hyperadapters as ha
from hyperadapters.errors import ConditionError
from hyperadapters.tuner.conditioning import conditioning_of
from pairwise import pairwise
from staged import FAMILIES, STAGES, TWO_KINDS, WRITING, assert_nothing_is_left, counted, described

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")


@pairwise(family=FAMILIES, stages=STAGES, kind=TWO_KINDS)
@torch.no_grad()
def test_saved_and_loaded(zoo, adapted, tmp_path, family, stages, kind):
    model, batch = adapted(family, stages, kind, share_encoders=False)
    model.save_pretrained(tmp_path)
    case = zoo.Case(family, "SEQ_2_SEQ_LM")
    loaded = PeftModel.from_pretrained(zoo.make_backbone(case), tmp_path).eval()
    assert torch.equal(loaded(**batch).logits, model(**batch).logits)
    texts = zoo.make_texts()
    assert torch.equal(loaded.generate(**texts, **WRITING), model.generate(**texts, **WRITING))
    assert ha.adapter_network(loaded).spec == ha.adapter_network(model).spec


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", ["T5", "BART", "EncoderDecoder"])
@torch.no_grad()
def test_a_deep_copy_is_its_own(zoo, adapted, family, stages):
    model, batch = adapted(family, stages, "published")
    wanted = model(**batch).logits
    copied = copy.deepcopy(model)
    zoo.randomise(copied, seed=5)
    theirs = copied(**batch).logits
    assert torch.equal(model(**batch).logits, wanted) and not torch.equal(theirs, wanted)
    for one in (model, copied):
        hooks = one.get_base_model().get_encoder()._forward_hooks.values()
        readers = [h.__self__ for h in hooks if type(h.__self__).__name__ == "EncoderReader"]
        assert [r.conditioning is conditioning_of(one) for r in readers] == [True] * len(readers)
        assert len(readers) == (stages != "first-pass")
    unloaded = copied.unload()
    assert not unloaded.get_encoder()._forward_hooks
    assert torch.equal(model(**batch).logits, wanted)


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_off_and_unloaded(zoo, adapted, family, stages):
    model, batch = adapted(family, stages)
    case, texts = zoo.Case(family, "SEQ_2_SEQ_LM"), zoo.make_texts()
    plain, calls = zoo.make_backbone(case), counted(model)
    wanted, written = plain(**batch).logits, plain.generate(**texts, **WRITING)
    with model.disable_adapter():
        assert torch.equal(model(**batch).logits, wanted)
        assert torch.equal(model.generate(**texts, **WRITING), written)
    assert calls == [0] * len(calls)
    own = model(**batch).logits
    assert not torch.equal(own, wanted)
    model = model.unload()
    assert torch.equal(model(**batch).logits, wanted)
    assert torch.equal(model.generate(**texts, **WRITING), written)
    encoder = model.get_encoder()
    assert not encoder._forward_hooks and not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize("family", ["T5", "BART"])
@torch.no_grad()
def test_beside_an_adapter_without_stages(zoo, adapted, family):
    model, batch = adapted(family)
    case, texts = zoo.Case(family, "SEQ_2_SEQ_LM"), zoo.make_texts()
    first = model(**batch).logits
    model.add_adapter("other", zoo.make_adapter_config(case))
    for parameter in ha.adapter_network(model, "other").parameters():
        nn.init.normal_(parameter, std=0.3)
    assert torch.equal(model(**batch).logits, first)
    ids = {"annotator_ids": torch.tensor([3, -1, 0, 3])}
    alone = zoo.make_adapted(case, random=False)
    ha.adapter_network(alone).load_state_dict(ha.adapter_network(model, "other").state_dict())
    model.set_adapter("other")
    passes = []
    encoder = model.get_base_model().get_encoder()
    handle = encoder.register_forward_pre_hook(lambda *_: passes.append(1))
    second = model(**batch, **ids).logits
    assert passes == [1]
    handle.remove()
    assert torch.equal(second, alone(**batch, **ids).logits)
    with pytest.raises(ConditionError, match="missing condition annotator_ids"):
        model(**batch)
    model.base_model.set_adapter(["default", "other"])
    both = model(**batch, **ids).logits
    assert not torch.equal(both, first) and not torch.equal(both, second)
    written = model.generate(**texts, **ids, num_beams=3, **WRITING)
    for row in range(4):
        got = model(**zoo.row_of(batch, row), annotator_ids=ids["annotator_ids"][row]).logits[0]
        assert (got - both[row]).norm() < 1e-2 * both[row].norm()
        given = zoo.row_of(texts, row)
        got = model.generate(
            **given, annotator_ids=ids["annotator_ids"][row], num_beams=3, **WRITING
        )
        assert torch.equal(got[0], written[row])
    model.delete_adapter("default")
    assert not encoder._forward_hooks
    assert torch.equal(model(**batch, **ids).logits, second)
    # And again, beside what was there before.
    model.add_adapter("third", zoo.make_adapter_config(case, **described("both", "mlp")))
    model.set_adapter("third")
    assert model(**batch).logits.isfinite().all()
    assert len(encoder._forward_hooks) == 1


@torch.no_grad()
def test_one_name_that_two_active_adapters_read_differently(zoo, adapted):
    model, batch = adapted("T5", "encoder")
    other = described("encoder", "mlp")
    other["conditions"] = {"encoded": ha.Instance(pool="max", source="encoder")}
    model.add_adapter("other", zoo.make_adapter_config(zoo.Case("T5", "SEQ_2_SEQ_LM"), **other))
    assert model(**batch).logits.isfinite().all()
    model.base_model.set_adapter(["default", "other"])
    with pytest.raises(ConditionError, match=r"encoded.*differently"):
        model(**batch)
    assert_nothing_is_left(model)
    model.set_adapter("other")
    assert model(**batch).logits.isfinite().all()


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("family", ["T5", "BART", "EncoderDecoder"])
@torch.no_grad()
def test_a_failure_in_the_middle_leaves_nothing(zoo, adapted, family, stages):
    model, batch = adapted(family, stages, "published")
    texts = zoo.make_texts()
    wanted, written = model(**batch).logits, model.generate(**texts, **WRITING)
    base = model.get_base_model()
    places = [p for p in base.get_encoder().modules() if isinstance(p, nn.Dropout)][-1:]
    places += [p for p in base.get_decoder().modules() if isinstance(p, nn.Dropout)][-1:]
    places += [ha.adapter_network(model).sources[-1]]
    for place in places:
        handle = place.register_forward_pre_hook(lambda *_: 1 / 0)
        for call in (lambda: model(**batch), lambda: model.generate(**texts, **WRITING)):
            with pytest.raises(ZeroDivisionError):
                call()
            assert_nothing_is_left(model)
        handle.remove()
        assert torch.equal(model(**batch).logits, wanted)
        assert torch.equal(model.generate(**texts, **WRITING), written)
