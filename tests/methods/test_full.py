"""The backbone itself is trained."""

import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hyperadapters.backbones import load_backbone
from hyperadapters.conditions import Vocabulary
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.labels import LabelSpace
from hyperadapters.methods import METHODS, AnnotatorClassifier, find_method
from hyperadapters.methods.full import FILE

SHARED = [
    *("text-only", "intercept", "annotator-embedding", "multi-head", "user-token", "majority"),
]
OTHERS = [
    *("hyperlora", "hyperlora-paper", "hyperlora+attributes", "attributes-only"),
    "lora-per-annotator",
]
SMALL = {"condition_width": 4, "eval_batch_size": 50, "tuning": "full"}
LABELS, PEOPLE = LabelSpace(("fine", "toxic")), Vocabulary(("u0", "u1", "v0", "v1"))


def build(method, backbone, seed=0, random=True):
    """A classifier of which everything that is trained is moved away from its start."""
    chosen = find_method(method)
    settings = chosen.settings.changed(SMALL)
    made = AnnotatorClassifier.build(chosen, settings, backbone, LABELS, PEOPLE, seed)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in made.model.parameters():
            if random and parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    made.model.eval()
    return made


@pytest.fixture
def rows(two_kinds):
    return two_kinds.head(120).iloc[::2].reset_index(drop=True)


def test_every_method_that_shares_its_layers_and_no_other(tiny_bert):
    networks = {name for name, method in METHODS.items() if method.kind == "network"}
    assert networks == {*SHARED, *OTHERS}
    for method in OTHERS:
        with pytest.raises(
            ConfigError, match=f"and {re.escape(method)} adapts it to each; .*text-only, inte"
        ):
            build(method, tiny_bert)


@pytest.mark.parametrize("method", SHARED)
def test_all_of_the_backbone_is_trained_and_nothing_lies_beside_it(method, tiny_bert):
    classifier = build(method, tiny_bert)
    plain = load_backbone(tiny_bert, 2).model
    wanted = {n for n, _ in plain.named_parameters() if not n.startswith("classifier")}
    trained = {n for n, p in classifier.model.named_parameters() if p.requires_grad}
    inner = {n.removeprefix("base_model.model.") for n in trained}
    assert wanted <= inner
    others = inner - wanted
    assert all("modules_to_save" in n or "hyperadapter_network" in n for n in others)
    assert not any("lora" in n or ".sites." in n for n in others)
    counts = classifier.parameter_counts()
    size = sum(p.numel() for n, p in plain.named_parameters() if n in wanted)
    head = sum(p.numel() for n, p in plain.named_parameters() if n not in wanted)
    # PEFT keeps the head twice; that of people who have their own is not trained.
    frozen = head if method == "multi-head" else 0
    assert counts["backbone_parameters"] == size + head + frozen
    own = {"text-only": 0, "majority": 0, "intercept": 8, "annotator-embedding": 16}
    own |= {"multi-head": 4 * (2 * 32 + 2), "user-token": 4 * 32}
    assert counts["condition_parameters"] == own[method]
    shared = {"annotator-embedding": 4 * 32, "user-token": 32}.get(method, 0)
    assert counts["trainable_parameters"] == size + head - frozen + own[method] + shared


def test_an_untrained_one_is_the_backbone(tiny_bert, rows):
    classifier = build("text-only", tiny_bert, random=False)
    torch.manual_seed(0)
    plain = load_backbone(tiny_bert, 2, classifier.settings.head_dropout)
    text = rows["text"].iloc[0]
    inputs = plain.tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        wanted = plain.model.eval()(**inputs).logits.softmax(-1).numpy()
    got = classifier.probabilities(classifier.examples(rows.head(1)))
    np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize("method", SHARED)
def test_save_and_load(method, tiny_bert, rows, tmp_path):
    classifier = build(method, tiny_bert)
    classifier.save(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} <= {".json", ".safetensors", ".md"}
    torch.manual_seed(99)
    loaded = AnnotatorClassifier.load(
        *(tmp_path, classifier.method, classifier.settings, tiny_bert, LABELS, PEOPLE)
    )
    before = classifier.probabilities(classifier.examples(rows))
    np.testing.assert_array_equal(loaded.probabilities(loaded.examples(rows)), before)
    untrained = build(method, tiny_bert, random=False)
    plain = untrained.probabilities(untrained.examples(rows))
    assert np.abs(plain - before).max() > 1e-3


@pytest.mark.parametrize("method", SHARED)
def test_rows_together_are_rows_alone_and_everyone(method, tiny_bert, rows):
    classifier = build(method, tiny_bert)
    texts = rows.drop_duplicates("text").head(4)[["text"]]
    people = ["v0", "somebody", "u1"]
    crossed = texts.merge(rows.head(3).assign(annotator=people)[["annotator"]], how="cross")
    examples = classifier.examples(crossed)
    together = classifier.probabilities(examples)
    with classifier.states_of(examples):
        np.testing.assert_array_equal(classifier.probabilities(examples), together)
    for row in range(len(crossed)):
        alone = classifier.probabilities(classifier.examples(crossed.iloc[[row]]))
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)
    asked = classifier.everyone(PEOPLE.indices(people))
    tokens = classifier.examples(crossed.drop_duplicates("text")).tokens
    got = asked.probabilities(tokens)
    np.testing.assert_allclose(got.reshape(-1, 2), together, atol=1e-5)


def test_nothing_is_kept_of_layers_that_move(tiny_bert):
    assert not build("intercept", tiny_bert).keeps_states


def test_backbones_that_are_missing_or_others(tiny_bert, tmp_path):
    classifier = build("text-only", tiny_bert)
    classifier.save(tmp_path)
    arguments = classifier.method, classifier.settings, tiny_bert, LABELS, PEOPLE
    state = load_file(tmp_path / FILE)
    name = next(iter(state))
    save_file({n: v[:1] if n == name else v for n, v in state.items()}, tmp_path / FILE)
    with pytest.raises(RunError, match="is of another backbone"):
        AnnotatorClassifier.load(tmp_path, *arguments)
    (tmp_path / FILE).unlink()
    with pytest.raises(RunError, match="is missing: the backbone of this run was trained"):
        AnnotatorClassifier.load(tmp_path, *arguments)
