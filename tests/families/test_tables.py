"""The tables of families, against a tiny model of each."""

import re
from collections.abc import Iterator, Sequence

import pytest
import torch
from peft import get_peft_model
from torch import nn
from transformers import (
    BertConfig,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    GPT2Config,
)

from hyperadapters.sites import Site
from hyperadapters.sites.families import DEFAULT_TARGETS, FEED_FORWARD
from hyperadapters.tuner.layer import HyperAdapterLinear

# ALBERT has one layer, which it runs through twice.
LAYERS = {"ALBERT": 1}
# OPT flattens rows and positions before its feed-forward sub-layer; see test_traps.py.
WITHOUT_FEED_FORWARD = {"opt"}
# Their sub-layer has its norm and its residual inside.
RESIDUAL_INSIDE = {"t5", "mt5", "umt5"}


def feed_forward(model: nn.Module) -> list[str]:
    """Entries for the family of a model, or for those of its two halves."""
    config = model.config
    halves = [config.encoder, config.decoder] if config.model_type == "encoder-decoder" else []
    types = [half.model_type for half in halves or [config]]
    return sorted({entry for name in types for entry in FEED_FORWARD.get(name, [])})


def places(model: nn.Module, entries: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Paths of the modules at which a parallel adapter reads, and to whose output it adds."""
    modules = dict(model.named_modules())
    for entry in entries:
        reads, _, writes = entry.partition(">")
        pattern = entry[3:] if entry.startswith("re:") else rf"(.*\.)?{re.escape(reads)}"
        for path in modules:
            if re.fullmatch(pattern, path):
                yield path, path.removesuffix(reads) + writes if writes else path


def attentions_of(case) -> int:
    """Attention modules of the model; a decoder that reads an encoder has two in each layer."""
    return layers_of(case) + (2 if reads_an_encoder(case) else 0)


def layers_of(case) -> int:
    return LAYERS.get(case.family, 2) * (2 if reads_an_encoder(case) else 1)


def reads_an_encoder(case) -> bool:
    # To label tokens T5 needs no decoder.
    return case.kind == "encoder and decoder" and case.head != "TOKEN_CLS"


def test_every_entry_has_a_tiny_model(zoo):
    types = {family.config(**family.sizes).model_type for family in zoo.FAMILIES.values()}
    # Its halves are what counts.
    types -= {"encoder-decoder"}
    assert set(DEFAULT_TARGETS) == types
    assert set(FEED_FORWARD) == types - WITHOUT_FEED_FORWARD


@pytest.mark.parametrize("table", [DEFAULT_TARGETS, FEED_FORWARD], ids=["targets", "feed-forward"])
def test_the_lists_are_not_shared(table):
    # PEFT hands them on to configurations, which users may change.
    assert len({id(targets) for targets in table.values()}) == len(table)
    assert all(len(set(targets)) == len(targets) > 0 for targets in table.values())


def test_the_default_targets_are_in_every_attention(zoo, case):
    model = zoo.make_adapted(case)
    paths = [n for n, m in model.named_modules() if isinstance(m, HyperAdapterLinear)]
    endings = [path.rsplit(".", 1)[1] for path in paths]
    assert len(paths) == len(set(endings)) * attentions_of(case)
    assert {endings.count(ending) for ending in endings} == {attentions_of(case)}
    assert all(Site(path, 1, 1).layer is not None for path in paths)


@torch.no_grad()
def test_the_feed_forward_sub_layer_reads_and_writes_hidden_states(zoo, case):
    model, batch = zoo.make_backbone(case), zoo.make_batch(case)
    if model.config.model_type in WITHOUT_FEED_FORWARD:
        assert model.config.model_type not in FEED_FORWARD
        return
    found = list(places(model, feed_forward(model)))
    assert len(found) == len(set(found)) == layers_of(case)
    read, written = [], []
    for reads, writes in found:
        reader, writer = model.get_submodule(reads), model.get_submodule(writes)
        reader.register_forward_pre_hook(lambda _, args: read.append(args[0].shape))
        writer.register_forward_hook(lambda _, args, out: written.append(out.shape))
    zoo.outputs(model, batch)
    rows = len(batch["input_ids"])
    assert len(read) == 2 * layers_of(case) / LAYERS.get(case.family, 2)
    assert read == written
    assert {(shape[0], len(shape), shape[-1]) for shape in read} == {(rows, 3, 32)}


@torch.no_grad()
def test_what_the_feed_forward_sub_layer_writes_goes_to_the_residual_stream(zoo, main_case):
    model, batch = zoo.make_backbone(main_case), zoo.make_batch(main_case)
    family = model.config.model_type

    def double(module, args, out):
        return out + (out - args[0] if family in RESIDUAL_INSIDE else out)

    wanted = zoo.outputs(model, batch)
    for _, writes in places(model, feed_forward(model)):
        handle = model.get_submodule(writes).register_forward_hook(double)
        changes = (zoo.outputs(model, batch) - wanted).abs().flatten(1).amax(dim=1)
        handle.remove()
        # Twice as much of it changes every row; a norm behind it would undo that.
        assert (changes > 1e-3).all()


@torch.no_grad()
def test_a_bert_that_reads_with_a_gpt2_that_writes(zoo):
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 37}
    encoder = BertConfig(**sizes, **zoo.TOKENS, num_hidden_layers=2)
    decoder = GPT2Config(
        **zoo.TOKENS, n_embd=32, n_layer=3, n_head=4, is_decoder=True, add_cross_attention=True
    )
    config = EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, **zoo.TOKENS)
    case = zoo.Case("EncoderDecoder", "SEQ_2_SEQ_LM")
    model = get_peft_model(EncoderDecoderModel(config), zoo.make_adapter_config(case))
    paths = [n for n, m in model.named_modules() if isinstance(m, HyperAdapterLinear)]
    # Twice two in the encoder; in each layer of the decoder one in either attention.
    assert len(paths) == 2 * 2 + 3 * 2
    found = list(places(model, feed_forward(model)))
    assert len(found) == 2 + 3
