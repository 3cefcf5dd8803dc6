"""Every mode of the preset `paper` against the oracle: the same weights in, the same logits out."""

import itertools

import numpy as np
import pytest
import torch
from peft import get_peft_model
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

import hyperdecoder_oracle as oracle
from hyperadapters.backbones import Seq2SeqBackbone
from hyperadapters.methods.recipes import TaskSettings, build_config
from hyperadapters.tuner import adapter_network, register

N_TASKS, D, HIDDEN = 3, 16, 6
WIDTHS = {"encoder": 5, "decoder": 3}
LAYERS = {"encoder": 3, "decoder": 2}
# Our names of the modes, and those of the oracle.
MODES = {
    "none": "none",
    "learned": "manual",
    "per-task": "manual_specific",
    "task-generated": "task",
    "instance-generated": "generated",
}
PAIRS = [pair for pair in itertools.product(MODES, MODES) if pair != ("none", "none")]
TASKS = [2, 0, 1, 2]


def tiny_t5(gated):
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=40,
            d_model=D,
            d_kv=3,
            num_heads=4,
            d_ff=20,
            num_layers=LAYERS["encoder"],
            num_decoder_layers=LAYERS["decoder"],
            relative_attention_num_buckets=8,
            relative_attention_max_distance=10,
            feed_forward_proj="gated-gelu" if gated else "relu",
            tie_word_embeddings=not gated,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
        )
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    # Older versions of Transformers do not take it from `tie_word_embeddings`.
    model.config.scale_decoder_outputs = not gated
    if gated:
        model.lm_head.weight = nn.Parameter(0.3 * torch.randn(40, D))
    return model


def adapted(encoder, decoder, *, gated=True, reading="plain", seed=0):
    register()
    torch.manual_seed(seed)
    modes = {"encoder": encoder, "decoder": decoder, "reading": reading}
    sizes = {f"{stack}_width": width for stack, width in WIDTHS.items()} | {"hidden_width": HIDDEN}
    settings = TaskSettings().changed({"preset": "paper", **modes, **sizes})
    backbone = Seq2SeqBackbone("tiny", tiny_t5(gated), None)
    model = get_peft_model(backbone.model, build_config(settings, backbone, N_TASKS))
    for parameter in adapter_network(model).parameters():
        nn.init.normal_(parameter, std=0.4)
    return model.double().eval()


def numbers(tensor):
    return tensor.detach().numpy().copy()


def flat(weight):
    """Rows of a head that writes (out, in) → rows of one that writes (in, out)."""
    return lambda shape: numbers(
        weight.view(*shape, -1).transpose(0, 1).reshape(weight.shape[0], -1)
    )


def generator_of(source, a):
    maps = source.maps
    up, down = maps[f"up_{D}x{a}"], maps[f"down_{a}x{D}"]
    up_bias, down_bias = maps[f"up_bias_{D}"], maps[f"down_bias_{a}"]
    return oracle.Generator(
        W1=numbers(source.first.weight),
        b1=numbers(source.first.bias),
        layer_embedding=numbers(source.site_vectors),
        H_up=flat(up.weight)((D, a)),
        c_up=flat(up.bias)((D, a))[:, 0],
        H_dn=flat(down.weight)((a, D)),
        c_dn=flat(down.bias)((a, D))[:, 0],
        H_bu=numbers(up_bias.weight),
        c_bu=numbers(up_bias.bias),
        H_bd=numbers(down_bias.weight),
        c_bd=numbers(down_bias.bias),
    )


def adapter_of(tensors):
    down, down_bias, up, up_bias = tensors
    return oracle.Adapter(numbers(down.T), numbers(down_bias), numbers(up.T), numbers(up_bias))


