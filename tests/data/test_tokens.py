import pytest
import torch
from transformers import AutoTokenizer

from hyperadapters.data.tokens import TokenizedTexts, tokenize

TEXTS = ["good the red", "bad", "kind a two blue one was nasty"]


@pytest.fixture
def tokenizer(tiny_bert):
    return AutoTokenizer.from_pretrained(tiny_bert)


def test_batches_are_those_of_the_tokenizer(tokenizer):
    tokens = tokenize(tokenizer, TEXTS, None, 32)
    assert len(tokens) == 3
    assert tokens.lengths.tolist() == [5, 3, 9]
    wanted = tokenizer([TEXTS[2], TEXTS[0]], padding=True, return_tensors="pt")
    batch = tokens.batch([2, 0])
    assert batch.keys() == wanted.keys()
    for name in wanted:
        assert torch.equal(batch[name], wanted[name]), name
    assert tokens.batch([1])["input_ids"].shape == (1, 3)  # no more padding than needed


def test_pairs(tokenizer):
    tokens = tokenize(tokenizer, TEXTS[:2], ["nice", "cold red"], 32)
    wanted = tokenizer(TEXTS[:2], ["nice", "cold red"], padding=True, return_tensors="pt")
    assert torch.equal(tokens.batch([0, 1])["input_ids"], wanted["input_ids"])
    assert torch.equal(tokens.batch([0, 1])["token_type_ids"], wanted["token_type_ids"])


def test_of_a_long_pair_the_longer_text_is_cut(tokenizer):
    short, long = "good red", "kind a two blue one was nasty"
    wanted = tokenizer(short)["input_ids"]
    for texts, pairs in (([short], [long]), ([long], [short])):
        tokens = tokenize(tokenizer, texts, pairs, 8)
        (ids,), (types,) = tokens.columns["input_ids"], tokens.columns["token_type_ids"]
        halves = [[i for i, t in zip(ids, types, strict=True) if t == half] for half in (0, 1)]
        # [CLS] first [SEP] second [SEP]: the short one is whole, the other lost its end.
        assert [len(half) for half in halves] == ([4, 4] if texts == [short] else [5, 3])
        kept = halves[0][1:-1] if texts == [short] else halves[1][:-1]
        assert kept == wanted[1:-1]
        cut = halves[1][:-1] if texts == [short] else halves[0][1:-1]
        assert cut == tokenizer(long)["input_ids"][1:4]


def test_long_texts_are_cut(tokenizer):
    tokens = tokenize(tokenizer, TEXTS, None, 4)
    assert tokens.lengths.tolist() == [4, 3, 4]
    assert tokens.columns["input_ids"][2][-1] == tokenizer.sep_token_id


def test_a_tokenizer_without_types_or_pad_token(tiny_roberta):
    tokenizer = AutoTokenizer.from_pretrained(tiny_roberta)
    assert tokenize(tokenizer, TEXTS, None, 32).batch([0]).keys() == {"input_ids", "attention_mask"}
    tokenizer.pad_token = None
    assert tokenize(tokenizer, TEXTS, None, 32).pad_id == 0


def test_padding_on_the_left():
    tokens = TokenizedTexts({"input_ids": [[5], [6, 7]]}, pad_id=9, padding_side="left")
    batch = tokens.batch([0, 1])
    assert batch["input_ids"].tolist() == [[9, 5], [6, 7]]
    assert batch["attention_mask"].tolist() == [[0, 1], [1, 1]]
