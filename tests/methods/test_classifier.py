from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from hyperadapters.conditions import Attributes, Vocabulary
from hyperadapters.data import People
from hyperadapters.data.batches import RowBatch
from hyperadapters.errors import ConfigError
from hyperadapters.labels import LabelSpace
from hyperadapters.methods import METHODS, AnnotatorClassifier, find_method

NETWORKS = [name for name, method in METHODS.items() if method.kind == "network"]
SMALL = {
    **{"condition_width": 4, "site_width": 4, "hidden_width": 8, "eval_batch_size": 50},
    **{"adapted_layers": 2, "deviation": "lora", "deviating_layers": 1, "taste_rank": 2},
}


PEOPLE = People(
    Attributes({"age": ("old", "young"), "town": ("A", "B")}),
    {"u0": ("old", "A"), "u1": ("young", "A"), "v0": ("old", "B"), "v1": ("young", "")},
)


def build(method, backbone, **changes):
    """A classifier whose annotators differ: whatever starts at zero is moved."""
    chosen = find_method(method)
    settings = chosen.settings.changed({**SMALL, **changes})
    labels, known = LabelSpace(("fine", "toxic")), Vocabulary(("u0", "u1", "v0", "v1"))
    people = PEOPLE if "attributes" in chosen.told else None
    classifier = AnnotatorClassifier.build(chosen, settings, backbone, labels, known, 0, people)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in classifier.network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    classifier.model.eval()
    return classifier


@pytest.fixture
def rows(two_kinds):
    """120 rows of 40 texts; most annotators are unknown to the classifier."""
    return two_kinds.head(240).iloc[::2].reset_index(drop=True)


def subset(examples, chosen):
    return replace(
        examples,
        text_of_row=examples.text_of_row[chosen],
        annotators=examples.annotators[chosen],
        labels=examples.labels[chosen],
        attributes=examples.attributes[chosen],
    )


SHAPES = [{}, {"adapted_layers": 0, "deviating_layers": 0}, {"adapted_layers": 1}]


HEAD = {"deviation": "head"}


@pytest.mark.parametrize(
    ("method", "changes"),
    [*((m, c) for m in NETWORKS for c in SHAPES), ("hyperlora", HEAD), ("attributes-only", HEAD)],
)
def test_probabilities_depend_on_the_row_alone(method, changes, tiny_bert, rows):
    rows = rows.iloc[::5].reset_index(drop=True)
    classifier = build(method, tiny_bert, **changes)
    examples = classifier.examples(rows)
    plain = classifier.probabilities(examples)
    assert plain.shape == (len(rows), 2)
    np.testing.assert_allclose(plain.sum(axis=1), 1, atol=1e-12)
    assert len(np.unique(plain.round(4), axis=0)) > 10  # something to compare

    with classifier.states_of(examples):
        np.testing.assert_allclose(classifier.probabilities(examples), plain, atol=1e-6)

    generator = np.random.default_rng(0)
    for size in (1, 7):
        resized = AnnotatorClassifier(
            classifier.method,
            classifier.settings.changed({"eval_batch_size": size}),
            *(classifier.backbone, classifier.model, classifier.labels, classifier.vocabulary),
            classifier.people,
        )
        order = generator.permutation(len(rows))
        some = subset(examples, order)
        with resized.states_of(some):
            np.testing.assert_allclose(resized.probabilities(some), plain[order], atol=5e-5)


@pytest.mark.parametrize("method", NETWORKS)
def test_roberta_too(method, tiny_roberta, rows):
    classifier = build(method, tiny_roberta)
    examples = classifier.examples(rows)
    plain = classifier.probabilities(examples)
    with classifier.states_of(examples):
        np.testing.assert_allclose(classifier.probabilities(examples), plain, atol=1e-6)
    one = classifier.probabilities(classifier.examples(rows.iloc[[17]]))
    np.testing.assert_allclose(one, plain[[17]], atol=1e-5)


