import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import (
    BertTokenizer,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
)

from hyperadapters.conditions import Attributes, Vocabulary
from hyperadapters.data import People
from hyperadapters.labels import LabelSpace
from hyperadapters.methods import METHODS, AnnotatorClassifier, everyone, find_method
from hyperadapters.methods.crossed_layer import CrossedLayer, can_be_crossed
from pairwise import one_by_one

NETWORKS = [name for name, method in METHODS.items() if method.kind == "network"]
SMALL = {
    **{"condition_width": 4, "site_width": 4, "hidden_width": 8, "eval_batch_size": 50},
    **{"adapted_layers": 2, "deviation": "lora", "deviating_layers": 1, "taste_rank": 2},
}
# Those that ask everybody in ways of their own; the others are slow tests.
OF_EVERY_KIND = [
    name
    if name in ("hyperlora", "multi-head", "user-token", "hyperlora+attributes")
    else pytest.param(name, marks=pytest.mark.slow)
    for name in NETWORKS
]
PEOPLE = Vocabulary(tuple(f"a{number}" for number in range(7)))
DESCRIBED = People(
    Attributes({"age": ("old", "young"), "town": ("A", "B", "C")}),
    {name: ("old" if n % 2 else "young", "ABC"[n % 3]) for n, name in enumerate(PEOPLE.names)},
)
TEXTS = ["good", "bad the red one is nasty", "kind a", "a warm two was cruel", "nice"]
PAIRS = ["red", "the blue one", "good", "is", "was cold a cruel"]


def build(method, backbone, **changes):
    """A classifier whose annotators differ: whatever starts at zero is moved."""
    chosen = find_method(method)
    settings = chosen.settings.changed({**SMALL, **changes})
    labels = LabelSpace(("fine", "rude", "toxic"))
    people = DESCRIBED if "attributes" in chosen.told else None
    classifier = AnnotatorClassifier.build(chosen, settings, backbone, labels, PEOPLE, 0, people)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in classifier.network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    classifier.model.eval()
    return classifier


def crossed(texts, people, pairs=None):
    """Rows by text, then by annotator."""
    frame = pd.DataFrame({"text": texts} if pairs is None else {"text": texts, "text_pair": pairs})
    return frame.merge(pd.DataFrame({"annotator": people}), how="cross")


def one_row_each(classifier, rows):
    """The whole model for every row by itself, shape ``(rows, labels)``."""
    alone = AnnotatorClassifier(
        classifier.method,
        classifier.settings.changed({"eval_batch_size": 1}),
        *(classifier.backbone, classifier.model, classifier.labels, classifier.vocabulary),
        classifier.people,
    )
    return alone.probabilities(alone.examples(rows))


def of_everyone(classifier, rows, people):
    tokens = classifier.examples(rows.drop_duplicates("text")).tokens
    asked = classifier.everyone(classifier.vocabulary.indices(people))
    return asked.probabilities(tokens).reshape(len(rows), -1)


def check(classifier, texts=TEXTS, pairs=None):
    people = ["a3", "somebody", "a0", "population"]
    rows = crossed(texts, people, pairs)
    wanted = one_row_each(classifier, rows)
    got = of_everyone(classifier, rows, people)
    np.testing.assert_allclose(got, wanted, atol=5e-5)
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-12)
    return wanted


SHAPES = {
    "2 of 3": {},
    "all": {"adapted_layers": 0, "deviating_layers": 0},
    "top": {"adapted_layers": 1},
    "A too": {"generate_a": True, "deviating_layers": 2},
}


SIZES = [pytest.param(1, marks=pytest.mark.slow), 40, pytest.param(4096, marks=pytest.mark.slow)]


@pytest.fixture(params=SIZES, ids=lambda n: f"{n} tokens")
def batch(request, monkeypatch):
    monkeypatch.setitem(everyone.TOKENS_PER_BATCH, "cpu", request.param)


@pytest.mark.parametrize(
    ("method", "changes"),
    [*((m, c) for m in NETWORKS for c in SHAPES.values()), ("hyperlora", {"deviation": "head"})],
)
def test_everyone_is_one_row_each(method, changes, tiny_bert, batch):
    wanted = check(build(method, tiny_bert, **changes))
    assert len(np.unique(wanted.round(4), axis=0)) >= len(TEXTS)  # something to compare


@pytest.mark.parametrize("method", NETWORKS)
def test_all_positions_of_the_last_layer(method, tiny_bert, batch, monkeypatch):
    monkeypatch.setattr(everyone, "READING_FIRST", ())
    check(build(method, tiny_bert))


@pytest.mark.parametrize("method", OF_EVERY_KIND)
def test_the_built_in_backbone(method):
    texts = ["You people are unbelievable.", "Yes.", "It was a very nice day, and we went home."]
    check(build(method, "minilm", adapted_layers=2), texts)


def save(folder, model):
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *sorted({w for t in TEXTS for w in t.split()}),
    ]
    model.save_pretrained(folder)
    vocabulary = {word: position for position, word in enumerate(words)}
    names = ["input_ids", "attention_mask"]
    BertTokenizer(vocab=vocabulary, model_input_names=names).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def tiny_electra(tmp_path):
    sizes = {"hidden_size": 32, "embedding_size": 32, "num_hidden_layers": 3}
    sizes |= {"num_attention_heads": 2, "intermediate_size": 64, "initializer_range": 0.2}
    torch.manual_seed(0)
    return save(tmp_path, ElectraModel(ElectraConfig(vocab_size=30, **sizes)))


