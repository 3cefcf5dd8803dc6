"""Tiny tokenizers of the four kinds that differ in what they put around a text."""

import string

import pandas as pd
import pytest

from task_files import save

WORDS = [f"w{number}" for number in range(300)]


def _fast(model, pre_tokenizer, template, special, **names):
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if template:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=special
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _words(special):
    from tokenizers import models

    known = [*special, "question", "context", ":", "?", ".", *WORDS]
    return models.WordLevel({word: number for number, word in enumerate(known)}, special[-1])


@pytest.fixture(scope="session")
def t5_words():
    """Whole words; </s> behind a text, nothing before it."""
    from tokenizers import pre_tokenizers

    return _fast(
        _words(["<pad>", "</s>", "<unk>"]),
        pre_tokenizers.Whitespace(),
        "$A </s>",
        [("</s>", 1)],
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )


@pytest.fixture(scope="session")
def bert_words():
    """Whole words; [CLS] before a text and [SEP] behind it, and no end-of-sequence token."""
    from tokenizers import pre_tokenizers

    return _fast(
        _words(["[PAD]", "[CLS]", "[SEP]", "[UNK]"]),
        pre_tokenizers.Whitespace(),
        "[CLS] $A [SEP]",
        [("[CLS]", 1), ("[SEP]", 2)],
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
    )


@pytest.fixture(scope="session")
def t5_pieces():
    """Letters after a mark for the space, as T5's sentence pieces."""
    from tokenizers import models, pre_tokenizers

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -2.0)]
    pieces += [(letter, -3.0) for letter in string.ascii_letters + string.digits + ":?.,"]
    return _fast(
        models.Unigram(pieces, 2, False),
        pre_tokenizers.Metaspace(),
        "$A </s>",
        [("</s>", 1)],
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )


@pytest.fixture(scope="session")
def bart_bytes():
    """Bytes; <s> before a text and </s> behind it, as BART."""
    from tokenizers import models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<s>", "<pad>", "</s>", "<unk>", *alphabet]
    return _fast(
        models.BPE({name: number for number, name in enumerate(names)}, [], unk_token="<unk>"),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        "<s> $A </s>",
        [("<s>", 0), ("</s>", 2)],
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )


@pytest.fixture(scope="session", params=["t5_words", "bert_words", "t5_pieces", "bart_bytes"])
def any_tokenizer(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def sentences():
    """A classification with its three splits."""
    n_rows = 60
    split = ["train"] * 40 + ["validation"] * 11 + ["test"] * 9
    return pd.DataFrame(
        {
            "split": split,
            "sentence": [f"w{number} w1" for number in range(n_rows)],
            "label": [number % 2 for number in range(n_rows)],
        }
    )


@pytest.fixture
def cola_file(sentences, tmp_path):
    return save(sentences, tmp_path / "cola.csv")
