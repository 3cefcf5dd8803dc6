"""Tiny T5s for the oracle, and its adapters once more: batched, as hooks on their modules."""

import contextlib
import dataclasses

import numpy as np
import pytest
import torch
import transformers as hf
from transformers.models.t5.modeling_t5 import T5LayerFF

import hyperdecoder_oracle as REF

# Hugging Face cannot generate with more layers in the decoder than in the encoder.
D, LAYERS, DECODER_LAYERS, TASKS = 16, 3, 2, 3


MODES = ("none", "manual", "manual_specific", "task", "generated")


TOLERANCE = {"rtol": 0, "atol": 1e-10}


def make_model(gated: bool, seed: int, vocab: int = 40) -> hf.T5ForConditionalGeneration:
    config = hf.T5Config(
        vocab_size=vocab,
        d_model=D,
        d_kv=3,  # not d_model / heads
        d_ff=20,
        num_layers=LAYERS,
        num_decoder_layers=DECODER_LAYERS,
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=10,
        feed_forward_proj="gated-gelu" if gated else "relu",
        tie_word_embeddings=not gated,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = hf.T5ForConditionalGeneration(config).double().eval()
        # Older versions do not take it from `tie_word_embeddings`.
        model.config.scale_decoder_outputs = not gated
        if gated:  # Transformers 5 ties a new model whatever the configuration says
            model.lm_head.weight = torch.nn.Parameter(torch.empty(vocab, D, dtype=torch.double))
        else:
            assert model.lm_head.weight is model.shared.weight
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "layer_norm" in name:
                    weight.copy_(1 + 0.2 * torch.randn_like(weight))
                else:
                    scale = 1.0 if name.startswith("shared") else 0.4
                    weight.copy_(scale * torch.randn_like(weight))
    return model


def make_backbone(model: hf.T5ForConditionalGeneration):
    config = model.config
    return REF.Backbone(
        weights={name: weight.numpy() for name, weight in model.state_dict().items()},
        d_model=config.d_model,
        d_kv=config.d_kv,
        num_heads=config.num_heads,
        num_layers=config.num_layers,
        num_decoder_layers=config.num_decoder_layers,
        gated=config.feed_forward_proj == "gated-gelu",
        tied=config.feed_forward_proj == "relu",
        num_buckets=config.relative_attention_num_buckets,
        max_distance=config.relative_attention_max_distance,
        epsilon=config.layer_norm_epsilon,
    )


def make_inputs(seed: int, vocab: int = 40) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Four rows: whole, padded on the right, padded on the left, and with a hole."""
    random = np.random.default_rng(seed)
    ids = random.integers(2, vocab, (4, 14))
    mask = np.ones_like(ids)
    mask[1, 9:] = mask[2, :5] = mask[3, 4:7] = 0
    ids[mask == 0] = 0
    decoder_ids = random.integers(0, vocab, (4, 12))
    decoder_ids[:, 0] = 0
    return tuple(torch.as_tensor(x) for x in (ids, mask, decoder_ids))


def make_adapter(random: np.random.Generator, a: int):
    return REF.Adapter(
        down=0.3 * random.normal(size=(D, a)),
        down_bias=0.3 * random.normal(size=a),
        up=0.3 * random.normal(size=(a, D)),
        up_bias=0.3 * random.normal(size=D),
    )


def make_stack(mode: str, seed: int, layers: int, a: int, with_mlp=True, norm_input=False):
    """All that the mode reads, and nothing else."""
    random = np.random.default_rng(seed)
    h = 7
    fields = {}
    if mode in ("manual", "generated"):
        fields["learned"] = [make_adapter(random, a) for _ in range(layers)]
    if mode == "manual_specific":
        fields["per_task"] = [
            [make_adapter(random, a) for _ in range(layers)] for _ in range(TASKS)
        ]
    if mode == "task":
        fields["task_embedding"] = random.normal(size=(TASKS, D))
    if mode in ("task", "generated"):
        sizes = {
            **{"W1": (h, D + 10), "b1": (h,), "layer_embedding": (layers, 10)},
            **{"H_up": (a * D, h), "c_up": (a * D,), "H_dn": (D * a, h), "c_dn": (D * a,)},
            **{"H_bu": (D, h), "c_bu": (D,), "H_bd": (a, h), "c_bd": (a,)},
        }
        scale = {"W1": 0.5, "layer_embedding": 1.0}
        generator = {n: scale.get(n, 0.2) * random.normal(size=s) for n, s in sizes.items()}
        fields["generator"] = REF.Generator(**generator)
    if mode == "generated" and with_mlp:
        shapes = ((D, D), (D,), (D, D), (D,))
        fields["mlp"] = REF.Mlp(*(0.4 * random.normal(size=shape) for shape in shapes))
    return REF.Stack(mode=mode, adapter_norm_input=norm_input, **fields)


def make_system(model, encoder: str, decoder: str, seed: int = 0, **options):
    return REF.System(
        make_backbone(model),
        make_stack(encoder, seed + 100, LAYERS, 3, **options),
        make_stack(decoder, seed + 200, DECODER_LAYERS, 5, **options),
    )


def batched(adapters) -> list[torch.Tensor]:
    """Adapters of the rows → down (rows, d, a), down_bias, up, up_bias."""
    fields = [field.name for field in dataclasses.fields(REF.Adapter)]
    return [torch.as_tensor(np.stack([getattr(x, name) for x in adapters])) for name in fields]


def written(generator, z: torch.Tensor) -> list[list[torch.Tensor]]:
    """Per layer the batched adapters for z (rows, d), with W1 [z; e] = W1z z + W1e e."""
    g = {name: torch.as_tensor(value) for name, value in vars(generator).items()}
    d, a = len(g["c_bu"]), len(g["c_bd"])
    seen = torch.nn.functional.linear(z, g["W1"][:, :d], g["b1"])
    layers = []
    for e in g["layer_embedding"]:
        u = torch.relu(seen + g["W1"][:, d:] @ e)
        down = torch.nn.functional.linear(u, g["H_dn"], g["c_dn"]).view(-1, d, a)
        up = torch.nn.functional.linear(u, g["H_up"], g["c_up"]).view(-1, a, d)
        down_bias = torch.nn.functional.linear(u, g["H_bd"], g["c_bd"])
        up_bias = torch.nn.functional.linear(u, g["H_bu"], g["c_bu"])
        layers.append([down, down_bias, up, up_bias])
    return layers


def fixed(stack, tasks: torch.Tensor) -> list[list[torch.Tensor]]:
    if stack.mode == "manual":
        return [batched([x] * len(tasks)) for x in stack.learned]
    if stack.mode == "manual_specific":
        layers = zip(*(stack.per_task[t] for t in tasks.tolist()), strict=True)
        return [batched(layer) for layer in layers]
    return written(stack.generator, torch.as_tensor(stack.task_embedding)[tasks])


def from_instance(stack, states: torch.Tensor, mask: torch.Tensor) -> list[list[torch.Tensor]]:
    z = torch.einsum("bnd,bn->bd", states, mask.double()) / mask.sum(1, keepdim=True)
    if stack.mlp is not None:
        w1, b1, w2, b2 = (torch.as_tensor(x) for x in vars(stack.mlp).values())
        z = torch.relu(z @ w1.T + b1) @ w2.T + b2
    return written(stack.generator, z)


@contextlib.contextmanager
def hooked(t5_stack, layers, norm_input: bool):
    modules = [module for module in t5_stack.modules() if isinstance(module, T5LayerFF)]
    handles = []
    for module, weights in zip(modules, layers, strict=True):

        def hook(module, inputs, output, weights=weights):
            x = module.layer_norm(inputs[0]) if norm_input else inputs[0]
            times = len(x) // len(weights[0])  # beams
            down, down_bias, up, up_bias = (w.repeat_interleave(times, 0) for w in weights)
            hidden = torch.relu(torch.bmm(x, down) + down_bias[:, None])
            return output + torch.bmm(hidden, up) + up_bias[:, None]

        handles.append(module.register_forward_hook(hook))
    yield
    for handle in handles:
        handle.remove()


@contextlib.contextmanager
@torch.no_grad()
def adapted(model, system, ids, mask, tasks):
    """The model, with the adapters of these rows."""
    encoder, decoder = system.encoder, system.decoder
    with contextlib.ExitStack() as hooks:
        if encoder.mode == "generated":
            learned = [batched([x] * len(ids)) for x in encoder.learned]
            with hooked(model.encoder, learned, encoder.adapter_norm_input):
                states = model.encoder(ids, attention_mask=mask).last_hidden_state
            layers = from_instance(encoder, states, mask)
        elif encoder.mode != "none":
            layers = fixed(encoder, tasks)
        if encoder.mode != "none":
            hooks.enter_context(hooked(model.encoder, layers, encoder.adapter_norm_input))
        if decoder.mode == "generated":
            states = model.encoder(ids, attention_mask=mask).last_hidden_state
            layers = from_instance(decoder, states, mask)
        elif decoder.mode != "none":
            layers = fixed(decoder, tasks)
        if decoder.mode != "none":
            hooks.enter_context(hooked(model.decoder, layers, decoder.adapter_norm_input))
        yield


@torch.no_grad()
def model_logits(model, ids, mask, decoder_ids) -> np.ndarray:
    return model(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder_ids).logits.numpy()


def check_greedy(model, system, ids, mask, tasks=None, **lengths) -> set[bool]:
    found = REF.greedy(system, ids, mask, tasks=tasks, **lengths)
    rows = model.generate(ids, attention_mask=mask, do_sample=False, **lengths).tolist()
    for tokens, row in zip(found, rows, strict=True):
        assert tokens + [0] * (len(row) - len(tokens)) == row
    return {tokens[-1] == 1 for tokens in found}


def check_beams(model, system, ids, mask, beams, tasks=None, **lengths) -> set[bool]:
    found = REF.beam_search(system, ids, mask, beams, tasks=tasks, **lengths)
    result = model.generate(
        ids,
        attention_mask=mask,
        num_beams=beams,
        num_return_sequences=beams,
        return_dict_in_generate=True,
        output_scores=True,
        **lengths,
    )
    found = [hypothesis for row in found for hypothesis in row]
    assert len(found) == len(result.sequences)
    for hypothesis, row, score in zip(
        found, result.sequences.tolist(), result.sequences_scores, strict=True
    ):
        length = len(hypothesis.tokens)
        assert hypothesis.tokens == row[:length]
        # Hugging Face fills up with the end token where the padding token is 0.
        assert set(row[length:]) <= {0, 1}
        assert hypothesis.score == pytest.approx(score.item(), abs=1e-5)
    return {hypothesis.tokens[-1] == 1 for hypothesis in found}