def stack_of(network, stack, mode):
    if mode == "none":
        return oracle.Stack()
    mine = [
        number
        for number, group in enumerate(network.spec.groups)
        if group.placements[0].site.name.startswith(stack)
    ]
    fields = {}
    for number in mine:
        group, source = network.spec.groups[number], network.sources[number].source
        if group.source == "learned":
            fields["learned"] = [adapter_of(site.values()) for site in source.sites]
        elif group.source == "per-condition":
            fields["per_task"] = [
                [adapter_of([t[task] for t in site.values()]) for site in source.sites]
                for task in range(N_TASKS)
            ]
        else:
            fields["generator"] = generator_of(source, WIDTHS[stack])
            (name,) = group.conditions
            encoder = network.encoders[f"{name}_{number}"]
            if name == "tasks":
                fields["task_embedding"] = numbers(encoder.vectors)
            elif encoder.first is not None:
                first, second = encoder.first, encoder.second
                of_mlp = (first.weight, first.bias, second.weight, second.bias)
                fields["mlp"] = oracle.Mlp(*map(numbers, of_mlp))
    return oracle.Stack(mode=MODES[mode], **fields)


def system_of(model, encoder, decoder, gated):
    network = adapter_network(model)
    weights = {
        name.replace(".base_layer", ""): numbers(value)
        for name, value in model.get_base_model().state_dict().items()
    }
    backbone = oracle.Backbone(
        weights,
        d_model=D,
        d_kv=3,
        num_heads=4,
        num_layers=LAYERS["encoder"],
        num_decoder_layers=LAYERS["decoder"],
        gated=gated,
        tied=not gated,
        num_buckets=8,
        max_distance=10,
    )
    return oracle.System(
        backbone,
        stack_of(network, "encoder", encoder),
        stack_of(network, "decoder", decoder),
    )