@pytest.mark.parametrize("way", ["memory", "disk", "no"])
def test_wherever_states_are_kept(tiny_bert, rows, way, tmp_path, monkeypatch):
    monkeypatch.setenv("HYPERADAPTERS_CACHE", str(tmp_path / "cache"))
    plain = build("hyperlora", tiny_bert)
    wanted = plain.probabilities(plain.examples(rows))
    for _ in range(2):
        classifier = build("hyperlora", tiny_bert, keep_states=way)
        examples = classifier.examples(rows)
        assert classifier.keeps_states == (way != "no")
        frozen = Counter(classifier, 0)
        with classifier.states_of(examples):
            np.testing.assert_allclose(classifier.probabilities(examples), wanted, atol=1e-6)
    # The second one has found them.
    assert frozen.texts == {"memory": len(examples.tokens), "disk": 0}.get(way, frozen.texts)
    assert (tmp_path / "cache").exists() == (way == "disk")


def test_who_asks_matters_as_the_method_has_it(tiny_bert, rows):
    text = rows["text"].iloc[0]
    pairs = rows.head(3).assign(text=text, annotator=["u0", "v1", "somebody else"])
    for method in NETWORKS:
        classifier = build(method, tiny_bert)
        p = classifier.probabilities(classifier.examples(pairs))[:, 1]
        differing = len(np.unique(p.round(5)))
        assert differing == (1 if method in ("text-only", "majority") else 3), method


