import copy

import pytest

from hyperadapters.data.tasks.special import special_tokens
from hyperadapters.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "start", "end", "answer_end", "pad"),
    [
        ("t5_words", (), ("</s>",), "</s>", "<pad>"),
        ("t5_pieces", (), ("</s>",), "</s>", "<pad>"),
        ("bert_words", ("[CLS]",), ("[SEP]",), "[SEP]", "[PAD]"),
        ("bart_bytes", ("<s>",), ("</s>",), "</s>", "<pad>"),
    ],
)
def test_what_stands_around_a_text(request, name, start, end, answer_end, pad):
    tokenizer = request.getfixturevalue(name)
    special = special_tokens(tokenizer)
    assert tuple(tokenizer.convert_ids_to_tokens(special.start)) == start
    assert tuple(tokenizer.convert_ids_to_tokens(special.end)) == end
    assert tokenizer.convert_ids_to_tokens(special.answer_end) == answer_end
    assert tokenizer.convert_ids_to_tokens(special.pad) == pad


def test_around_is_what_the_tokenizer_does(any_tokenizer):
    special = special_tokens(any_tokenizer)
    text = "w1 w2 question: w3"
    bare = any_tokenizer(text, add_special_tokens=False)["input_ids"]
    assert special.around(bare) == any_tokenizer(text)["input_ids"]
    assert special.n_around == len(any_tokenizer(text)["input_ids"]) - len(bare)


def test_no_padding_token(t5_words):
    tokenizer = copy.deepcopy(t5_words)
    tokenizer.pad_token = None
    with pytest.raises(ConfigError, match=r"has no padding token; give it one, for example token"):
        special_tokens(tokenizer)


def test_no_end_of_an_answer(t5_words):
    tokenizer = copy.deepcopy(t5_words)
    tokenizer.eos_token = None
    with pytest.raises(ConfigError, match=r"has no token that ends an answer \(eos_token or sep_"):
        special_tokens(tokenizer)


def test_a_slow_tokenizer():
    class Slow:
        is_fast = False

    with pytest.raises(ConfigError, match="the tokenizer Slow is not a fast one"):
        special_tokens(Slow())
