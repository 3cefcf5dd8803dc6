"""The oracle's adapters, against a small batched computation with hooks."""

import numpy as np
import pytest
import torch
import transformers as hf
from transformers.models.t5.modeling_t5 import T5LayerFF

import hyperdecoder_oracle as REF
from oracle_models import (
    DECODER_LAYERS,
    LAYERS,
    MODES,
    TOLERANCE,
    D,
    adapted,
    check_beams,
    check_greedy,
    make_inputs,
    make_model,
    make_stack,
    make_system,
    model_logits,
)

pytestmark = pytest.mark.skipif(
    hf.__version__.startswith("5.0."),
    reason="Transformers 5.0 takes T5's softmax in float32 and ranks beams otherwise",
)


def test_generated_vectors_are_read_row_by_row():
    stack = make_stack("task", 0, LAYERS, 3)
    zero = {name: 0 * value for name, value in vars(stack.generator).items()}
    order = np.arange(3.0 * D)
    generator = REF.Generator(**{**zero, "c_dn": order, "c_up": -order})
    adapter = REF.generate(generator, np.ones(D), 1)
    np.testing.assert_array_equal(adapter.down, order.reshape(D, 3))
    np.testing.assert_array_equal(adapter.up, -order.reshape(3, D))


@pytest.mark.parametrize("norm_input", [False, True])
@pytest.mark.parametrize("gated", [False, True], ids=["v1.0", "v1.1"])
def test_learned_adapters(gated, norm_input):
    model = make_model(gated, 5)
    inputs = make_inputs(5)
    system = make_system(model, "manual", "manual", norm_input=norm_input)
    found = REF.logits(system, *inputs)
    plain = model_logits(model, *inputs)

    # The plainest of hooks: nn.functional.linear in the layout of nn.Linear.
    handles = []
    for stack, t5_stack in ((system.encoder, model.encoder), (system.decoder, model.decoder)):
        modules = [module for module in t5_stack.modules() if isinstance(module, T5LayerFF)]
        for module, adapter in zip(modules, stack.learned, strict=True):

            def hook(module, inputs, output, adapter=adapter):
                x = module.layer_norm(inputs[0]) if norm_input else inputs[0]
                down, down_bias, up, up_bias = (torch.as_tensor(w) for w in vars(adapter).values())
                hidden = torch.nn.functional.linear(x, down.T, down_bias).relu()
                return output + torch.nn.functional.linear(hidden, up.T, up_bias)

            handles.append(module.register_forward_hook(hook))
    expected = model_logits(model, *inputs)
    assert np.abs(expected - plain).max() > 0.1
    np.testing.assert_allclose(found, expected, **TOLERANCE)


@pytest.mark.parametrize("decoder", MODES)
@pytest.mark.parametrize("encoder", MODES)
def test_every_pair_of_modes(encoder, decoder):
    gated = MODES.index(encoder) % 2 == MODES.index(decoder) % 2
    model = make_model(gated, 7)
    ids, mask, decoder_ids = make_inputs(7)
    tasks = torch.tensor([2, 0, 1, 0])
    system = make_system(model, encoder, decoder)
    found = REF.logits(system, ids, mask, decoder_ids, tasks.tolist())
    plain = model_logits(model, ids, mask, decoder_ids)
    with adapted(model, system, ids, mask, tasks):
        expected = model_logits(model, ids, mask, decoder_ids)
    if (encoder, decoder) != ("none", "none"):
        assert (np.abs(expected - plain).max((1, 2)) > 0.1).all()
    np.testing.assert_allclose(found, expected, **TOLERANCE)


@pytest.mark.parametrize("option", [{"with_mlp": False}, {"norm_input": True}], ids=str)
@pytest.mark.parametrize("encoder", ["manual", "generated"])
def test_options_of_generated_adapters(encoder, option):
    model = make_model(True, 8)
    ids, mask, decoder_ids = make_inputs(8)
    usual = make_system(model, encoder, "generated")
    system = make_system(model, encoder, "generated", **option)
    found = REF.logits(system, ids, mask, decoder_ids)
    assert np.abs(found - REF.logits(usual, ids, mask, decoder_ids)).max() > 0.1
    with adapted(model, system, ids, mask, torch.zeros(4, dtype=torch.long)):
        expected = model_logits(model, ids, mask, decoder_ids)
    np.testing.assert_allclose(found, expected, **TOLERANCE)


@pytest.mark.parametrize("encoder, decoder", [("manual", "generated"), ("generated", "task")])
@pytest.mark.parametrize("gated", [False, True], ids=["v1.0", "v1.1"])
def test_adapted_generation(gated, encoder, decoder):
    model = make_model(gated, 3, vocab=12)
    ids, mask, _ = make_inputs(3, vocab=12)
    tasks = torch.tensor([2, 0, 1, 0])
    system = make_system(model, encoder, decoder)
    with adapted(model, system, ids, mask, tasks):
        lengths = {"max_length": 8, "min_length": 2}
        check_greedy(model, system, ids, mask, tasks.tolist(), **lengths)
        check_beams(model, system, ids, mask, 3, tasks.tolist(), **lengths)


def test_generated_adapters_differ_between_rows_and_layers():
    model = make_model(True, 9)
    ids, mask, _ = make_inputs(9)
    rows = REF.encode(make_system(model, "generated", "generated"), ids, mask)
    for name, layers in (("encoder_adapters", LAYERS), ("decoder_adapters", DECODER_LAYERS)):
        matrices = [adapter.down for row in rows for adapter in getattr(row, name)]
        assert len(matrices) == 4 * layers
        for i, one in enumerate(matrices):
            assert all(np.abs(one - other).max() > 1e-3 for other in matrices[:i])


def test_padding_has_no_influence():
    model = make_model(False, 4)
    ids, mask, decoder_ids = make_inputs(4)
    system = make_system(model, "generated", "generated")
    padded = REF.logits(system, ids, mask, decoder_ids)
    for row in (0, 1, 2):  # without padding; row 3 has a hole, which moves positions
        keep = mask[row] == 1
        alone = REF.logits(
            system, ids[row : row + 1, keep], mask[row : row + 1, keep], decoder_ids[row : row + 1]
        )
        np.testing.assert_allclose(alone[0], padded[row], rtol=0, atol=1e-12)