def batch(rows=4):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(2, 40, (rows, 7), generator=generator)
    mask = torch.ones_like(ids)
    for row, length in enumerate((7, 4, 6, 2)[:rows]):
        mask[row, length:] = 0
        ids[row, length:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def keywords(model, tasks):
    declared = adapter_network(model).spec.conditions
    return {"tasks": torch.tensor(tasks)} if "tasks" in declared else {}


@pytest.mark.parametrize("gated", [True, False], ids=["v1.1", "v1.0"])
@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
@torch.no_grad()
def test_logits(encoder, decoder, gated):
    model = adapted(encoder, decoder, gated=gated)
    given = batch()
    written = torch.randint(1, 40, (4, 5), generator=torch.Generator().manual_seed(2))
    got = model(**given, decoder_input_ids=written, **keywords(model, TASKS)).logits
    system = system_of(model, encoder, decoder, gated)
    wanted = oracle.logits(system, *given.values(), written, tasks=TASKS)
    np.testing.assert_allclose(got.numpy(), wanted, rtol=0, atol=1e-6)
    # Far from the backbone alone, or nothing would be shown.
    with model.disable_adapter():
        plain = model(**given, decoder_input_ids=written).logits
    assert np.abs(plain.numpy() - wanted).max() > 0.1


@pytest.mark.parametrize("decoder", ["instance-generated", "learned"])
@pytest.mark.parametrize("encoder", ["instance-generated", "learned"])
@torch.no_grad()
def test_logits_without_the_mlp(encoder, decoder):
    model = adapted(encoder, decoder, reading="none")
    given, written = batch(), torch.full((4, 3), 5)
    got = model(**given, decoder_input_ids=written).logits
    wanted = oracle.logits(system_of(model, encoder, decoder, True), *given.values(), written)
    np.testing.assert_allclose(got.numpy(), wanted, rtol=0, atol=1e-6)


def answers(written, end=1):
    found = []
    for row in written.tolist():
        length = next((i + 1 for i, token in enumerate(row) if i and token == end), len(row))
        found.append(row[:length])
    return found


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
@torch.no_grad()
def test_answers(encoder, decoder, num_beams):
    model, given = adapted(encoder, decoder), batch(3)
    options = {"max_length": 6, "num_beams": num_beams, "do_sample": False}
    got = answers(model.generate(**given, **keywords(model, TASKS[:3]), **options))
    system = system_of(model, encoder, decoder, True)
    if num_beams == 1:
        wanted = oracle.greedy(system, *given.values(), 6, tasks=TASKS[:3])
    else:
        found = oracle.beam_search(system, *given.values(), num_beams, 6, tasks=TASKS[:3])
        wanted = [list(hypotheses[0].tokens) for hypotheses in found]
    assert got == [list(row) for row in wanted]


def counted(encoder, decoder, config, n_tasks, **changes):
    register()
    settings = TaskSettings().changed(
        {"preset": "paper", "encoder": encoder, "decoder": decoder, **changes}
    )
    with torch.device("meta"):
        backbone = Seq2SeqBackbone("shape", T5ForConditionalGeneration(config), None)
        model = get_peft_model(backbone.model, build_config(settings, backbone, n_tasks))
    return sum(p.numel() for p in adapter_network(model).parameters())


LARGE = {"d_model": 1024, "d_ff": 2816, "num_layers": 24, "num_heads": 16}
BASE = {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12}
LEARNED, PER_TASK, TASK, INSTANCE = (
    *("learned", "per-task", "task-generated"),
    "instance-generated",
)


@pytest.mark.parametrize(
    ("shape", "encoder", "decoder", "widths", "hidden", "n_tasks", "more", "millions"),
    [
        (LARGE, LEARNED, INSTANCE, (64, 64), 128, 8, {}, 22.45),
        (LARGE, LEARNED, INSTANCE, (64, 64), 128, 8, {"reading": "none"}, 20.35),
        (LARGE, LEARNED, INSTANCE, (512, 36), 72, 8, {}, 32.84),
        (LARGE, LEARNED, LEARNED, (230, 230), 128, 8, {}, 22.67),
        (LARGE, TASK, TASK, (50, 50), 100, 8, {}, 21.13),
        (LARGE, TASK, INSTANCE, (50, 50), 100, 8, {}, 23.22),
        (LARGE, LEARNED, TASK, (50, 50), 100, 8, {}, 13.05),
        (LARGE, INSTANCE, INSTANCE, (64, 64), 100, 8, {}, 34.27),
        (LARGE, INSTANCE, LEARNED, (64, 64), 128, 8, {}, 25.62),
        (BASE, LEARNED, INSTANCE, (512, 36), 72, 7, {}, 14.79),
        (BASE, LEARNED, INSTANCE, (64, 64), 128, 7, {}, 15.26),
        (BASE, LEARNED, LEARNED, (800, 2), 128, 7, {}, 14.81),
        (BASE, TASK, TASK, (50, 50), 100, 7, {}, 15.85),
        (BASE, LEARNED, LEARNED, (370, 370), 128, 6, {}, 13.67),
        (BASE, TASK, TASK, (64, 64), 128, 6, {}, 25.79),
    ],
)
def test_parameter_counts(shape, encoder, decoder, widths, hidden, n_tasks, more, millions):
    config = T5Config(
        vocab_size=32128,
        d_kv=64,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        **shape,
    )
    sizes = {"encoder_width": widths[0], "decoder_width": widths[1], "hidden_width": hidden}
    found = counted(encoder, decoder, config, n_tasks, **sizes, **more)
    assert round(found / 1e6, 2) == millions


def test_the_count_that_the_published_table_rounds_otherwise():
    # 2 · T · L · (2da + a + d) = 16,654,848; the table says 16.66 M.
    config = T5Config(
        vocab_size=32128, d_kv=64, feed_forward_proj="gated-gelu", tie_word_embeddings=False, **BASE
    )
    sizes = {"encoder_width": 64, "decoder_width": 64}
    assert counted(PER_TASK, PER_TASK, config, 7, **sizes) == 16_654_848
