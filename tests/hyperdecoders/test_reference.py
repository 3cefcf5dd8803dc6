"""The oracle's T5, against that of Hugging Face."""

import numpy as np
import pytest
import torch
import transformers as hf
from transformers.models.t5.modeling_t5 import T5Attention

import hyperdecoder_oracle as REF
from oracle_models import (
    TOLERANCE,
    check_beams,
    check_greedy,
    make_backbone,
    make_inputs,
    make_model,
    model_logits,
)

pytestmark = pytest.mark.skipif(
    hf.__version__.startswith("5.0."),
    reason="Transformers 5.0 takes T5's softmax in float32 and ranks beams otherwise",
)


@pytest.mark.parametrize("buckets, distance", [(8, 10), (8, 20), (32, 128), (16, 64), (12, 50)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_are_those_of_hugging_face(buckets, distance, bidirectional):
    positions = range(-300, 301)
    expected = T5Attention._relative_position_bucket(
        torch.tensor(positions), bidirectional, buckets, distance
    )
    found = [REF.position_bucket(x, bidirectional, buckets, distance) for x in positions]
    assert found == expected.tolist()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("gated", [False, True], ids=["v1.0", "v1.1"])
def test_plain_logits(gated, seed):
    model = make_model(gated, seed)
    inputs = make_inputs(seed)
    found = REF.logits(REF.System(make_backbone(model)), *inputs)
    expected = model_logits(model, *inputs)
    assert expected.std() > 0.3
    np.testing.assert_allclose(found, expected, **TOLERANCE)


@pytest.mark.parametrize("min_length", [0, 4])
@pytest.mark.parametrize("gated", [False, True], ids=["v1.0", "v1.1"])
def test_plain_greedy(gated, min_length):
    ends = set()
    for seed in range(4):
        model = make_model(gated, seed, vocab=12)
        ids, mask, _ = make_inputs(seed, vocab=12)
        system = REF.System(make_backbone(model))
        ends |= check_greedy(model, system, ids, mask, max_length=9, min_length=min_length)
    assert ends == {True, False}  # both ways to end have been seen


@pytest.mark.parametrize("seeds", [(1, 8, 22), pytest.param((0, 2, 3), marks=pytest.mark.slow)])
@pytest.mark.parametrize("beams", [2, 3, 4])
@pytest.mark.parametrize("gated", [False, True], ids=["v1.0", "v1.1"])
def test_plain_beams(gated, beams, seeds):
    ends = set()
    for seed in seeds:  # 8, 22: an end token below the first beams would have won
        model = make_model(gated, seed, vocab=12)
        ids, mask, _ = make_inputs(seed, vocab=12)
        system = REF.System(make_backbone(model))
        lengths = {"max_length": 10, "min_length": 2 * (seed % 2)}
        ends |= check_beams(model, system, ids, mask, beams, **lengths)
    assert ends == {True, False}
