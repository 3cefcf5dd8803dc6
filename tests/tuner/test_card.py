"""What the model card says about using the adapter."""

import re

import pytest
import yaml
from huggingface_hub import ModelCard

import hyperadapters as ha
from hyperadapters.tuner.card import END, START, write_usage

EVERY_KIND = {
    "annotator_ids": ha.Lookup(7),
    "few": ha.Lookup(3, unknown="error"),
    "person": ha.Attributes({"age": ["young", "old"], "country": 5}),
    "style": ha.Vector(4),
    "text": ha.Instance(),
}


def read(folder) -> tuple[dict, str]:
    card = (folder / "README.md").read_text(encoding="utf-8")
    head, text = re.match(r"---\n(.*?)\n---\n(.*)", card, re.DOTALL).groups()
    return yaml.safe_load(head), text


def section(folder) -> str:
    _, text = read(folder)
    assert text.count(START) == text.count(END) == 1
    return text.partition(START)[2].partition(END)[0]


@pytest.fixture
def write(tmp_path):
    def write_into(
        conditions, task="SEQ_CLS", backbone="org/bert", before="---\nlicense: mit\n---\n\nWords.\n"
    ):
        (tmp_path / "README.md").write_text(before, encoding="utf-8")
        write_usage(tmp_path, conditions, task, backbone)
        return tmp_path

    return write_into


def test_every_kind_of_condition(write):
    said = section(write(EVERY_KIND))
    assert 'AutoModelForSequenceClassification.from_pretrained("org/bert")' in said
    assert "import hyperadapters" in said and "pip install hyperadapters" in said
    call = "model(**inputs, annotator_ids=[6], few=[2], person=attributes, style=embeddings)"
    assert call in said
    for line in (
        "- `annotator_ids`: one of 7, as an index; -1 is unknown (population)",
        "- `few`: one of 3, as an index; -1 is unknown (error)",
        "- `person`: attributes age (2 values), country (5 values)",
        "- `style`: a vector of width 4",
        "- `text`: the input itself; nothing needs to be passed",
    ):
        assert f"\n{line}\n" in said
    assert "may stand for single people" in said


def test_the_snippet_is_python(write):
    for conditions in ({}, EVERY_KIND, {"text": ha.Instance()}):
        code = re.search(r"```python\n(.*?)```", section(write(conditions)), re.DOTALL).group(1)
        compile(code, "card", "exec")


def test_without_conditions(write):
    said = section(write({}))
    assert "model(**inputs)\n" in said
    assert "It adapts to" not in said and "people" not in said


def test_the_input_alone_is_nobody(write):
    said = section(write({"text": ha.Instance()}))
    assert "It adapts to" in said and "people" not in said


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("TOKEN_CLS", "AutoModelForTokenClassification"),
        ("QUESTION_ANS", "AutoModelForQuestionAnswering"),
        ("CAUSAL_LM", "AutoModelForCausalLM"),
        ("SEQ_2_SEQ_LM", "AutoModelForSeq2SeqLM"),
        ("FEATURE_EXTRACTION", "AutoModel"),
        (None, "AutoModel"),
    ],
)
def test_the_class_of_the_backbone(write, task, name):
    said = section(write({}, task))
    assert f"import {name}, AutoTokenizer" in said and f" {name}.from_pretrained(" in said


def test_a_backbone_without_a_name(write):
    assert 'from_pretrained("...")' in section(write({}, backbone=None))


def test_tags_are_added_to_those_that_are_there(write):
    head, text = read(write({}, before="---\ntags:\n- mine\n- hypernetwork\n---\n\nWords.\n"))
    assert head["tags"] == ["hyperadapters", "hypernetwork", "mine"]
    assert text.strip().startswith("Words.")


@pytest.mark.skipif(
    ModelCard("---\ntags: mine\n---\n").data.tags != ["mine"],
    reason="this version of huggingface_hub takes the tag for its letters itself",
)
def test_a_single_tag_is_not_taken_for_its_letters(write):
    head, _ = read(write({}, before="---\ntags: mine\n---\n\nWords.\n"))
    assert head["tags"] == ["hyperadapters", "hypernetwork", "mine"]


def test_writing_twice_is_writing_once(write):
    folder = write(EVERY_KIND)
    once = (folder / "README.md").read_bytes()
    write_usage(folder, EVERY_KIND, "SEQ_CLS", "org/bert")
    assert (folder / "README.md").read_bytes() == once


def test_writing_again_replaces_what_was_said_and_nothing_else(write):
    folder = write({"old": ha.Lookup(3)}, before="---\nlicense: mit\n---\n\nBefore.\n")
    file = folder / "README.md"
    file.write_text(file.read_text() + "\nAfter.\n")
    write_usage(folder, {"new": ha.Lookup(4)}, "CAUSAL_LM", "org/llama")
    _, text = read(folder)
    assert "`new`: one of 4" in section(folder) and "`old`" not in text
    assert text.index("Before.") < text.index(START) < text.index(END) < text.index("After.")


def test_without_a_card_none_is_made(tmp_path):
    write_usage(tmp_path, EVERY_KIND, None, None)
    assert list(tmp_path.iterdir()) == []


def test_saved_with_the_adapter_and_every_time_the_same(adapted, config, tmp_path):
    model = adapted(conditions={"annotator_ids": ha.Lookup(7), "style": ha.Vector(4)})
    cards = []
    for _ in range(3):
        model.save_pretrained(str(tmp_path))
        cards.append((tmp_path / "README.md").read_text())
    assert cards[1] == cards[2]
    head, _ = read(tmp_path)
    assert {"hyperadapters", "hypernetwork"} <= set(head["tags"])
    assert "model(**inputs, annotator_ids=[6], style=embeddings)" in section(tmp_path)
    # The card of an export is not ours to write.
    ha.export_lora(model, {"annotator_ids": 1, "style": [0.0, 1.0, 2.0, 3.0]}, tmp_path / "one")
    assert not (tmp_path / "one" / "README.md").exists()