def test_heads_of_people_start_alike_and_learn_alone(tiny_bert, rows):
    method = find_method("multi-head")
    settings = method.settings.changed({**SMALL, "head_dropout": 0.0})
    people = Vocabulary(("u0", "u1", "v0", "v1"))
    classifier = AnnotatorClassifier.build(
        *(method, settings, tiny_bert, LabelSpace(("fine", "toxic")), people, 0)
    )
    texts = rows.drop_duplicates("text").head(3)[["text", "label"]]
    crossed = texts.merge(pd.DataFrame({"annotator": [*people.names, "newcomer"]}), how="cross")

    def answers():
        return classifier.probabilities(classifier.examples(crossed)).reshape(3, 5, 2)

    untrained = answers()
    np.testing.assert_allclose(untrained, untrained[:, :1].repeat(5, axis=1), atol=1e-6)
    heads = [p for n, p in classifier.network.named_parameters() if n.startswith("outputs.")]
    optimizer = torch.optim.SGD(heads, lr=1.0)
    examples = classifier.examples(crossed[crossed["annotator"] == "v0"])
    for _ in range(3):
        batch = RowBatch.of(np.arange(3), examples.text_of_row)
        labels = torch.tensor(examples.labels.tolist())
        torch.nn.functional.cross_entropy(classifier.logits(examples, batch), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    trained = answers()
    np.testing.assert_array_equal(trained[:, [0, 1, 3]], untrained[:, [0, 1, 3]])
    assert np.abs(trained[:, 2] - untrained[:, 2]).max() > 0.05
    # The population's logits are the mean of those of all.
    logits = np.log(trained)
    wanted = logits[:, :4].mean(axis=1)
    wanted -= np.log(np.exp(wanted).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(logits[:, 4], wanted, atol=1e-5)


def test_texts_leave_room_for_the_users_token(tiny_bert, tiny_roberta, rows):
    # 64 positions; RoBERTa's are counted from the one behind the padding's.
    for backbone, room in ((tiny_bert, 64), (tiny_roberta, 63)):
        classifier = build("user-token", backbone, max_length=512)
        long = rows.head(2).assign(text=["good " * 100, "bad"])
        examples = classifier.examples(long)
        assert max(examples.tokens.lengths) == room - 1
        assert np.isfinite(classifier.probabilities(examples)).all()
        asked = classifier.everyone(np.arange(4))
        assert np.isfinite(asked.probabilities(examples.tokens)).all()
        assert build("user-token", backbone, max_length=16).max_length == 16
        assert build("text-only", backbone, max_length=512).max_length == 512


def test_no_states_are_kept_where_the_input_differs(tiny_bert, rows):
    classifier = build("user-token", tiny_bert)
    assert not classifier.keeps_states and not classifier.shares_texts
    seen = Counter(classifier, 0)
    examples = classifier.examples(rows)
    with classifier.states_of(examples):
        classifier.probabilities(examples)
    assert seen.texts == len(rows)


class Counter:
    """How many texts a layer has seen."""

    def __init__(self, classifier, layer):
        self.texts = 0
        # A layer that is skipped is called, but nothing in it is.
        module = classifier.backbone.model.base_model.encoder.layer[layer].intermediate
        module.register_forward_hook(self)

    def __call__(self, module, inputs, output):
        self.texts += inputs[0].shape[0]


@pytest.mark.parametrize("method", ["hyperlora", "text-only", "intercept", "multi-head"])
def test_a_text_runs_through_the_frozen_layers_once(method, tiny_bert, rows):
    classifier = build(method, tiny_bert)
    examples = classifier.examples(rows)
    frozen = Counter(classifier, 0)
    with classifier.states_of(examples):
        classifier.probabilities(examples)
        classifier.probabilities(examples)
    assert frozen.texts == len(examples.tokens)
    classifier.probabilities(examples)
    assert frozen.texts > len(examples.tokens)  # without the block it runs again


def test_shared_adapters_read_a_text_once_for_all_annotators(tiny_bert, rows):
    n_rows, n_texts = len(rows), rows["text"].nunique()
    assert n_texts < n_rows / 2
    read = {}
    for method in ("text-only", "intercept", "hyperlora"):
        classifier = build(method, tiny_bert, eval_batch_size=n_rows)
        examples = classifier.examples(rows)
        shared, top = Counter(classifier, 1), Counter(classifier, 2)
        with classifier.states_of(examples):
            classifier.probabilities(examples)
        read[method] = shared.texts, top.texts
    assert read["text-only"] == read["intercept"] == (n_texts, n_texts)
    # The layer below the first deviation is shared as well.
    assert read["hyperlora"] == (n_texts, n_rows)


def test_nobody_deviates_while_the_shared_adapter_is_trained(tiny_bert, rows):
    classifier = build("hyperlora", tiny_bert, eval_batch_size=len(rows))
    assert not classifier.shares_texts
    examples = classifier.examples(rows)
    apart = classifier.probabilities(examples)
    top = Counter(classifier, 2)
    with classifier.network.sources[0].source.deviating(False), classifier.states_of(examples):
        assert classifier.shares_texts
        together = classifier.probabilities(examples)
    assert top.texts == len(examples.tokens)
    assert np.abs(together - apart).max() > 1e-3


def test_kept_states_are_given_back(tiny_bert, rows):
    classifier = build("hyperlora", tiny_bert)
    examples = classifier.examples(rows)
    with pytest.raises(RuntimeError), classifier.states_of(examples):
        assert classifier._states
        raise RuntimeError
    assert not classifier._states


@pytest.mark.parametrize("method", NETWORKS)
def test_save_and_load(method, tiny_bert, rows, tmp_path):
    classifier = build(method, tiny_bert)
    classifier.save(tmp_path)
    torch.manual_seed(99)  # whatever is drawn while loading must not matter
    loaded = AnnotatorClassifier.load(
        *(tmp_path, classifier.method, classifier.settings, tiny_bert),
        *(classifier.labels, classifier.vocabulary, classifier.people),
    )
    assert not loaded.model.training
    before = classifier.probabilities(classifier.examples(rows))
    np.testing.assert_array_equal(loaded.probabilities(loaded.examples(rows)), before)


@pytest.mark.parametrize("method", NETWORKS)
def test_the_seed_fixes_the_start(method, tiny_bert):
    def start(seed):
        chosen = find_method(method)
        settings = chosen.settings.changed(SMALL)
        classifier = AnnotatorClassifier.build(
            *(chosen, settings, tiny_bert, LabelSpace((0, 1)), Vocabulary(("a", "b")), seed),
            people=PEOPLE if "attributes" in chosen.told else None,
        )
        trained = [p for p in classifier.model.parameters() if p.requires_grad]
        return torch.cat([p.detach().flatten() for p in trained])

    assert torch.equal(start(3), start(3))
    assert not torch.equal(start(3), start(4))


def test_fewer_than_a_million_parameters_for_819_annotators():
    method = find_method("hyperlora")
    people = Vocabulary(tuple(f"a{i}" for i in range(819)))
    labels = LabelSpace((0, 1))
    classifier = AnnotatorClassifier.build(method, method.settings, "minilm", labels, people, 0)
    counts = classifier.parameter_counts()
    trained = {n: p.numel() for n, p in classifier.model.named_parameters() if p.requires_grad}
    assert counts["trainable_parameters"] == sum(trained.values()) < 1_000_000
    assert counts["condition_parameters"] == 819 * method.settings.condition_width
    total = sum(p.numel() for p in classifier.model.parameters())
    assert counts["trainable_parameters"] + counts["backbone_parameters"] == total
    # Only the head and the network are trained, never the encoder.
    assert all(".classifier." in name or "hyperadapter_network" in name for name in trained)


def test_condition_parameters_of_the_baselines(tiny_bert):
    counts = {m: build(m, tiny_bert).parameter_counts()["condition_parameters"] for m in NETWORKS}
    few = {"hyperlora": 16, "hyperlora-paper": 16, "annotator-embedding": 16}
    few |= {"hyperlora+attributes": 16, "attributes-only": 0}
    few |= {"text-only": 0, "majority": 0, "intercept": 8}
    few |= {"multi-head": 4 * (2 * 32 + 2), "user-token": 4 * 32}
    lora = build("lora-per-annotator", tiny_bert)
    stored = sum(p.numel() for n, p in lora.model.named_parameters() if ".sites." in n)
    assert stored > 0 and counts == {**few, "lora-per-annotator": stored + few["intercept"]}


def test_more_layers_than_there_are(tiny_bert):
    with pytest.raises(ConfigError, match="adapted_layers is 5, but the backbone has 3 layers"):
        build("hyperlora", tiny_bert, adapted_layers=5)


def test_the_default_is_for_backbones_of_few_layers_too(tiny_bert, rows):
    default = find_method("hyperlora").settings.adapted_layers
    assert default > 3
    some = build("hyperlora", tiny_bert, adapted_layers=default)
    all_of_them = build("hyperlora", tiny_bert, adapted_layers=0)
    a, b = (c.probabilities(c.examples(rows)) for c in (some, all_of_them))
    np.testing.assert_array_equal(a, b)


def test_what_a_row_says_of_its_annotator_comes_first(tiny_bert, rows):
    text = rows["text"].iloc[0]
    stranger = {"text": text, "annotator": "somebody else"}
    told = [{"age": "old", "town": "B"}, {"age": "young", "town": "B"}, {"age": "ancient"}, {}]
    frame = pd.DataFrame([{**stranger, "town": None, **row} for row in told])
    for method in ("hyperlora+attributes", "attributes-only"):
        classifier = build(method, tiny_bert)
        examples = classifier.examples(frame)
        np.testing.assert_array_equal(examples.attributes, [[0, 1], [1, 1], [-1, -1], [-1, -1]])
        p = classifier.probabilities(examples)[:, 1]
        # A value that training never saw, and none at all, are the population.
        assert len(np.unique(p.round(5))) == 3 and p[2] == pytest.approx(p[3], abs=1e-6)


def test_attributes_alone_say_who_is_asked_to_attributes_only(tiny_bert, rows):
    frame = pd.DataFrame({"text": rows["text"].iloc[0], "annotator": ["u0", "like u0"]})
    alike = frame.assign(age="old", town="A")
    alone = build("attributes-only", tiny_bert)
    p = alone.probabilities(alone.examples(alike))
    np.testing.assert_allclose(p[0], p[1], atol=1e-6)
    both = build("hyperlora+attributes", tiny_bert)
    p = both.probabilities(both.examples(alike))
    assert np.abs(p[0] - p[1]).max() > 1e-4
    # Where a row says nothing, what is known of the annotator counts.
    plain = both.probabilities(both.examples(frame))
    np.testing.assert_allclose(plain[0], p[0], atol=1e-6)


def test_who_it_is_is_sometimes_hidden_in_training(tiny_bert, rows):
    rows = rows.assign(annotator="u0")
    classifier = build("hyperlora+attributes", tiny_bert, identity_dropout=0.5, head_dropout=0.0)
    classifier.network.spec = replace(classifier.network.spec, condition_noise=0.0)
    told = []
    hook = classifier.network.encoders.annotator_ids.register_forward_pre_hook(
        lambda module, inputs: told.append(inputs[0])
    )
    examples = classifier.examples(rows)
    batch = RowBatch.of(np.arange(len(rows)), examples.text_of_row)
    classifier.model.train()
    classifier.logits(examples, batch)
    hook.remove()
    assert set(torch.cat(told).tolist()) == {-1, 0}
    classifier.model.eval()
    assert (classifier.told(examples.annotators, examples.attributes)["annotator_ids"] == 0).all()


def test_attributes_are_needed_where_a_method_is_told_any(tiny_bert):
    with pytest.raises(ConfigError, match="attributes-only needs attributes"):
        method = find_method("attributes-only")
        settings, labels = method.settings.changed(SMALL), LabelSpace((0, 1))
        AnnotatorClassifier.build(method, settings, tiny_bert, labels, Vocabulary(("a",)), 0)
