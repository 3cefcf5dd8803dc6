import numpy as np
import pandas as pd
import pytest
from transformers import AutoTokenizer

from hyperadapters.conditions import Vocabulary
from hyperadapters.errors import DataError
from hyperadapters.labels import LabelSpace
from hyperadapters.methods import Examples

LABELS = LabelSpace(("fine", "toxic"))
VOCABULARY = Vocabulary(("a", "b"))


@pytest.fixture
def make(tiny_bert):
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    return lambda frame: Examples.of(frame, tokenizer, VOCABULARY, LABELS, 16)


def test_rows_become_indices(make):
    frame = pd.DataFrame(
        {
            "text": ["good red", "bad", "good red"],
            "annotator": ["b", "stranger", "a"],
            "label": ["toxic", "fine", None],
        },
        index=[7, 7, 9],  # an index of any kind
    )
    examples = make(frame)
    assert len(examples) == 3
    assert examples.text_of_row.tolist() == [0, 1, 0]
    assert examples.annotators.tolist() == [1, -1, 0]
    assert examples.labels.tolist() == [1, 0, -1]
    assert examples.tokens.lengths.tolist() == [4, 3]


def test_labels_may_be_absent(make):
    examples = make(pd.DataFrame({"text": ["good"], "annotator": ["a"]}))
    assert np.array_equal(examples.labels, [-1])


def test_texts_differ_by_their_pair(make):
    frame = pd.DataFrame(
        {"text": ["good", "good", "good"], "text_pair": ["red", "bad", "red"], "annotator": "a"}
    )
    examples = make(frame)
    assert examples.text_of_row.tolist() == [0, 1, 0]
    assert len(examples.tokens) == 2
    assert examples.tokens.columns["token_type_ids"][0] == [0, 0, 0, 1, 1]


def test_a_label_of_another_set_is_refused(make):
    frame = pd.DataFrame({"text": ["good", "bad"], "annotator": "a", "label": ["fine", "rude"]})
    with pytest.raises(DataError, match=r"\['rude'\] are not among those of the run \(fine, toxic"):
        make(frame)