@pytest.fixture
def tiny_distilbert(tmp_path):
    sizes = {"vocab_size": 30, "n_layers": 3, "n_heads": 2, "dim": 32, "hidden_dim": 64}
    config = DistilBertConfig(**sizes, initializer_range=0.2)
    torch.manual_seed(0)
    return save(tmp_path, DistilBertModel(config))


@pytest.mark.parametrize("method", OF_EVERY_KIND)
def test_roberta(method, tiny_roberta):
    classifier = build(method, tiny_roberta)
    check(classifier)
    # With a token in the input nothing below is the same for all.
    crossed = classifier.everyone(np.arange(2))._layers is not None
    assert crossed == (method != "user-token")


@pytest.mark.parametrize("method", OF_EVERY_KIND)
def test_electra(method, tiny_electra, monkeypatch):
    classifier = build(method, tiny_electra)
    check(classifier)
    # With a token in the input nothing below is the same for all.
    crossed = classifier.everyone(np.arange(2))._layers is not None
    assert crossed == (method != "user-token")


@pytest.mark.parametrize("method", NETWORKS)
def test_layers_that_are_not_known(method, tiny_bert, batch, monkeypatch):
    monkeypatch.setattr(everyone, "can_be_crossed", lambda layer: False)
    check(build(method, tiny_bert))


@one_by_one(method=NETWORKS, adapted_layers=[0, 1])
def test_layers_of_another_kind(method, adapted_layers, tiny_distilbert, batch):
    check(build(method, tiny_distilbert, adapted_layers=adapted_layers))


def test_pairs_of_texts(tiny_bert):
    check(build("hyperlora", tiny_bert), pairs=PAIRS)


@one_by_one(
    method=NETWORKS,
    head=["cumulative", "cumulative-scale"],
    backbone=["tiny_bert", "tiny_roberta", "minilm"],
)
def test_heads_for_scales(method, head, backbone, request):
    folder = backbone if backbone == "minilm" else request.getfixturevalue(backbone)
    wanted = check(build(method, folder, head=head))
    assert len(np.unique(wanted.round(4), axis=0)) >= len(TEXTS)


def test_annotators_in_blocks(tiny_bert, monkeypatch):
    whole = check(build("hyperlora", tiny_bert))
    monkeypatch.setattr(everyone, "MAX_WEIGHT_BYTES", 5000)
    classifier = build("hyperlora", tiny_bert)
    assert 1 < classifier.everyone(np.arange(7))._block < 7
    np.testing.assert_array_equal(check(classifier), whole)


def test_weights_are_written_once_for_all_texts(tiny_bert):
    classifier = build("hyperlora", tiny_bert)
    written = []
    source = classifier.network.sources[0]
    asked = classifier.everyone(np.arange(7))
    source.register_forward_hook(lambda module, inputs, output: written.append(len(inputs[0])))
    tokens = classifier.examples(crossed(TEXTS, ["a0"])).tokens
    whole = [asked.probabilities(tokens) for _ in range(3)]
    assert written == [7]
    some = asked.probabilities(tokens, slice(2, 5))
    np.testing.assert_allclose(some, whole[0][:, 2:5], atol=1e-6)


def test_a_text_runs_through_shared_layers_once(tiny_bert):
    classifier = build("hyperlora", tiny_bert)
    seen = []
    for layer in classifier.backbone.model.base_model.encoder.layer:
        part = layer.intermediate  # what is skipped is called, but nothing in it is
        part.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    tokens = classifier.examples(crossed(TEXTS, ["a0"])).tokens
    classifier.everyone(np.arange(7)).probabilities(tokens)
    assert sum(seen) == 2 * len(TEXTS)  # the top layer is our own


def test_progress_is_told_in_rows(tiny_bert):
    classifier = build("hyperlora", tiny_bert)
    tokens = classifier.examples(crossed(TEXTS, ["a0"])).tokens
    done = []
    classifier.everyone(np.arange(7)).probabilities(tokens, tick=done.append)
    assert sum(done) == 7 * len(TEXTS) and min(done) > 0


def test_half_precision_is_that_of_the_settings(tiny_bert):
    classifier = build("hyperlora", tiny_bert, precision="bfloat16")
    rows = crossed(TEXTS, ["a0", "a1"])
    got = of_everyone(classifier, rows, ["a0", "a1"])
    np.testing.assert_allclose(got, one_row_each(classifier, rows), atol=0.05)
    exact = build("hyperlora", tiny_bert)
    assert np.abs(got - one_row_each(exact, rows)).max() > 1e-5


def test_decoders_and_strange_layers_are_left_alone(tiny_bert):
    layer = build("hyperlora", tiny_bert).backbone.model.base_model.encoder.layer[2]
    assert can_be_crossed(layer)
    layer.is_decoder = True
    assert not can_be_crossed(layer)
    assert not can_be_crossed(torch.nn.TransformerEncoderLayer(8, 2))


def test_a_layer_without_deviation_stays_unspread(tiny_bert):
    classifier = build("hyperlora", tiny_bert)
    asked = classifier.everyone(np.arange(3))
    (weights,) = asked._written(torch.arange(3)).weights.values()
    shared = CrossedLayer(classifier.backbone.model.base_model.encoder.layer[1])
    states = torch.randn(1, 2, 5, 32)
    with torch.no_grad():
        assert shared(states, None, weights).shape == (1, 2, 5, 32)
        assert asked._layers[0](states, None, weights, 1).shape == (3, 2, 1, 32)
    assert dataclasses.is_dataclass(weights)
