import numpy as np
import pytest
import torch

import hyperadapters as ha
from hyperadapters.errors import AdapterShapeError, ConditionError
from hyperadapters.tuner.conditioning import conditioning_of

IDS = torch.tensor([2, -1, 0, 2, 6, -1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "missing condition annotator_ids"),
        ({"annotator_ids": None}, "missing condition annotator_ids"),
        ({"annotator_ids": torch.arange(5)}, "annotator_ids: got 5 values for a batch of 6 rows"),
        ({"annotator_ids": [3]}, "annotator_ids: got 1 value for a batch of 6 rows"),
        ({"annotator_ids": torch.zeros(6)}, "annotator_ids: got torch.float32, wanted integers"),
        ({"annotator_ids": 2.0}, "annotator_ids: got torch.float32, wanted integers"),
        ({"annotator_ids": torch.ones(6) > 0}, "annotator_ids: got torch.bool, wanted integers"),
        ({"annotator_ids": torch.arange(6) + 2}, "annotator_ids: got index 7; wanted 0 to 6"),
        ({"annotator_ids": -2}, "annotator_ids: got index -2; wanted 0 to 6"),
        (
            {"annotator_ids": torch.zeros(6, 1, dtype=torch.long)},
            r"annotator_ids: got shape \(6, 1\), wanted one index per row",
        ),
    ],
)
def test_conditions_that_do_not_fit_the_batch(adapted, texts, given, message):
    model = adapted()
    with pytest.raises(ConditionError, match=message):
        model(**texts(), **given)


def test_a_model_may_refuse_the_population(adapted, texts):
    model = adapted(conditions={"annotator_ids": ha.Lookup(7, unknown="error")})
    with pytest.raises(ConditionError, match=r"got -1 \(unknown\), which this model refuses"):
        model(**texts(), annotator_ids=IDS)


@torch.no_grad()
def test_indices_of_any_kind(adapted, texts):
    model = adapted()
    wanted = model(**texts(), annotator_ids=IDS).logits
    for same in (IDS.tolist(), IDS.numpy(), IDS.int(), np.asarray(IDS, dtype=np.int16)):
        assert torch.equal(model(**texts(), annotator_ids=same).logits, wanted)


@torch.no_grad()
def test_one_index_serves_all_rows(adapted, texts):
    model = adapted()
    wanted = model(**texts(), annotator_ids=[4] * 6).logits
    for single in (4, np.int64(4), torch.tensor(4)):
        torch.testing.assert_close(model(**texts(), annotator_ids=single).logits, wanted)


@torch.no_grad()
def test_conditioned_applies_in_the_block_and_not_after(adapted, texts):
    model = adapted()
    wanted = [model(**texts(), annotator_ids=i).logits for i in range(2)]
    with ha.conditioned(model, annotator_ids=0):
        assert torch.equal(model(**texts()).logits, wanted[0])
        assert torch.equal(model.get_base_model()(**texts()).logits, wanted[0])
        with ha.conditioned(model, annotator_ids=1):
            assert torch.equal(model(**texts()).logits, wanted[1])
        # What is said in the call counts more than what is said around it.
        assert torch.equal(model(**texts(), annotator_ids=1).logits, wanted[1])
        assert torch.equal(model(**texts()).logits, wanted[0])
    with pytest.raises(ConditionError, match="missing condition"):
        model(**texts())


@torch.no_grad()
def test_conditioned_with_one_index_per_row(adapted, texts):
    model = adapted()
    with ha.conditioned(model, annotator_ids=IDS):
        got = model(**texts()).logits
        # Twelve rows would be two for each condition, which only `generate` means.
        for rows in (5, 12):
            with pytest.raises(ConditionError, match=f"got 6 values for a batch of {rows} rows"):
                model(**texts(rows=rows))
    assert torch.equal(got, model(**texts(), annotator_ids=IDS).logits)


@torch.no_grad()
def test_conditioned_ends_with_an_exception_too(adapted, texts):
    model = adapted()
    with pytest.raises(KeyError), ha.conditioned(model, annotator_ids=0):
        raise KeyError
    with pytest.raises(ConditionError, match="missing condition"):
        model(**texts())


def test_conditioned_checks_at_once(adapted):
    with (
        pytest.raises(ConditionError, match="got index 9"),
        ha.conditioned(adapted(), annotator_ids=9),
    ):
        pytest.fail("the block was entered")


def test_models_without_an_adapter(backbone):
    with pytest.raises(ConditionError, match="BertForSequenceClassification has no hyperadapter"):
        conditioning_of(backbone())


@torch.no_grad()
@pytest.mark.parametrize("place", ["encoder.layer.1", "pooler"])
def test_nothing_is_left_after_an_exception_inside(adapted, texts, place):
    model = adapted()
    wanted = model(**texts(), annotator_ids=IDS).logits

    def fail(*_):
        raise ZeroDivisionError

    handle = model.get_base_model().bert.get_submodule(place).register_forward_pre_hook(fail)
    with pytest.raises(ZeroDivisionError):
        model(**texts(), annotator_ids=IDS)
    handle.remove()
    with pytest.raises(ConditionError, match="missing condition"):
        model(**texts())
    assert torch.equal(model(**texts(), annotator_ids=IDS).logits, wanted)


def test_a_layer_outside_of_a_call(adapted):
    layer = adapted().get_base_model().bert.encoder.layer[0].attention.self.query
    with pytest.raises(ConditionError, match="called without a condition"):
        layer(torch.ones(2, 3, 32))


def test_models_do_not_share_their_state(adapted, texts):
    one, other = adapted(), adapted()
    with ha.conditioned(one, annotator_ids=0), pytest.raises(ConditionError):
        other(**texts())


@torch.no_grad()
def test_two_conditions(adapted, texts):
    model = adapted(conditions={"task_index": ha.Lookup(3), "annotator_ids": ha.Lookup(7)})
    tasks = torch.tensor([0, 1, 2, 2, 1, -1])
    logits = model(**texts(), annotator_ids=IDS, task_index=tasks).logits
    for row in range(6):
        alone = {name: value[row : row + 1] for name, value in texts().items()}
        got = model(**alone, annotator_ids=IDS[row], task_index=tasks[row]).logits
        torch.testing.assert_close(got[0], logits[row], atol=1e-5, rtol=1e-5)
    with pytest.raises(ConditionError, match="missing condition task_index"):
        model(**texts(), annotator_ids=IDS)


@torch.no_grad()
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_shared_texts_give_the_same_as_repeated_ones(adapted, texts, family):
    model = adapted(family)
    batch, text_of_row = texts(rows=3), torch.tensor([0, 2, 2, 0, 1, 2])
    repeated = {name: value[text_of_row] for name, value in batch.items()}
    with ha.adapter_network(model).sources[0].source.deviating(False):
        wanted = model(**repeated, annotator_ids=IDS).logits
        with conditioning_of(model).sharing_texts(text_of_row):
            got = model(**batch, annotator_ids=IDS).logits
            with pytest.raises(ConditionError, match="got 3 values for a batch of 6 rows"):
                model(**batch, annotator_ids=IDS[:3])
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
        assert torch.equal(model(**repeated, annotator_ids=IDS).logits, wanted)
    # With weights that differ from row to row it would be wrong, and is refused.
    with conditioning_of(model).sharing_texts(text_of_row), pytest.raises(AdapterShapeError):
        model(**batch, annotator_ids=IDS)
