"""Decoding by hand with a cache: keys and values belong to the conditions they were made under."""

import pytest
import torch

import hyperadapters as ha
from hyperadapters.errors import ConditionError

IDS = torch.tensor([2, -1, 0, 2])
TOKENS = torch.randint(4, 50, (4, 7), generator=torch.Generator().manual_seed(2))
SPLIT = 4


@pytest.fixture
def model(adapted):
    return adapted("llama")


def begun(model, ids=IDS):
    """The cache of the first tokens."""
    return model(input_ids=TOKENS[:, :SPLIT], annotator_ids=ids, use_cache=True).past_key_values


def continued(model, cache, **conditions):
    return model(input_ids=TOKENS[:, SPLIT:], past_key_values=cache, use_cache=True, **conditions)


@torch.no_grad()
def test_continuing_under_the_same_conditions_is_the_full_forward(model):
    whole = model(input_ids=TOKENS, annotator_ids=IDS).logits
    got = continued(model, begun(model), annotator_ids=IDS.clone()).logits
    torch.testing.assert_close(got, whole[:, SPLIT:], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_token_by_token(model):
    whole = model(input_ids=TOKENS, annotator_ids=IDS).logits
    cache = None
    for position in range(TOKENS.shape[1]):
        token = TOKENS[:, position : position + 1]
        out = model(input_ids=token, annotator_ids=IDS, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        torch.testing.assert_close(out.logits[:, 0], whole[:, position], atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("others", [torch.tensor([2, -1, 0, 3]), 2, IDS.flip(0)])
def test_other_conditions_are_refused(model, others):
    cache = begun(model)
    with pytest.raises(ConditionError, match="cache"):
        continued(model, cache, annotator_ids=others)
    # The refusal comes before anything is written into the cache.
    whole = model(input_ids=TOKENS, annotator_ids=IDS).logits
    got = continued(model, cache, annotator_ids=IDS).logits
    torch.testing.assert_close(got, whole[:, SPLIT:], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_cache_of_the_backbone_is_refused(model):
    with model.disable_adapter():
        cache = begun(model)
    with pytest.raises(ConditionError, match="cache"):
        continued(model, cache, annotator_ids=IDS)


@torch.no_grad()
def test_conditions_around_the_loop_count_too(model):
    whole = model(input_ids=TOKENS, annotator_ids=IDS).logits
    with ha.conditioned(model, annotator_ids=IDS):
        cache = model(input_ids=TOKENS[:, :SPLIT], use_cache=True).past_key_values
        got = continued(model, cache).logits
    torch.testing.assert_close(got, whole[:, SPLIT:], atol=1e-5, rtol=1e-5)
    with ha.conditioned(model, annotator_ids=3), pytest.raises(ConditionError, match="cache"):
        continued(model, cache)


@torch.no_grad()
def test_an_empty_cache_belongs_to_nobody_yet(model):
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    wanted = model(input_ids=TOKENS, annotator_ids=IDS).logits
    got = model(input_ids=TOKENS, annotator_ids=IDS, past_key_values=cache, use_cache=True).logits
    torch.testing.assert_close(got, wanted)


@torch.no_grad()
def test_generate_goes_on_from_a_cache(model):
    """A conversation in turns: the second `generate` gets the cache of the first."""
    options = {"max_new_tokens": 3, "min_new_tokens": 3, "do_sample": False}
    first = model.generate(
        input_ids=TOKENS, annotator_ids=IDS, return_dict_in_generate=True, **options
    )
    turn = torch.cat([first.sequences, TOKENS[:, :2]], dim=1)
    wanted = model.generate(input_ids=turn, annotator_ids=IDS, **options)
    got = model.generate(
        input_ids=turn, annotator_ids=IDS, past_key_values=first.past_key_values, **options
    )
    assert torch.equal(got, wanted)
    with pytest.raises(ConditionError, match="cache"):
        model.generate(
            input_ids=got, annotator_ids=3, past_key_values=first.past_key_values, **options
        )
