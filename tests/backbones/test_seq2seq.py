"""Encoder–decoders: the built-in one, and those that are loaded."""

import socket

import pytest
import torch
from safetensors.torch import load_file
from transformers import T5Config, T5ForConditionalGeneration

from hyperadapters.backbones import BUILT_IN_SEQ2SEQ, load_seq2seq
from hyperadapters.backbones.load import built_in_folder
from hyperadapters.errors import ConfigError


def make(seed=0):
    torch.manual_seed(seed)
    return load_seq2seq(BUILT_IN_SEQ2SEQ)


@pytest.fixture(scope="module")
def minilm():
    backbone = make()
    backbone.model.eval()
    return backbone


def test_the_built_in_one_needs_no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    backbone = make()
    assert backbone.model.name_or_path == backbone.name == "minilm2minilm"
    assert backbone.model.config._name_or_path == "minilm2minilm"


def test_what_is_new_and_what_is_not(minilm):
    first, second, again = make(1), make(2), make(1)
    new = set()
    for name, value in first.model.named_parameters():
        assert torch.equal(value, dict(again.model.named_parameters())[name])
        if not torch.equal(value, dict(second.model.named_parameters())[name]):
            new.add(name)
    # Norms and biases start at the same numbers; what is drawn is inside of the new modules.
    assert new and all(any(part in name for part in minilm.new_modules) for name in new)
    for part in minilm.new_modules:
        assert any(part in name for name in new)
    stored = {
        name
        for name, _ in minilm.model.named_parameters()
        if not any(part in name for part in minilm.new_modules)
    }
    kept = load_file(built_in_folder() / "model.safetensors")
    parameters = dict(minilm.model.named_parameters())
    other = set()
    for name in stored:
        key = name.removeprefix("encoder.").removeprefix("decoder.bert.")
        if name.startswith("encoder.") or name.startswith("decoder.bert."):
            assert torch.equal(parameters[name], kept[key]), name
        else:
            other.add(name)
    assert other <= {"decoder.cls.predictions.bias", "decoder.cls.predictions.decoder.bias"}


def test_output_and_input_embeddings_are_one(minilm):
    decoder = minilm.model.decoder
    embeddings = decoder.bert.embeddings.word_embeddings.weight
    assert decoder.cls.predictions.decoder.weight is embeddings
    assert minilm.model.encoder.embeddings.word_embeddings.weight is not embeddings
    assert minilm.model.encoder.pooler is None


def test_tokens_of_start_end_and_padding(minilm):
    tokenizer = minilm.tokenizer
    for config in (minilm.model.config, minilm.model.generation_config):
        assert config.decoder_start_token_id == config.bos_token_id == tokenizer.cls_token_id
        assert config.eos_token_id == tokenizer.sep_token_id
        assert config.pad_token_id == tokenizer.pad_token_id
    decoder = minilm.model.config.decoder
    assert decoder.is_decoder and decoder.add_cross_attention


@torch.no_grad()
def test_writing(minilm):
    texts = minilm.tokenizer(
        ["A short text.", "Another, longer text than that one."], padding=True, return_tensors="pt"
    )
    given = {n: texts[n] for n in ("input_ids", "attention_mask")}
    for beams in (1, 3):
        written = minilm.model.generate(**given, max_new_tokens=4, num_beams=beams)
        assert written.shape[0] == 2 and written.shape[1] <= 5
        assert (written[:, 0] == minilm.tokenizer.cls_token_id).all()
    # Cross-attention sees the input: another text, other words to come.
    words = torch.full((2, 1), minilm.tokenizer.cls_token_id)
    one, other = minilm.model(**given, decoder_input_ids=words).logits
    assert not torch.allclose(one, other)


def test_saved_and_loaded(minilm, tmp_path):
    minilm.model.save_pretrained(tmp_path)
    minilm.tokenizer.save_pretrained(tmp_path)
    loaded = load_seq2seq(str(tmp_path))
    loaded.model.eval()
    assert loaded.new_modules == ()
    given = {"input_ids": torch.tensor([[101, 2023, 102]]), "decoder_input_ids": torch.ones(1, 2)}
    given["decoder_input_ids"] = given["decoder_input_ids"].long()
    with torch.no_grad():
        got, wanted = loaded.model(**given).logits, minilm.model(**given).logits
    torch.testing.assert_close(got, wanted)


def test_a_folder_with_a_t5(tmp_path, minilm):
    config = T5Config(vocab_size=60, d_model=16, d_kv=4, d_ff=20, num_layers=1, num_heads=4)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    minilm.tokenizer.save_pretrained(tmp_path)
    loaded = load_seq2seq(str(tmp_path))
    assert isinstance(loaded.model, T5ForConditionalGeneration) and loaded.new_modules == ()


def test_what_cannot_be_loaded(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.*there is no such folder"):
        load_seq2seq(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_seq2seq(str(built_in_folder()))  # an encoder alone
    with pytest.raises(ConfigError, match="encoder alone; built in is 'minilm2minilm'"):
        load_seq2seq("minilm")
