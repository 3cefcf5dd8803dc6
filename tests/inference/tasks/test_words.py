import pytest

from hyperadapters.errors import ConfigError
from hyperadapters.inference.tasks import Spelling, spellings
from hyperadapters.tasks import Generation, Task


@pytest.fixture(scope="module", params=["", "[CLS]"])
def tokenizer(request, toy):
    """Lower case, whole words, punctuation by itself; once as T5's, once as BERT's."""
    end = "[SEP]" if request.param else "</s>"
    return toy._tokenizer(request.param, end, "[PAD]", "[UNK]")


def make_task(*words, **changes):
    fields = {"kind": "classification", "labels": {str(i): w for i, w in enumerate(words)}}
    fields |= {"metrics": ("accuracy",), **changes}
    return Task(name="mine", source="{text}", target="label", **fields)


def test_words_are_read_as_they_were_declared(tokenizer):
    spelling = Spelling.of(make_task("Good", "one.two", "bad"), tokenizer)
    for word in ("Good", "one.two", "bad"):
        ids = tokenizer(word, add_special_tokens=False)["input_ids"]
        assert spelling.read(tokenizer.decode(ids)) == word
    assert spelling.read(" good ") == "Good"
    assert spelling.read("nothing like it ") == "nothing like it"
    assert spelling.longest == 4  # three signs and the end


def test_numbers_and_texts(tokenizer):
    number = Spelling.of(make_task(kind="regression", labels=None, metrics=("pearson",)), tokenizer)
    assert number.read("3 . 4") == "3.4"
    assert number.longest is None
    text = Spelling.of(make_task(kind="text", labels=None, metrics=("rouge1",)), tokenizer)
    assert text.read(" a kind  one ") == "a kind  one"


def test_how_long_answers_may_be(tokenizer):
    assert Spelling.of(make_task("good", "bad"), tokenizer).max_new_tokens(64) == 2
    own = make_task("good", "bad", generation=Generation(max_new_tokens=9))
    assert Spelling.of(own, tokenizer).max_new_tokens(64) == 9
    at_least = make_task("good", "bad", generation=Generation(min_new_tokens=5))
    assert Spelling.of(at_least, tokenizer).max_new_tokens(64) == 5
    free = make_task(kind="regression", labels=None, metrics=("pearson",))
    assert Spelling.of(free, tokenizer).max_new_tokens(64) == 64


def test_words_that_cannot_be_written(tokenizer):
    with pytest.raises(ConfigError, match=r"task mine: .* cannot write the label word 'elated';"):
        Spelling.of(make_task("good", "elated"), tokenizer)
    with pytest.raises(ConfigError, match=r"label words 'good ☺', 'sad'; choose other words"):
        spellings([make_task("good ☺", "bad", "sad")], tokenizer)


def test_words_that_cannot_be_told_apart(tokenizer):
    with pytest.raises(ConfigError, match=r"writes the label words 'good' and 'GOOD' alike"):
        Spelling.of(make_task("good", "GOOD"), tokenizer)
